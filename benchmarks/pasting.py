"""Ways of putting a face back: ``python -m benchmarks.pasting PHOTOS --count 100``.

Every photograph gets two faces at 256 pixels: its mix with the next photograph's, and with a sample face. Prints, for
each way of putting them back, the seam (`facemix/evaluation/seams.py`) and how long it took; before, what a large
photograph costs. `docs/faces.md` quotes it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from skimage import data

from facemix.evaluation.codecs import VAECodec
from facemix.evaluation.seams import hard_paste, laid, seam
from facemix.faces.align import Alignment
from facemix.faces.centerface import CenterFace
from facemix.faces.finder import FaceFinder
from facemix.faces.paste import mask_in, onto_blurred, onto_photo
from facemix.imaging.decode import decode_image
from facemix.mixing.prior import sample_noise
from facemix.vae.checkpoint import load_checkpoint, newest_checkpoint

SIDE = 256
_COARSEST = 12  # pixels of the face at which a pyramid ends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    files = sorted(options.photos.glob("*.jpg"))
    files = files[:: max(1, len(files) // options.count)][: options.count]
    finder, model = FaceFinder(CenterFace()), load_checkpoint(newest_checkpoint(Path("checkpoints")))
    codec = VAECodec(model.vae)
    photos = [data.astronaut(), *(decode_image(file.read_bytes()).pixels for file in files)]
    found = [(photo, faces[0].landmarks) for photo in photos if (faces := finder.find(photo))]
    crop = model.vae.config.crop_size
    z = codec.encode(np.stack([Alignment.from_landmarks(marks, crop).crop(photo) for photo, marks in found]))
    samples = model.prior.latents(torch.stack([sample_noise(number, codec.latent_size) for number in range(len(z))]))
    figures: dict[str, list[tuple[float, ...]]] = {name: [] for name in WAYS}
    apart = 0
    for place, (photo, landmarks) in enumerate(found):
        alignment = Alignment.from_landmarks(landmarks, SIDE)
        mask = mask_in(photo.shape, alignment)
        own = alignment.crop(photo)
        apart = max(apart, int(np.abs(onto_photo(photo, alignment, own).astype(int) - photo).max()))
        for other in (z[(place + 1) % len(z)], samples[place]):
            face = codec.decode((z[place] + other)[None] / 2)[0]
            face = cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
            for name, put in WAYS.items():
                begun = time.perf_counter()
                made = put(photo, alignment, face)
                spent = 1000 * (time.perf_counter() - begun)
                result = seam(made, photo, mask)
                figures[name].append((result.mean, result.worst, result.grain, spent))
    print(_large())
    print(f"{len(found)} photographs; put back, their own cuts leave them at most {apart} levels apart")
    print(f"{'medians':24}{'seam':>8}{'worst':>8}{'grain':>8}{'ms':>8}")
    for name, values in figures.items():
        print(f"{name:24}" + "".join(f"{value:8.2f}" for value in np.median(values, 0)))


def _large() -> str:
    """What a photograph of 2048 pixels costs whose face is 512 pixels wide, on one core."""
    factor = 512 / 106  # the astronaut's face is 106 pixels wide
    matrix = np.array([[factor, 0, 1024 - 225 * factor], [0, factor, 1024 - 125 * factor]])
    border = cv2.BORDER_REFLECT_101
    photo = cv2.warpAffine(data.astronaut(), matrix, (2048, 2048), flags=cv2.INTER_CUBIC, borderMode=border)
    alignment = Alignment.from_landmarks(FaceFinder(CenterFace()).find(photo)[0].landmarks, 512)
    face = np.ascontiguousarray(alignment.crop(photo)[:, ::-1])
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    told = []
    for put in (onto_photo, onto_blurred):
        spent = []
        for _ in range(7):
            begun = time.thread_time()
            put(photo, alignment, face)
            spent.append(1000 * (time.thread_time() - begun))
        told.append(f"{put.__name__} {np.median(spent):.0f} ms")
    cv2.setNumThreads(threads)
    return f"2048 x 2048, a face of {alignment.size / alignment.scale:.0f} pixels at 512: {', '.join(told)} of one core"


def soft(photo: np.ndarray, alignment: Alignment, face: np.ndarray) -> np.ndarray:
    """The face laid over the photograph under the soft mask."""
    mask = mask_in(photo.shape, alignment)[..., None]
    return np.rint(photo + mask * (laid(photo, alignment, face).astype(np.float32) - photo)).astype(np.uint8)


def pyramid(photo: np.ndarray, alignment: Alignment, face: np.ndarray) -> np.ndarray:
    """Multiband blending: each band of the difference under the mask reduced to its scale."""
    mask = (mask_in(photo.shape, alignment) > 0.5).astype(np.float32)
    rest = laid(photo, alignment, face).astype(np.float32) - photo
    bands, masks = [], [mask]
    for _ in range(max(1, round(np.log2(alignment.size / alignment.scale / _COARSEST)))):
        lower = cv2.pyrDown(rest)
        bands.append(rest - cv2.pyrUp(lower, dstsize=rest.shape[1::-1]))
        masks.append(cv2.pyrDown(masks[-1]))
        rest = lower
    rest = rest * masks.pop()[..., None]
    while bands:
        band = bands.pop()
        rest = cv2.pyrUp(rest, dstsize=band.shape[1::-1]) + band * masks.pop()[..., None]
    return np.clip(np.rint(photo + rest), 0, 255).astype(np.uint8)


def poisson(photo: np.ndarray, alignment: Alignment, face: np.ndarray) -> np.ndarray:
    """OpenCV's cloning: the face's gradients, with the photograph around them."""
    mask = np.uint8(255) * (mask_in(photo.shape, alignment) > 0.5).astype(np.uint8)
    mask[[0, 1, -2, -1]] = mask[:, [0, 1, -2, -1]] = 0
    x, y, width, height = cv2.boundingRect(mask)
    middle = (x + width // 2, y + height // 2)
    laid_over = laid(photo, alignment, face)
    return cv2.seamlessClone(laid_over, np.ascontiguousarray(photo), mask, middle, cv2.NORMAL_CLONE)


WAYS: dict[str, Callable[[np.ndarray, Alignment, np.ndarray], np.ndarray]] = {
    "cut out and laid over": hard_paste,
    "under a soft mask": soft,
    "multiband": pyramid,
    "Poisson": poisson,
    "facemix": onto_photo,
}


if __name__ == "__main__":
    main()
