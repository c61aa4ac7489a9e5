"""What a training run is, as data: saved beside the weights, printed by ``--dry-run``."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facemix.errors import ConfigError
from facemix.vae.config import VAEConfig


class TrainConfig(BaseModel):
    """A training run. Together with the data set's manifest it fixes the result, up to floating point."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("facemix", pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="name of the checkpoint")
    vae: VAEConfig = VAEConfig()
    seed: int = Field(0, ge=0, lt=2**31)
    images: int = Field(200_000, ge=1, description="training images seen in all, over all devices")
    batch_size: int = Field(32, ge=1, description="images per step, over all devices")
    learning_rate: float = Field(6e-4, gt=0)
    adam_betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = Field(0.01, ge=0)
    clip_norm: float = Field(1.0, gt=0, description="largest norm of the gradient")
    warmup_images: int = Field(6_000, ge=0, description="the learning rate rises linearly over these")
    cooldown: float = Field(0.3, ge=0, le=1, description="share of the run, at its end, over which the rate falls")
    final_rate: float = Field(0.0, ge=0, le=1, description="the cooldown ends at this share of the rate")
    ema_images: int = Field(8_000, ge=0, description="half-life of the weight average, in images")
    beta: float = Field(
        4.0,
        gt=0,
        description="weight of the KL divergence; 1 is the ELBO of independent pixels, but at 128 px four of them "
        "carry about what one did at 64",
    )
    sigma: float | None = Field(
        None,
        gt=0,
        description="fixed standard deviation of the likelihood, in units of [-1, 1]; none: the best of every batch",
    )
    kl_warmup_images: int = Field(8_000, ge=0, description="beta rises from 0 over these")
    free_bits: float = Field(0.0, ge=0, description="nats per latent dimension that cost nothing")
    region_strength: float = Field(2.5, ge=1, description="how many times more eyes and mouth count")
    flip: bool = Field(True, description="mirror half of the images")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="arithmetic of the convolutions")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    checkpoint_seconds: float = Field(180, gt=0, description="how often the state is saved to resume from")
    evaluate_images: int = Field(16_000, ge=1, description="how often the validation split is measured")
    validation_images: int = Field(512, ge=1, description="at most so many validation images are measured")


PRESETS: dict[str, TrainConfig] = {
    "tiny": TrainConfig(
        name="tiny",
        vae=VAEConfig(
            crop_size=32,
            latent_size=16,
            encoder_widths=(16, 16),
            decoder_widths=(16, 16),
            norm_groups=4,
        ),
        images=512,
        batch_size=16,
        warmup_images=64,
        ema_images=64,
        kl_warmup_images=64,
        evaluate_images=256,
        validation_images=32,
    ),
    # The shipped checkpoint: for two cores without bf16 units. Begins at the principal components.
    "cpu-128": TrainConfig(
        name="facemix-128",
        vae=VAEConfig(linear_side=32, encoder_patch=8, encoder_widths=(128, 192, 256)),
        images=48_000,
        batch_size=16,
        learning_rate=6e-4,
        warmup_images=2_000,
        kl_warmup_images=0,
        evaluate_images=8_000,
    ),
    # What a textbook would write, to be measured against: plain sizes, a Gaussian likelihood of fixed variance.
    "textbook-128": TrainConfig(
        name="textbook-128",
        vae=VAEConfig(encoder_patch=8, encoder_widths=(96, 128, 192), decoder_patch=8, decoder_widths=(96, 128, 192)),
        images=38_000,
        batch_size=16,
        learning_rate=6e-4,
        sigma=1.0,
        beta=1.0,
        region_strength=1.0,
    ),
    # For a data-centre GPU, in runs that resume.
    "gpu-128": TrainConfig(
        name="facemix-128-large",
        vae=VAEConfig(
            encoder_patch=2,
            encoder_widths=(48, 96, 192, 256, 320),
            decoder_patch=2,
            decoder_widths=(48, 96, 192, 256, 320),
            blocks=2,
        ),
        images=6_000_000,
        batch_size=256,
        learning_rate=6e-4,
        warmup_images=100_000,
        ema_images=100_000,
        kl_warmup_images=300_000,
        evaluate_images=200_000,
        validation_images=2048,
    ),
}


def preset(name: str, /, **changes: object) -> TrainConfig:
    """A preset with some fields changed; None leaves a field alone.

    Raises:
        ConfigError: no such preset, no such field, or a value out of range.
    """
    if name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r}", hint=f"the presets are {', '.join(sorted(PRESETS))}")
    fields = PRESETS[name].model_dump() | {key: value for key, value in changes.items() if value is not None}
    try:
        return TrainConfig.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            f"{'.'.join(map(str, first['loc']))}={first['input']!r}: {first['msg']}",
            hint="`facemix train --dry-run` prints the resolved configuration",
        ) from error
