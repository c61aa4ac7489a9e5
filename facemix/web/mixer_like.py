"""What the web room needs of a mixer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from facemix.mixing.recipe import Edits, ModelIdentity
from facemix.serving.held_cuts import HeldCuts
from facemix.serving.observer import Observer
from facemix.serving.types import (
    Cost,
    FoundPhoto,
    FrameSpec,
    FramesResult,
    LatentResult,
    MixResult,
    ParentFace,
    ParentInput,
    PhotoInput,
    SampleResult,
    StripResult,
    Vitals,
)

if TYPE_CHECKING:
    from facemix.explaining.index import NeighbourIndex
    from facemix.vae.directions import AttributeDirections

T = TypeVar("T")


class MixerLike(Protocol):
    """What the web room needs of `facemix.serving.mixer.Mixer`."""

    model: ModelIdentity
    card: dict[str, Any]
    crop_size: int
    latent_size: int
    attributes: AttributeDirections | None
    neighbours: NeighbourIndex | None

    async def find_faces(self, photo: PhotoInput, *, deadline: float | None = None) -> FoundPhoto: ...

    async def keep_cuts(
        self, photo: PhotoInput, found: FoundPhoto, indexes: Iterable[int], *, deadline: float | None = None
    ) -> None: ...

    async def hold_cuts(
        self,
        held: HeldCuts,
        parents: Sequence[ParentInput],
        faces: Sequence[ParentFace],
        specs: Sequence[FrameSpec],
        *,
        deadline: float | None = None,
    ) -> None: ...

    def forget(self, sha256: str) -> None: ...

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

    def check_outside(self, z: np.ndarray, *, where: str | None = None) -> None: ...

    def ill(self) -> str | None: ...

    def vitals(self) -> Vitals: ...

    def close(self) -> None: ...


MixerFactory = Callable[[Observer], MixerLike]
