"""What the application holds while it runs: the settings, the mixer that is live, and how much may be inside."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from anyio import to_thread
from starlette.requests import Request

from facemix.errors import FacemixError, NotReady, Stopping
from facemix.imaging.encode import encode_image
from facemix.mixing.recipe import Edits, ModelIdentity
from facemix.serving.admission import Admission
from facemix.serving.cache import Cache
from facemix.serving.observer import Observer
from facemix.serving.types import (
    Cost,
    FoundPhoto,
    FrameSpec,
    FramesResult,
    LatentResult,
    MixResult,
    ParentInput,
    PhotoInput,
    SampleResult,
    StripResult,
    Vitals,
)
from facemix.settings import MEBIBYTE, Settings
from facemix.web.jobs import Account, Jobs
from facemix.web.problems import internal_error
from facemix.web.stores import Stores

if TYPE_CHECKING:
    from facemix.vae.directions import AttributeDirections

log = logging.getLogger("facemix.web")

SAMPLE_BYTES = 8 * MEBIBYTE  # some thousand files of sample faces
SAMPLE_SECONDS = 24 * 3600.0
LAST_SECONDS = 2.0
LOADING = "load"  # name of the thread that loads a model
SAMPLES_WAITING = 96  # frames; apart from the others, so that a page shows its samples even when all is busy

T = TypeVar("T")


class MixerLike(Protocol):
    """What the web room needs of `facemix.serving.mixer.Mixer`."""

    model: ModelIdentity
    card: dict[str, Any]
    crop_size: int
    latent_size: int
    attributes: AttributeDirections | None

    async def find_faces(self, photo: PhotoInput, *, deadline: float | None = None) -> FoundPhoto: ...

    async def mix(
        self, parents: Sequence[ParentInput], edits: Edits = ..., *, deadline: float | None = None
    ) -> MixResult: ...

    async def frames(
        self, parents: Sequence[ParentInput], specs: Sequence[FrameSpec], *, deadline: float | None = None
    ) -> FramesResult: ...

    async def strip(
        self,
        first: ParentInput,
        second: ParentInput,
        *,
        steps: int = 33,
        edits: Edits = ...,
        deadline: float | None = None,
    ) -> StripResult: ...

    async def latent(
        self, parents: Sequence[ParentInput], edits: Edits = ..., *, deadline: float | None = None
    ) -> LatentResult: ...

    async def encode(self, crops: np.ndarray, *, deadline: float | None = None) -> tuple[np.ndarray, Cost]: ...

    async def sample(self, number: int, *, seed: int = 0, deadline: float | None = None) -> SampleResult: ...

    async def write(self, work: Callable[..., T], *args: object) -> T: ...

    def ill(self) -> str | None: ...

    def vitals(self) -> Vitals: ...

    def close(self) -> None: ...


MixerFactory = Callable[[Observer], MixerLike]


class ServerState:
    """One per application. Its methods run on the event loop."""

    def __init__(
        self,
        settings: Settings,
        factory: MixerFactory,
        observer: Observer | None = None,
        stores: Stores | None = None,
        account: Account = lambda ended: None,
    ) -> None:
        self.settings = settings
        self.stores = stores or Stores.in_memory(settings)
        self.jobs = Jobs(
            self.stores.shelf,
            seconds=settings.job_seconds,
            most=settings.max_jobs,
            most_bytes=settings.max_buffered_bytes,
            account=account,
        )
        self.observer = observer or Observer()
        self.admission = Admission(settings.max_queue)
        self.sample_admission = Admission(SAMPLES_WAITING)
        self._factory = factory
        self._live: MixerLike | None = None
        self._leases: dict[int, int] = {}  # requests at work, by the identity of their mixer
        self._retiring: set[asyncio.Task[None]] = set()
        self._failure: FacemixError | None = None
        self._changing = asyncio.Lock()
        self._sample_files: Cache[bytes] = Cache(
            "samples", max_bytes=SAMPLE_BYTES, seconds=SAMPLE_SECONDS, size=len, observer=self.observer
        )

    @classmethod
    def of(cls, request: Request) -> ServerState:
        return request.app.state.facemix

    # --- the mixer -----------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Loads a mixer in a thread and puts it in the place of the one that is live, which answers the requests
        that it has begun and is closed with the last of them. When that fails, the live one stays; without one,
        the failure is told by every answer that needs it."""
        async with self._changing:
            try:
                made = await self._make()
            except FacemixError as error:
                log.error("the mixer cannot be loaded: %s; %s", error.message, error.hint)
                self._failure = error
            except Exception:
                log.exception("the mixer cannot be loaded")
                self._failure = internal_error()
            else:
                former, self._live, self._failure = self._live, made, None
                log.info("the mixer is loaded: %s by %s", made.model, made.vitals().backend)
                if former is not None:
                    self._retire(former)

    async def _make(self) -> MixerLike:
        """In a thread that a stop does not wait for. What it makes after that is closed at once."""
        made: Future[MixerLike] = Future()

        def work() -> None:
            try:
                mixer = self._factory(self.observer)
            except BaseException as error:
                if made.set_running_or_notify_cancel():
                    made.set_exception(error)
            else:
                if made.set_running_or_notify_cancel():
                    made.set_result(mixer)
                else:
                    mixer.close()

        threading.Thread(target=work, name=LOADING, daemon=True).start()
        return await asyncio.wrap_future(made)

    def _retire(self, mixer: MixerLike) -> None:
        """Closes a mixer that is not live any more, beside the requests, when no request is at work with it."""
        if mixer is not self._live and not self._leases.get(id(mixer)):
            task = asyncio.ensure_future(to_thread.run_sync(mixer.close))
            self._retiring.add(task)
            task.add_done_callback(self._retired)

    def _retired(self, task: asyncio.Task[None]) -> None:
        self._retiring.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a mixer could not be closed", exc_info=error)

    @property
    def loaded(self) -> MixerLike | None:
        return self._live

    @property
    def failure(self) -> FacemixError | None:
        """Why there is no mixer, if loading has ended without one."""
        return self._failure if self._live is None else None

    def mixer(self) -> MixerLike:
        """Raises `NotReady` while loading, afterwards the error that loading ended with; `Stopping` at the end."""
        if self.admission.stopping:
            raise Stopping("the server is stopping", hint="try again in a moment", retry_after=2)
        if self._live is not None:
            return self._live
        if self._failure is not None:
            failure = self._failure.copy()
            failure.status = 503  # type: ignore[misc]  # whatever it was, for a client it is an outage
            raise failure
        raise NotReady("the model is still being loaded", hint="try again in a few seconds", retry_after=2)

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[MixerLike]:
        """The live mixer, which stays open until the request is done, whatever takes its place meanwhile."""
        mixer = self.mixer()
        self._leases[id(mixer)] = self._leases.get(id(mixer), 0) + 1
        try:
            yield mixer
        finally:
            self._leases[id(mixer)] -= 1
            if not self._leases[id(mixer)]:
                del self._leases[id(mixer)]
                self._retire(mixer)

    def ill(self) -> str | None:
        """What is wrong with the live mixer, or None; loading is no illness."""
        return None if self._live is None else self._live.ill()

    async def close(self) -> None:
        """Takes nothing new and lets go of the device. Requests that a stop has cancelled get a moment to end."""
        self.admission.stopping = self.sample_admission.stopping = True
        await self.jobs.close()
        mixer, self._live = self._live, None
        if mixer is not None:
            self._retire(mixer)
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                while self._leases:
                    await asyncio.sleep(0.01)
        await asyncio.gather(*self._retiring, return_exceptions=True)

    @property
    def sample_bytes(self) -> int:
        """Memory of the sample faces' files."""
        return self._sample_files.bytes

    # --- samples -------------------------------------------------------------------------------------------

    async def sample_file(
        self, number: int, seed: int, media_type: str, drawn: Callable[[SampleResult], None] = lambda result: None
    ) -> bytes:
        """A sample face as a file, from memory where it has been drawn before.

        Args:
            drawn: hears what was drawn, where it had to be: of those who ask at the same time the first.

        Raises:
            Busy: too many samples are being waited for.
        """
        async with self.lease() as mixer:

            async def draw() -> bytes:
                with self.sample_admission.ticket(1):
                    deadline = time.monotonic() + self.settings.deadline_seconds
                    result = await mixer.sample(number, seed=seed, deadline=deadline)
                    drawn(result)
                    return await mixer.write(encode_image, result.image, media_type)

            return await self._sample_files.get((mixer.model.weights, number, seed, media_type), draw)
