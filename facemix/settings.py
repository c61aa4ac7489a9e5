"""Typed settings, read from the environment in this one place and passed on as values.

Every setting is an environment variable ``FACEMIX_<NAME>``; ``docs/settings.md`` lists them and a test
compares that page with this class.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from facemix.errors import ConfigError

MEBIBYTE = 1024 * 1024


class Settings(BaseSettings):
    """What an operator may change."""

    model_config = SettingsConfigDict(env_prefix="FACEMIX_", env_ignore_empty=True, extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="address the server binds to")
    port: int = Field(8000, ge=1, le=65535, description="port the server binds to")
    checkpoint: Path | None = Field(
        None, description="folder of the checkpoint to serve; empty means the newest one that ships"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where the model runs")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "fp32", description="arithmetic of the model; auto takes bf16 where the device has it"
    )
    threads: int = Field(0, ge=0, le=256, description="CPU threads for inference; 0 means one per core")
    max_upload_bytes: int = Field(
        10 * MEBIBYTE, ge=1024, description="largest photograph accepted, in bytes, checked before reading"
    )
    max_image_pixels: int = Field(
        50_000_000, ge=1024, description="largest photograph accepted, in pixels, checked before decoding"
    )
    max_body_bytes: int = Field(
        32 * MEBIBYTE,
        ge=4096,
        description="largest request body accepted, in bytes, counted while it arrives",
    )
    allow_heif: bool = Field(False, description="accept HEIC photographs (needs the extra facemix[heif])")
    allow_avif: bool = Field(False, description="accept AVIF photographs")
    max_parents: int = Field(8, ge=2, le=32, description="most faces in one recipe")
    max_steps: int = Field(65, ge=2, le=257, description="most frames in one strip")
    max_concurrent: int = Field(
        8, ge=1, le=1024, description="requests worked on at the same time; further ones are answered 503"
    )
    strip_steps: int = Field(33, ge=3, le=257, description="frames that the page fetches to scrub through")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="how much is logged")


def load_settings() -> Settings:
    """Reads the environment.

    Raises:
        ConfigError: a variable has a value that its setting does not accept; all of them are named.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"FACEMIX_{'_'.join(str(part) for part in item['loc']).upper()}={item['input']!r}: {item['msg']}"
            for item in error.errors()
        )
        raise ConfigError(
            f"the environment holds settings that are not valid: {wrong}",
            hint="docs/settings.md lists every setting with its type and default",
        ) from error
