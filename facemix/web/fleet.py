"""Which models a server is to hold, and how each is made."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from facemix.errors import CheckpointCorrupt
from facemix.resources import resource_dir
from facemix.serving.observer import Observer
from facemix.web.mixer_like import MixerFactory, MixerLike

if TYPE_CHECKING:
    from facemix.governance.registry import Registry

Role = Literal["default", "live", "candidate", "standby"]


@dataclass(frozen=True)
class Planned:
    """A model that is to be held.

    Attributes:
        key: the same for as long as the same model is meant.
        name: under which a live one is asked for.
        role: the default answers whoever names none, a candidate its share of those; a live one whoever names it, and
            one on standby whoever brings a face that was made with it.
        make: called in a thread.
        folder: of its checkpoint, where that is known.
    """

    key: str
    name: str
    role: Role
    make: MixerFactory = field(repr=False, compare=False)
    share: float = 0.0
    folder: Path | None = None


class Fleet(Protocol):
    """Says what is to be held. Its methods may wait for a database, and are called in a thread."""

    def plan(self, *, anew: bool) -> Sequence[Planned]:
        """The models, the default first.

        Args:
            anew: whether somebody wants them looked at again, rather than a change being followed.

        Raises:
            FacemixError: it cannot be said now.
        """
        ...


class OneModel:
    """What the factory makes, again each time somebody asks for it: the checkpoint's folder may hold another by now."""

    def __init__(self, factory: MixerFactory) -> None:
        self._factory = factory
        self._numbers = itertools.count(1)
        self._key = "0"

    def plan(self, *, anew: bool) -> Sequence[Planned]:
        if anew:
            self._key = str(next(self._numbers))
        return [Planned(self._key, "", "default", self._factory)]


class Registered:
    """What the registry says.

    Args:
        make: makes the mixer of a checkpoint's folder.
        standby_seconds: for so long a model that was stood down stays at hand, for faces that were made with it.
    """

    def __init__(
        self, registry: Registry, make: Callable[[Path, Observer], MixerLike], *, standby_seconds: float
    ) -> None:
        self._registry, self._make, self._standby_seconds = registry, make, standby_seconds

    def plan(self, *, anew: bool) -> Sequence[Planned]:
        if anew:
            from facemix.vae.checkpoint import newest_checkpoint  # brings torch along

            self._registry.adopt(shipped=newest_checkpoint(resource_dir("checkpoints")))
        return [
            Planned(
                key=version.weights,
                name=version.name,
                role=place.role,
                make=self._factory(version.folder, version.weights),
                share=version.share,
                folder=version.folder,
            )
            for place in self._registry.places(self._standby_seconds)
            for version in (place.version,)
        ]

    def _factory(self, folder: Path, weights: str) -> MixerFactory:
        def make(observer: Observer) -> MixerLike:
            mixer = self._make(folder, observer)
            if mixer.model.weights != weights:
                mixer.close()
                raise CheckpointCorrupt(
                    f"{folder} holds {mixer.model}, the registry says {weights[:12]}",
                    hint="add the checkpoint that is there now with `facemix models add`, and promote it",
                )
            return mixer

        return make
