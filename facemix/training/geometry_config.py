"""What a fit of the geometry is, as data: saved beside the weights, printed by ``--dry-run``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facemix.errors import ConfigError

# How much each region of the crop has to look alike: eyes, nose, mouth, skin, hair, frame, as in
# `facemix.mixing.recipe.REGIONS`. Hair and background differ, however well they are laid over each other.
REGION_WEIGHTS = (1.0, 1.0, 1.0, 0.7, 0.25, 0.1)
# What a second stage does otherwise: where faces already look alike, the smaller parts of a face may move more freely.
FINER: Mapping[str, object] = MappingProxyType(
    {"steps": 2_500, "learning_rate": 7e-4, "components": 32, "bending": 90.0, "membrane": 18.0, "gradients": 1.0}
)


class GeometryConfig(BaseModel):
    """A fit. Together with the data set's manifest it fixes the result, up to floating point.

    Displacements count in fractions of the crop's side, energies of bending and membrane per control point.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0, lt=2**31)
    steps: int = Field(3_000, ge=1)
    batch_size: int = Field(48, ge=2, description="faces per step")
    region_weights: tuple[float, float, float, float, float, float] = Field(
        REGION_WEIGHTS, description="of eyes, nose, mouth, skin, hair and surroundings in the likeness"
    )
    gradients: float = Field(0.7, ge=0, description="how much gradients count beside the luma itself")
    components: int = Field(24, ge=1, description="dimensions in which faces may differ without cost")
    subspace_faces: int = Field(3_000, ge=2, description="faces, drawn with replacement, that they are computed from")
    subspace_steps: int = Field(400, ge=1, description="how often they are computed again")
    subspace_early: tuple[int, ...] = Field((100, 200), description="further steps at which they are")
    softness: float = Field(0.05, gt=0, description="squared residual up to which it costs its square, not itself")
    bending: float = Field(300.0, ge=0, description="weight of the second differences of the displacement, squared")
    membrane: float = Field(60.0, ge=0, description="weight of its first differences, squared")
    landmark_weight: float = Field(20.0, ge=0, description="of the distance from the detector's landmarks")
    landmark_tolerance: float = Field(0.01, gt=0, description="distance, in crop fractions, up to which it is squared")
    drift_weight: float = Field(100.0, ge=0, description="of the mean displacement of a batch, squared")
    contrast: float = Field(0.2, ge=0, lt=1, description="largest change of contrast in what the network is shown")
    brightness: float = Field(0.1, ge=0, description="standard deviation of its brightness, of black to white")
    flip: bool = Field(True, description="mirror half of the faces")
    learning_rate: float = Field(1e-3, gt=0, description="falls along a cosine")
    least_rate: float = Field(1e-5, ge=0, description="which is added to it")
    warmup_steps: int = Field(100, ge=1, description="the learning rate rises linearly over these")
    weight_decay: float = Field(1e-4, ge=0)
    clip_norm: float = Field(1.0, gt=0, description="largest norm of the gradient")
    checkpoint_seconds: float = Field(180, gt=0, description="how often the state is saved to resume from")

    def renews_subspace(self, step: int) -> bool:
        """Whether the components are computed anew before this step."""
        return step % self.subspace_steps == 0 or step in self.subspace_early


def geometry_config(*, finer: bool = False, **changes: object) -> GeometryConfig:
    """The defaults, or those of a second stage, with some fields changed; None leaves a field alone.

    Raises:
        ConfigError: no such field, or a value out of range.
    """
    given = {key: value for key, value in changes.items() if value is not None}
    try:
        return GeometryConfig.model_validate({**(FINER if finer else {}), **given})
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            f"{'.'.join(map(str, first['loc']))}={first['input']!r}: {first['msg']}",
            hint="`facemix geometry --dry-run` prints the resolved configuration",
        ) from error
