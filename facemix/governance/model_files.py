"""Whether a registered checkpoint still lies where it did."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from facemix.errors import CheckpointCorrupt, PromotionRefused
from facemix.governance.model_version import ModelVersion


def is_whole(version: ModelVersion) -> bool:
    try:
        check_files(version)
    except PromotionRefused:
        return False
    return True


def check_files(version: ModelVersion) -> None:
    """Raises `PromotionRefused` unless the folder still holds the checkpoint that was registered."""
    try:
        _check_card(version.folder, version.weights)
        check_weights(version.folder, version.weights)
    except CheckpointCorrupt as error:
        raise PromotionRefused(
            error.message, hint=f"put the checkpoint of {version.id} back, or add it from where it is now"
        ) from error


def _check_card(folder: Path, weights: str) -> None:
    path = folder / "card.json"
    try:
        named = json.loads(path.read_bytes())["weights_sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointCorrupt(
            f"{path} cannot be read: {type(error).__name__}", hint="copy the checkpoint again"
        ) from error
    if named != weights:
        raise CheckpointCorrupt(
            f"{path} is the card of other weights than {weights[:16]}...", hint="copy the checkpoint again"
        )


def check_weights(folder: Path, weights: str) -> None:
    path = folder / "model.safetensors"
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointCorrupt(f"{path} cannot be read: {error.strerror}", hint="copy the checkpoint again") from error
    if found != weights:
        raise CheckpointCorrupt(
            f"{path} has SHA-256 {found[:16]}..., not {weights[:16]}...", hint="copy the checkpoint again"
        )
