"""The photographs that are sent: scikit-image's public-domain portrait (`astronaut`) and its mirror image."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import skimage.data
from PIL import Image

QUALITY = 90


def portrait(side: int = 512, *, mirrored: bool = False) -> bytes:
    """A JPEG file of side x side pixels; larger than 512 it is enlarged."""
    image = Image.fromarray(skimage.data.astronaut())
    if mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if side != image.width:
        image = image.resize((side, side), Image.Resampling.LANCZOS)
    file = BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def unique(photo: bytes, number: int) -> bytes:
    """The same photograph with a comment in its header that makes it another file for every number."""
    return photo[:2] + b"\xff\xfe\x00\x12" + b"%016x" % number + photo[2:]


def pair(folder: Path, side: int = 512) -> tuple[str, str]:
    """Two people's photographs as files in `folder`."""
    paths = (folder / "a.jpg", folder / "b.jpg")
    for path, mirrored in zip(paths, (False, True), strict=True):
        path.write_bytes(portrait(side, mirrored=mirrored))
    return str(paths[0]), str(paths[1])
