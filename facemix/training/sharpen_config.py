"""What a sharpening run is, as data: saved beside the weights, printed by ``--dry-run``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facemix.errors import ConfigError

Width = Annotated[int, Field(ge=1)]


class SharpenConfig(BaseModel):
    """A sharpening run. Together with the checkpoint and the data set's manifest it fixes the result, up to
    floating point. Loss weights count per pixel of crops in [-1, 1]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0, lt=2**31)
    images: int = Field(28_000, ge=1, description="photographs seen in all")
    batch_size: int = Field(16, ge=2, description="photographs per step")
    mix_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="decoded mixes per photograph that the discriminator sees; with so small a one dots grew in them",
    )
    coarse_size: int | None = Field(
        None, ge=0, description="dimensions that are not detail (see `facemix.vae.detail`); none: as in the checkpoint"
    )
    drop_share: float = Field(
        0.5, ge=0, le=1, description="share of the photographs decoded without their detail, if the latent has any"
    )
    drop_fidelity: float = Field(
        0.5, ge=0, description="weight of the pixels' losses on those photographs; below 1, detail may be invented"
    )
    sample_share: float = Field(
        0.0, ge=0, le=1, description="share of the photographs decoded from a posterior sample instead of its mean"
    )
    learning_rate: float = Field(2e-4, gt=0, description="of the decoder")
    adam_betas: tuple[float, float] = Field((0.5, 0.99), description="of the decoder")
    discriminator_rate: float = Field(4e-4, gt=0, description="learning rate of the discriminator")
    discriminator_betas: tuple[float, float] = (0.0, 0.99)
    weight_decay: float = Field(0.0, ge=0)
    clip_norm: float = Field(1.0, gt=0, description="largest norm of the decoder's gradient")
    discriminator_clip_norm: float = Field(
        20.0, gt=0, description="the discriminator's: high enough for the steps that carry a penalty"
    )
    warmup_images: int = Field(1_000, ge=0, description="both learning rates rise linearly over these")
    cooldown: float = Field(0.3, ge=0, le=1, description="share of the run, at its end, over which the rates fall")
    final_rate: float = Field(0.1, ge=0, le=1, description="the cooldown ends at this share of the rates")
    ema_images: int = Field(4_000, ge=0, description="half-life of the weight average, in images")
    l1_weight: float = Field(1.0, ge=0, description="of the absolute error")
    laplacian_weight: float = Field(0.5, ge=0, description="of the absolute error of each level of a Laplacian pyramid")
    laplacian_levels: int = Field(3, ge=1, le=6, description="band-pass levels of the pyramid, from fine to coarse")
    mse_weight: float = Field(1.0, ge=0, description="of the squared error, which keeps the fidelity of training")
    contrast_weight: float = Field(2.0, ge=0, description="of the contrast that is lacking, patch by patch")
    region_strength: float = Field(2.5, ge=1, description="how many times more eyes and mouth count in these")
    feature_weight: float = Field(0.2, ge=0, description="of the distance between the discriminator's features")
    adversarial_weight: float = Field(0.1, ge=0, description="of the adversarial loss, once ramped up")
    ramp_images: int = Field(3_000, ge=0, description="the adversarial weight rises from 0 over these")
    penalty_weight: float = Field(1.0, ge=0, description="gamma of R1 on photographs and R2 on decoded faces")
    penalty_steps: int = Field(
        8, ge=1, description="the penalties are computed every so many steps, and count as often"
    )
    discriminator_widths: tuple[Width, ...] = Field((64, 128, 160, 160), min_length=1)
    translation: float = Field(1 / 8, ge=0, le=0.5, description="largest shift of what the discriminator sees")
    cutout: float = Field(1 / 2, ge=0, lt=1, description="side of the hole in what the discriminator sees")
    flip: bool = Field(True, description="mirror half of the images")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="arithmetic of the convolutions")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    checkpoint_seconds: float = Field(180, gt=0, description="how often the state is saved to resume from")
    evaluate_images: int = Field(8_000, ge=1, description="how often the validation split is measured")
    validation_images: int = Field(512, ge=1, description="at most so many validation images are measured")


def sharpen_config(**changes: object) -> SharpenConfig:
    """The defaults with some fields changed; None leaves a field alone.

    Raises:
        ConfigError: no such field, or a value out of range.
    """
    try:
        return SharpenConfig.model_validate({key: value for key, value in changes.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            f"{'.'.join(map(str, first['loc']))}={first['input']!r}: {first['msg']}",
            hint="`facemix sharpen --dry-run` prints the resolved configuration",
        ) from error
