"""The shape of a network, as data: saved in the checkpoint's card, enough to build it again."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Width = Annotated[int, Field(ge=1)]


class VAEConfig(BaseModel):
    """Everything that decides the network's tensors.

    Widths are listed from fine to coarse. With `encoder_patch` p the encoder's first stage works at
    crop_size / p, each further one at half of the one before; the decoder mirrors that with `decoder_patch`.
    Both must end at the same coarsest resolution.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    crop_size: int = Field(128, ge=16, le=1024, description="side of the crops, pixels")
    latent_size: int = Field(512, ge=2, le=4096, description="dimensions of z")
    coarse_size: int = Field(
        0, ge=0, description="so many dimensions mix straight; those after them are detail (see `detail`); 0: all mix"
    )
    encoder_patch: int = Field(4, ge=1, le=8, description="pixel-unshuffle factor at the encoder's input")
    encoder_widths: tuple[Width, ...] = Field((64, 128, 192, 256), min_length=1)
    decoder_patch: int = Field(4, ge=1, le=8, description="pixel-shuffle factor at the decoder's output")
    decoder_widths: tuple[Width, ...] = Field((64, 128, 192, 256), min_length=1)
    blocks: int = Field(1, ge=1, le=8, description="residual blocks per stage")
    linear_side: int = Field(
        0, ge=0, description="side of the low-pass picture that a linear path carries beside the convolutions; 0: none"
    )
    norm_groups: int = Field(16, ge=1, description="groups of every GroupNorm")

    @model_validator(mode="after")
    def _consistent(self) -> VAEConfig:
        for side, patch, widths in (
            ("encoder", self.encoder_patch, self.encoder_widths),
            ("decoder", self.decoder_patch, self.decoder_widths),
        ):
            step = patch * 2 ** (len(widths) - 1)
            if self.crop_size % step:
                raise ValueError(f"crop_size {self.crop_size} is not a multiple of {step}, which the {side} needs")
            for width in widths:
                if width % self.norm_groups:
                    raise ValueError(f"{side} width {width} is not a multiple of {self.norm_groups} groups")
        if self.coarse_size >= self.latent_size:
            raise ValueError(f"coarse_size {self.coarse_size} leaves no detail of latent_size {self.latent_size}")
        if self.linear_side and self.crop_size % self.linear_side:
            raise ValueError(f"crop_size {self.crop_size} is not a multiple of linear_side {self.linear_side}")
        if self.latent_size > 3 * self.linear_side**2 > 0:
            raise ValueError(
                f"a picture of linear_side {self.linear_side} has {3 * self.linear_side**2} numbers, too few for "
                f"latent_size {self.latent_size}"
            )
        if self.coarsest("encoder") != self.coarsest("decoder"):
            raise ValueError(
                f"the encoder ends at {self.coarsest('encoder')} pixels and the decoder begins at "
                f"{self.coarsest('decoder')}"
            )
        return self

    def coarsest(self, side: str) -> int:
        """Side of the smallest feature map of ``"encoder"`` or ``"decoder"``."""
        patch, widths = (
            (self.encoder_patch, self.encoder_widths)
            if side == "encoder"
            else (self.decoder_patch, self.decoder_widths)
        )
        return self.crop_size // (patch * 2 ** (len(widths) - 1))
