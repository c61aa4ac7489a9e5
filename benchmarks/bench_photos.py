"""What it costs to come from bytes to crops, and from pixels to files: the former way and today's, side by side.

    python -m benchmarks.bench_photos --out benchmarks/results/photos.json

prints CPU milliseconds (medians, both ways in turn, one thread) of decoding, finding, cropping, of `look`, which is all
three, and of the codecs. The former way decodes every photograph whole and searches it with `THOROUGH`; it wrote PNG
with OpenCV's defaults, JPEG with Pillow and WebP with method 4. Photographs are made of scikit-image's public-domain
portrait; no data set is needed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import skimage.data
from PIL import Image

from benchmarks.record import machine, table, write
from facemix.errors import FaceNotFound
from facemix.faces.align import Alignment
from facemix.faces.centerface import CenterFace
from facemix.faces.finder import THOROUGH, FaceFinder
from facemix.faces.look import look
from facemix.faces.runners import openvino_installed
from facemix.imaging.decode import WORKING_SIDE, DecodeLimits, Photograph, decode_image
from facemix.imaging.encode import encode_image

LIMITS = DecodeLimits(max_side=WORKING_SIDE)
CROP = 128
SIDES = (512, 2000, 3500)
Ways = Mapping[str, Callable[[], Any]]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each way; the median counts")
    parser.add_argument(
        "--quick", action="store_true", help="small photographs once: whether it runs, not what it costs"
    )
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    repeats = 1 if options.quick else options.repeats
    photographs = [("portrait 200", _jpeg(portrait()))]
    if not options.quick:
        photographs += [(f"portrait {side}", _jpeg(_square(portrait(), side))) for side in SIDES]
        photographs += [(f"half-length {side}", _jpeg(_square(skimage.data.astronaut(), side))) for side in SIDES]
        photographs += [("four faces 900", _jpeg(group())), ("no face 451", _jpeg(skimage.data.cat()))]
    results = {
        "machine": machine(),
        "quick": options.quick,
        "repeats": repeats,
        "photographs": look_costs(photographs, repeats, openvino=openvino_installed() and not options.quick),
        "codecs": codec_costs(repeats),
    }
    for part in ("photographs", "codecs"):
        print(table(results[part]), end="\n\n")
    if options.out is not None:
        write(options.out, results)
    return results


def look_costs(photographs: list[tuple[str, bytes]], repeats: int, *, openvino: bool) -> list[dict[str, Any]]:
    """A row for each photograph and stage: CPU milliseconds of either way, their ratio and the faces found."""
    former, finder = FaceFinder(CenterFace(threads=1), THOROUGH), FaceFinder(CenterFace(threads=1))
    other = FaceFinder(CenterFace(threads=1, runner="openvino")) if openvino else None
    rows = []
    for name, data in photographs:
        whole = decode_image(data, LIMITS).pixels
        faces = finder.find(whole)
        stages: dict[str, Ways] = {
            "decode": {
                "former_ms": lambda data=data: decode_image(data, LIMITS),
                "now_ms": lambda data=data: Photograph(data, LIMITS).pixels(640),
            },
            "find": {
                "former_ms": lambda whole=whole: former.find(whole),
                "now_ms": lambda whole=whole: finder.find(whole),
            },
            "look": {
                "former_ms": lambda data=data: _former_look(data, former),
                "now_ms": lambda data=data: _look(data, finder),
            },
        }
        if faces:
            alignment = Alignment.from_landmarks(faces[0].landmarks, CROP)
            reduced = Photograph(data, LIMITS)
            alignment.crop_of(reduced)
            stages["crop"] = {
                "former_ms": lambda whole=whole, alignment=alignment: alignment.crop(whole),
                "now_ms": lambda reduced=reduced, alignment=alignment: alignment.crop_of(reduced),
            }
        if other is not None:
            stages["find"] = {**stages["find"], "openvino_ms": lambda whole=whole: other.find(whole)}
            stages["look"] = {**stages["look"], "openvino_ms": lambda data=data: _look(data, other)}
        counts = {"faces_former": _former_look(data, former), "faces_now": _look(data, finder)}
        for stage, ways in stages.items():
            spent = _cpu_ms(ways, repeats)
            rows.append(
                {
                    "photograph": name,
                    "stage": stage,
                    "former_ms": spent["former_ms"],
                    "now_ms": spent["now_ms"],
                    "ratio": spent["now_ms"] / max(spent["former_ms"], 1e-6),
                    "openvino_ms": spent.get("openvino_ms"),
                    **counts,
                }
            )
    return rows


def codec_costs(repeats: int) -> list[dict[str, Any]]:
    """A row for each picture and format: CPU milliseconds and bytes of either way."""
    frames = [_square(portrait()[index : 160 + index, index : 160 + index], CROP) for index in range(33)]
    sheet = np.concatenate(frames, axis=1)
    pictures = {str(side): _square(portrait(), side) for side in (128, 256, 512)} | {"33 frames of 128": sheet}
    rows = []
    for picture, pixels in pictures.items():
        for media_type, former in FORMER_CODECS.items():
            ways: Ways = {
                "former_ms": lambda former=former, pixels=pixels: former(pixels),
                "now_ms": lambda media_type=media_type, pixels=pixels: encode_image(pixels, media_type),
            }
            spent = _cpu_ms(ways, max(repeats, 1) * 3)
            rows.append(
                {
                    "picture": picture,
                    "format": media_type.removeprefix("image/"),
                    **spent,
                    "ratio": spent["now_ms"] / max(spent["former_ms"], 1e-6),
                    "former_bytes": len(former(pixels)),
                    "now_bytes": len(encode_image(pixels, media_type)),
                }
            )
    return rows


def _pillow(kind: str, **options: Any) -> Callable[[np.ndarray], bytes]:
    def encode(pixels: np.ndarray) -> bytes:
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, kind, **options)
        return buffer.getvalue()

    return encode


FORMER_CODECS: dict[str, Callable[[np.ndarray], bytes]] = {
    "image/png": lambda pixels: cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes(),
    "image/jpeg": _pillow("JPEG", quality=92, subsampling=0),
    "image/webp": _pillow("WEBP", quality=92, method=4),
}


def _former_look(data: bytes, finder: FaceFinder) -> int:
    image = decode_image(data, LIMITS).pixels
    faces = finder.find(image)
    for face in faces:
        Alignment.from_landmarks(face.landmarks, CROP).crop(image)
    return len(faces)


def _look(data: bytes, finder: FaceFinder) -> int:
    try:
        return len(look(data, LIMITS, finder, CROP).faces)
    except FaceNotFound:
        return 0


def _cpu_ms(ways: Ways, repeats: int) -> dict[str, float]:
    """Medians, in turn, so that what else the machine does falls on all of them; one run before is not counted."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(repeats + 1):
        for name, way in ways.items():
            started = time.process_time()
            way()
            if number:
                spent[name].append((time.process_time() - started) * 1000)
    return {name: median(times) for name, times in spent.items()}


def portrait() -> np.ndarray:
    """A head that fills half of its frame, 200 x 200."""
    return np.ascontiguousarray(skimage.data.astronaut()[20:220, 120:320])


def group() -> np.ndarray:
    """Four faces of 1 : 1.5 : 2 : 3, 900 x 600."""
    image = np.full((600, 900, 3), 110, np.uint8)
    for side, x, y in ((360, 20, 20), (240, 400, 30), (180, 660, 40), (120, 420, 380)):
        image[y : y + side, x : x + side] = _square(portrait(), side)
    return image


def _square(image: np.ndarray, side: int) -> np.ndarray:
    smaller = side < image.shape[1]
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def _jpeg(pixels: np.ndarray) -> bytes:
    return _pillow("JPEG", quality=90)(pixels)


if __name__ == "__main__":
    main()
