"""The models that a server holds: loaded beside the requests, changed without dropping one, closed after their last."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

from anyio import to_thread

from facemix.errors import FacemixError, ModelNotLive, NotReady
from facemix.mixing.recipe import ModelIdentity
from facemix.serving.observer import Observer
from facemix.web.choosing import ANY, Choice, shared_out
from facemix.web.fleet import Fleet, Planned
from facemix.web.mixer_like import MixerLike
from facemix.web.problems import internal_error

log = logging.getLogger("facemix.web")

LOADING = "load"  # name of the threads that load a model
LAST_SECONDS = 2.0


@dataclass(frozen=True)
class Held:
    """A model that is loaded, and what for."""

    planned: Planned
    mixer: MixerLike


class LiveModels:
    """Belongs to one event loop.

    Attributes:
        unplanned: whether it could not be said what is to be held when that was last asked.
    """

    def __init__(self, fleet: Fleet, observer: Observer) -> None:
        self._fleet, self._observer = fleet, observer
        self._held: dict[str, Held] = {}  # by the key of the plan; the default first, then as planned
        self._default: Held | None = None
        self._coming: tuple[Planned, ...] = ()  # planned and not loaded yet
        self._leases: dict[int, int] = {}  # requests at work, by the identity of their mixer
        self._retiring: set[asyncio.Task[None]] = set()
        self._failure: FacemixError | None = None
        self._changing = asyncio.Lock()
        self._closed = False
        self.unplanned = False

    # --- which there are -----------------------------------------------------------------------------------

    @property
    def default(self) -> MixerLike | None:
        """The one that answers whoever names none."""
        return None if self._default is None else self._default.mixer

    @property
    def failure(self) -> FacemixError | None:
        """Why there is no default, if loading has ended without one."""
        return self._failure if self._default is None else None

    @property
    def held(self) -> tuple[Held, ...]:
        """Everything that is loaded, the default first."""
        rest = (one for one in self._held.values() if one is not self._default)
        return (*(() if self._default is None else (self._default,)), *rest)

    @property
    def has_standby(self) -> bool:
        """Whether there is one whose time runs out by itself."""
        return any(one.planned.role == "standby" for one in self._held.values())

    def answering(self) -> tuple[Held, ...]:
        """Those that a request may name."""
        return tuple(one for one in self.held if one is self._default or one.planned.role != "standby")

    def choose(self, choice: Choice = ANY) -> MixerLike:
        """The model that answers a request.

        Raises:
            NotReady: it is still being loaded.
            ModelNotLive: no live model has that name.
            FacemixError: what loading the default ended with, with status 503.
        """
        if choice.name is not None:
            return self._named(choice.name)
        if self._default is None:
            raise self._missing()
        candidates = [
            (one.planned.key, one.planned.share, one.mixer)
            for one in self._held.values()
            if one.planned.role == "candidate" and one is not self._default
        ]
        return shared_out(choice.client, candidates) or self._default.mixer

    def made_by(self, model: ModelIdentity | str) -> MixerLike | None:
        """The model of a latent or recipe, by its identity or that as text, if it is loaded; on standby counts."""
        for one in self._held.values():
            if str(one.mixer.model) == model if isinstance(model, str) else one.mixer.model.same_latents_as(model):
                return one.mixer
        return None

    def _named(self, name: str) -> MixerLike:
        plain, _, prefix = name.partition("@")
        found = [
            one
            for one in self.answering()
            if one.mixer.model.name == plain and one.mixer.model.weights.startswith(prefix)
        ]
        # A candidate of a live model's name is meant only by its hash.
        live = [one for one in found if one is self._default or one.planned.role != "candidate"]
        if found:
            return (live or found)[0].mixer
        if self._default is None and self._failure is not None:
            raise self._missing()
        if self._default is None or any(
            one.name in ("", plain) and one.key.startswith(prefix) and one.role != "standby" for one in self._coming
        ):
            raise NotReady(
                f"the model {name!r} is still being loaded", hint="try again in a few seconds", retry_after=2
            )
        names = [str(one.mixer.model) for one in self.answering()]
        raise ModelNotLive(
            f"no live model is called {name!r}", hint=f"live are {', '.join(names)}", where="model", live=names
        )

    def _missing(self) -> FacemixError:
        if self._failure is None:
            return _not_yet("the model")
        failure = self._failure.copy()
        failure.status = 503  # type: ignore[misc]  # whatever it was, for a client it is an outage
        return failure

    def forget(self, sha256: str) -> None:
        """Drops what any of them has in memory of a photograph."""
        for one in self.held:
            one.mixer.forget(sha256)

    # --- what holds them open ------------------------------------------------------------------------------

    @asynccontextmanager
    async def lease(self, mixer: MixerLike) -> AsyncIterator[MixerLike]:
        """A model that stays open until the request is done, whatever takes its place meanwhile."""
        self._leases[id(mixer)] = self._leases.get(id(mixer), 0) + 1
        try:
            yield mixer
        finally:
            self._leases[id(mixer)] -= 1
            if not self._leases[id(mixer)]:
                del self._leases[id(mixer)]
                self._retire(mixer)

    def _retire(self, mixer: MixerLike) -> None:
        """Closes a mixer that is not held any more, beside the requests, when no request is at work with it."""
        if not self._leases.get(id(mixer)) and all(one.mixer is not mixer for one in self._held.values()):
            task = asyncio.ensure_future(to_thread.run_sync(mixer.close))
            self._retiring.add(task)
            task.add_done_callback(self._retired)

    def _retired(self, task: asyncio.Task[None]) -> None:
        self._retiring.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a mixer could not be closed", exc_info=error)

    # --- changing ------------------------------------------------------------------------------------------

    async def load(self, *, anew: bool = True) -> None:
        """Loads, in threads, what is planned and not there, and lets go of what is not planned any more.

        A model takes its place when it is loaded, and the one before it answers the requests that it has begun. A
        default that cannot be loaded leaves the one that is there; without one, the failure is told by every answer
        that needs it. Any other that cannot be loaded is not live, until somebody asks again.

        Args:
            anew: see `Fleet.plan`.
        """
        async with self._changing:
            failed: set[str] = set()
            plan: Sequence[Planned] = ()
            while not self._closed:
                try:
                    # Asked again after each: what was promoted by mistake may be rolled back by now.
                    plan = await to_thread.run_sync(partial(self._fleet.plan, anew=anew), abandon_on_cancel=True)
                except Exception as error:
                    self._failed(error)
                    self._follow(plan or [one.planned for one in self.held])
                    self.unplanned = True
                    return
                anew = self.unplanned = False
                self._follow(plan)
                self._coming = tuple(one for one in plan if one.key not in self._held and one.key not in failed)
                if not self._coming:
                    return
                failed |= await self._take(self._coming[0])

    async def _take(self, planned: Planned) -> set[str]:
        """Loads one. Its key, if that failed."""
        try:
            mixer = await self._make(planned)
        except Exception as error:
            self._failed(error, planned)
            return {planned.key}
        log.info("the mixer is loaded: %s by %s", mixer.model, mixer.vitals().backend)
        self._held[planned.key] = Held(planned, mixer)
        return set()

    def _failed(self, error: Exception, planned: Planned | None = None) -> None:
        which = "the mixer" if planned is None or not planned.name else f"{planned.name}@{planned.key[:12]}"
        if isinstance(error, FacemixError):
            log.error("%s cannot be loaded: %s; %s", which, error.message, error.hint)
        else:
            log.error("%s cannot be loaded", which, exc_info=error)
        if planned is None or planned.role == "default":
            self._failure = error if isinstance(error, FacemixError) else internal_error()

    def _follow(self, plan: Sequence[Planned]) -> None:
        """Gives each loaded model its planned role, and lets go of those that have none."""
        before = list(self._held.values())
        held = {one.key: Held(one, self._held[one.key].mixer) for one in plan if one.key in self._held}
        default = next((one for one in held.values() if one.planned.role == "default"), None)
        if default is not None:
            self._default, self._failure = default, None
        elif self._default is not None:  # it answers until another is there
            key = self._default.planned.key
            self._default = held.setdefault(key, self._default)
        self._held = held
        for one in before:
            self._retire(one.mixer)

    async def _make(self, planned: Planned) -> MixerLike:
        """In a thread that a stop does not wait for. What it makes after that is closed at once."""
        made: Future[MixerLike] = Future()

        def work() -> None:
            try:
                mixer = planned.make(self._observer)
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

    async def close(self) -> None:
        """Lets go of the devices. Requests that a stop has cancelled get a moment to end."""
        self._closed = True
        before, self._held, self._default = list(self._held.values()), {}, None
        for one in before:
            self._retire(one.mixer)
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                while self._leases:
                    await asyncio.sleep(0.01)
        await asyncio.gather(*self._retiring, return_exceptions=True)


def _not_yet(what: str) -> NotReady:
    return NotReady(f"{what} is still being loaded", hint="try again in a few seconds", retry_after=2)
