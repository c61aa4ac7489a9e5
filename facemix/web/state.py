"""What the application holds while it runs: the settings, the mixer once it is loaded, and the limits."""

from __future__ import annotations

import functools
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import anyio
import numpy as np
from anyio import to_thread
from starlette.requests import Request

from facemix.errors import FacemixError, NotReady
from facemix.imaging.encode import encode_image
from facemix.mixing.recipe import Interpolation, ModelIdentity
from facemix.serving.types import FoundPhoto, MixResult, ParentInput, PhotoInput, StripResult
from facemix.settings import Settings
from facemix.web.limits import Admission, ShortQueue
from facemix.web.problems import internal_error

log = logging.getLogger("facemix.web")

SAMPLES_KEPT = 512
SAMPLES_WAITING = 96

T = TypeVar("T")


class MixerLike(Protocol):
    """What the web room needs of `facemix.serving.mixer.Mixer`. Thread-safe; every method blocks."""

    model: ModelIdentity
    card: dict[str, Any]
    crop_size: int

    def find_faces(self, photo: PhotoInput) -> FoundPhoto: ...

    def mix(
        self,
        parents: Sequence[ParentInput],
        *,
        interpolation: Interpolation = "lerp",
        vividness: float = 0.0,
        seed: int = 0,
    ) -> MixResult: ...

    def strip(
        self,
        first: ParentInput,
        second: ParentInput,
        *,
        steps: int = 33,
        interpolation: Interpolation = "lerp",
        vividness: float = 0.0,
        seed: int = 0,
    ) -> StripResult: ...

    def sample(self, number: int, *, seed: int = 0) -> np.ndarray: ...


class ServerState:
    """One per application. Its methods run on the event loop; the mixer's work runs in threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.admission = Admission(settings.max_concurrent)
        self._loaded: MixerLike | None = None
        self._failure: FacemixError | None = None
        # One thread per admitted request, and one for samples; pages never wait for them.
        self._threads = anyio.CapacityLimiter(settings.max_concurrent + 1)
        self._samples = ShortQueue(SAMPLES_WAITING)
        self._sample_files: OrderedDict[tuple[int, int, str], bytes] = OrderedDict()

    @classmethod
    def of(cls, request: Request) -> ServerState:
        return request.app.state.facemix

    async def load(self, factory: Callable[[], MixerLike]) -> None:
        """Loads the mixer in a thread. A failure is kept and told by every answer that needs the mixer."""
        try:
            self._loaded = await to_thread.run_sync(factory, abandon_on_cancel=True)
        except FacemixError as error:
            log.error("the mixer cannot be loaded: %s; %s", error.message, error.hint)
            self._failure = error
        except Exception:
            log.exception("the mixer cannot be loaded")
            self._failure = internal_error()
        else:
            log.info("the mixer is loaded: %s", self._loaded.model)

    @property
    def loaded(self) -> MixerLike | None:
        return self._loaded

    @property
    def failure(self) -> FacemixError | None:
        """Why there is no mixer, if loading has ended without one."""
        return self._failure

    def mixer(self) -> MixerLike:
        """Raises `NotReady` while loading, afterwards the error that loading ended with."""
        if self._loaded is not None:
            return self._loaded
        if self._failure is not None:
            # A fresh copy: the same exception object raised twice would collect tracebacks.
            failure = type(self._failure)(self._failure.message, hint=self._failure.hint, **self._failure.details)
            failure.status = 503  # type: ignore[misc]  # whatever it was, for a client it is an outage
            raise failure
        raise NotReady("the model is still being loaded", hint="try again in a few seconds", retry_after=2)

    async def run(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Runs blocking work in a thread of its own pool."""
        return await to_thread.run_sync(functools.partial(work, *args, **kwargs), limiter=self._threads)

    async def sample_file(self, number: int, seed: int, media_type: str) -> bytes:
        """A sample face as a file, from memory where it has been drawn before.

        Raises:
            Busy: too many samples are being waited for.
        """
        mixer = self.mixer()
        key = (number, seed, media_type)
        if key not in self._sample_files:
            async with self._samples.turn():
                if key not in self._sample_files:  # another request may have drawn it meanwhile
                    self._sample_files[key] = await self.run(
                        lambda: encode_image(mixer.sample(number, seed=seed), media_type)
                    )
        self._sample_files.move_to_end(key)
        content = self._sample_files[key]
        while len(self._sample_files) > SAMPLES_KEPT:
            self._sample_files.popitem(last=False)
        return content
