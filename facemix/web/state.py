"""What the application holds while it runs: the settings, the models that are live, and how much may be inside."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.requests import Request

from facemix.errors import FacemixError, Halted, Stopping
from facemix.mixing.recipe import ModelIdentity
from facemix.serving.admission import Admission
from facemix.serving.cache import Cache
from facemix.serving.held_cuts import Holds
from facemix.serving.observer import Observer
from facemix.serving.types import SampleResult
from facemix.settings import MEBIBYTE, Settings
from facemix.web.choosing import ANY, Choice
from facemix.web.fleet import Fleet, OneModel
from facemix.web.halting import Halt
from facemix.web.job_work import AccountItem
from facemix.web.jobs import Account, Jobs
from facemix.web.judging import About
from facemix.web.live_models import LOADING, LiveModels
from facemix.web.mixer_like import MixerFactory, MixerLike
from facemix.web.photo_limits import PhotoLimits
from facemix.web.rates import Sender
from facemix.web.release import Release, sample_recipe
from facemix.web.stores import Stores

__all__ = ["LOADING", "MixerFactory", "MixerLike", "ServerState"]

SAMPLE_BYTES = 8 * MEBIBYTE  # some thousand files of sample faces
SAMPLE_SECONDS = 24 * 3600.0
SAMPLES_WAITING = 96  # frames; apart from the others, so that a page shows its samples even when all is busy


class ServerState:
    """One per application. Its methods run on the event loop.

    Args:
        factory: makes the one model of an application without a registry.
        fleet: says which models there are; None means that one.
        release: the last step of every result; None lets all out, unmarked.
        account, account_item: hear of every job that has ended, and of each of several results that one gives out.
        afford: raises where nobody may pay any more for a sender's work; see `Accounts.check_budget`.
        name: a name that only this installation can make of a hash, for conditioning records; None where it has no
            secret.

    Attributes:
        models: those that are loaded.
        halt: the kill switch.
        photo_limits: how often each photograph is looked at.
        holds: what jobs hold of photographs until they have ended.
    """

    def __init__(
        self,
        settings: Settings,
        factory: MixerFactory,
        observer: Observer | None = None,
        stores: Stores | None = None,
        account: Account = lambda ended: None,
        fleet: Fleet | None = None,
        release: Release | None = None,
        *,
        account_item: AccountItem = lambda item: None,
        afford: Callable[[Sender | None], Awaitable[None]] | None = None,
        name: Callable[[str], str] | None = None,
    ) -> None:
        self.settings = settings
        self.account_item, self.name, self._afford = account_item, name, afford
        self.release = release or Release()
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
        self.photo_limits = PhotoLimits(settings.rate_photo)
        self.holds = Holds()
        self.models = LiveModels(fleet or OneModel(factory), self.observer)
        self.halt = Halt(self._halted)
        self._sample_files: Cache[bytes] = Cache(
            "samples", max_bytes=SAMPLE_BYTES, seconds=SAMPLE_SECONDS, size=len, observer=self.observer
        )

    @classmethod
    def of(cls, request: Request) -> ServerState:
        return request.app.state.facemix

    # --- the models ----------------------------------------------------------------------------------------

    async def load(self, *, anew: bool = True) -> None:
        """See `LiveModels.load`."""
        await self.models.load(anew=anew)

    @property
    def loaded(self) -> MixerLike | None:
        """The default model."""
        return self.models.default

    @property
    def failure(self) -> FacemixError | None:
        """Why there is no mixer, if loading has ended without one."""
        return self.models.failure

    def mixer(self, choice: Choice = ANY) -> MixerLike:
        """The model that answers a request, to be looked at; whoever generates with it takes a `lease`.

        Raises:
            Stopping: the server takes nothing new.
            NotReady, ModelNotLive: see `LiveModels.choose`.
        """
        if self.admission.stopping:
            raise Stopping("the server is stopping", hint="try again in a moment", retry_after=2)
        return self.models.choose(choice)

    @asynccontextmanager
    async def lease(self, choice: Choice | ModelIdentity = ANY) -> AsyncIterator[MixerLike]:
        """A model to generate with, which stays open until the request is done, whatever takes its place meanwhile.

        Args:
            choice: what the request asks for, or a model that is taken while it is loaded, else the default.

        Raises:
            Halted: generation is switched off.
            Stopping, NotReady, ModelNotLive: see `mixer`.
        """
        self.halt.check()
        if isinstance(choice, ModelIdentity):
            mixer = self.mixer()
            mixer = self.models.made_by(choice) or mixer
        else:
            mixer = self.mixer(choice)
        async with self.models.lease(mixer):
            yield mixer

    async def check_budget(self, sender: Sender | None) -> None:
        """Before work that has waited since its request was let in, whether it may still be paid.

        Args:
            sender: who sent the request, with the budgets of that time; None without a key.

        Raises:
            BudgetSpent, BudgetExhausted, StorageUnavailable: see `Accounts.check_budget`.
        """
        if self._afford is not None:
            await self._afford(sender)

    def forget(self, sha256: str) -> None:
        """Drops all that is in memory of a photograph. A job that needs it fails with `PhotographMissing`."""
        self.models.forget(sha256)
        self.holds.forget(sha256)

    def ill(self) -> str | None:
        """What is wrong with a live model, or None; loading is no illness."""
        return next((illness for one in self.models.answering() if (illness := one.mixer.ill()) is not None), None)

    def _halted(self, error: Halted) -> None:
        self.jobs.fail(error)

    async def close(self) -> None:
        """Takes nothing new and lets go of the device. Requests that a stop has cancelled get a moment to end."""
        self.admission.stopping = self.sample_admission.stopping = True
        await self.jobs.close()
        await self.models.close()

    @property
    def sample_bytes(self) -> int:
        """Memory of the sample faces' files."""
        return self._sample_files.bytes

    # --- samples -------------------------------------------------------------------------------------------

    async def sample_file(
        self,
        number: int,
        seed: int,
        media_type: str,
        drawn: Callable[[SampleResult], None] = lambda result: None,
        choice: Choice = ANY,
        whose: About | None = None,
    ) -> bytes:
        """A sample face as a file, from memory where it has been drawn before.

        Args:
            drawn: hears what was drawn, where it had to be: of those who ask at the same time the first.
            whose: who asks; None for nobody in particular.

        Raises:
            Busy: too many samples are being waited for.
            Halted: generation is switched off.
            Held, ResultWithheld, StorageUnavailable: see `Release.judged`.
        """
        async with self.lease(choice) as mixer:
            recipe = sample_recipe(mixer.model, number, seed)
            # What lies in memory may have been rejected since.
            await self.release.judge.check_rejected([recipe.hash])

            async def draw() -> bytes:
                with self.sample_admission.ticket(1):
                    deadline = time.monotonic() + self.settings.deadline_seconds
                    result = await mixer.sample(number, seed=seed, deadline=deadline)
                    drawn(result)
                    asker = whose or About("unknown", None, mixer.model)
                    await self.release.judged(asker, result.image[None], recipe, margins=[result.margin], by_lot=False)
                    return await mixer.write(self.release.picture, result.image, media_type, recipe)

            wanted = (mixer.model.weights, number, seed, media_type, await self.release.judge.era())
            return await self.halt.unless_halted(self._sample_files.get(wanted, draw))
