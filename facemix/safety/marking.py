"""What is put on every result before it leaves: label, invisible mark, and content credentials, as the operator chose.

The order is fixed, since each covers the one before: label, mark, encoding, XMP, signature.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facemix.governance.secrets import Secrets
from facemix.imaging.encode import MediaType, encode_image
from facemix.safety.credentials import Facts, Signer, UploadCredentials, open_signer
from facemix.safety.label import label as write_label
from facemix.safety.watermark import Watermark
from facemix.safety.xmp import with_xmp
from facemix.settings import Settings

__all__ = ["Facts", "Marker", "UploadCredentials", "open_marker"]

PURPOSE = "watermark"


class Marker:
    """Marks results as one installation does. Thread-safe; the same frame and recipe give the same pixels.

    Attributes:
        label: whether the visible label is written.
        watermark: what marks and finds marks; None where there is no secret.
        mark: whether the invisible mark is put in.
        credentials: what signs and reads signatures; None where files are not signed.
    """

    def __init__(self, *, label: bool, mark: bool, credentials: Signer | None, secrets: Secrets | None) -> None:
        """
        Args:
            secrets: those of the installation. Marks are read with them even when none are put in any more.

        Raises:
            ValueError: a mark is wanted without secrets.
        """
        if mark and secrets is None:
            raise ValueError("an invisible mark needs the secrets of the installation")
        self.label, self.mark, self.credentials = label, mark, credentials
        self.watermark = None if secrets is None else Watermark(secrets.derive(PURPOSE))

    @classmethod
    def off(cls) -> Marker:
        """One that does nothing but encode."""
        return cls(label=False, mark=False, credentials=None, secrets=None)

    @property
    def put_on(self) -> str:
        """What results bear, in three digits: label, mark, credentials."""
        return f"{self.label:d}{self.mark:d}{self.credentials is not None:d}"

    def pixels(self, frames: np.ndarray, recipe_hashes: Sequence[str]) -> np.ndarray:
        """Frames with label and mark.

        Args:
            frames: (N, H, W, 3) or (H, W, 3) uint8 RGB, of any shape; left as they are.
            recipe_hashes: SHA-256 of the recipes, hexadecimal: one for all frames or one for each.

        Returns:
            As `frames`; they themselves where there is nothing to do.

        Raises:
            ValueError: frames of another shape, or another number of hashes (a mistake of the program).
        """
        single = frames[None] if frames.ndim == 3 else frames
        if single.ndim != 4 or single.shape[3] != 3 or 0 in single.shape[1:3] or single.dtype != np.uint8:
            raise ValueError(f"frames must be (N, H, W, 3) uint8, not {frames.shape} {frames.dtype}")
        if len(recipe_hashes) not in (1, len(single)) or isinstance(recipe_hashes, str):
            raise ValueError(f"{len(recipe_hashes)} recipes for {len(single)} frames")
        if not (self.label or self.mark):
            return frames
        marked = single.copy()
        if self.label:
            write_label(marked)
        if self.mark and self.watermark is not None:
            self.watermark.embed(marked, list(recipe_hashes) * (len(single) if len(recipe_hashes) == 1 else 1))
        return marked[0] if frames.ndim == 3 else marked

    def file(self, pixels: np.ndarray, media_type: MediaType, facts: Facts, *, quality: int = 92) -> bytes:
        """Encodes a picture that `pixels` has marked, and signs it. Raises as `encode_image` and `sign`."""
        return self.sign(encode_image(pixels, media_type, quality), media_type, facts)

    def sign(self, data: bytes, media_type: str, facts: Facts) -> bytes:
        """A file of `facemix.imaging`, a picture or an animation, with XMP and content credentials; as it is where
        files are not signed.

        Raises:
            InstallationError: see `Signer.sign`.
        """
        if self.credentials is None:
            return data
        return self.credentials.sign(with_xmp(data, media_type), media_type, facts)


def open_marker(settings: Settings, secrets: Secrets) -> Marker:
    """The marker that the settings describe. The certificate is made at the first call.

    Raises:
        ConfigError, StorageUnavailable, InstallationError: see `open_signer`.
    """
    credentials = open_signer(settings) if settings.credentials else None
    return Marker(label=settings.label, mark=settings.mark, credentials=credentials, secrets=secrets)
