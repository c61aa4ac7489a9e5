"""What the checks of results let pass, ask the detector about, and withhold:
``python -m benchmarks.bench_results_checks DATA``.

DATA is a prepared data set; its test split, which the model was not trained on, is mixed. Three kinds of pictures are
judged, with their latents and without:

    ordinary    mixes as the page makes them: nothing of these should be withheld
    extreme     attributes at their limits, the most vivid mixes, far neighbours, regions of their own
    none        what is no face: latents far out, networks that were not trained, noise, patterns

and the rule for documents is tried on mid-points and on made portraits.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.record import RESULTS, machine, table, write
from facemix.errors import DocumentStyle
from facemix.evaluation.codecs import VAECodec
from facemix.faces.centerface import CenterFace
from facemix.mixing.attributes import LIMIT, apply
from facemix.mixing.compose import compose
from facemix.mixing.interpolation import interpolate
from facemix.mixing.prior import sample_noise
from facemix.mixing.recipe import MOST_VIVID, REGIONS, Edits
from facemix.mixing.variation import vary
from facemix.resources import resource_dir
from facemix.safety.document import maybe_document, refuse_document
from facemix.safety.results import LOW_MARGIN, ResultChecks
from facemix.training.dataset import load_split
from facemix.vae.checkpoint import Checkpoint, load_checkpoint, newest_checkpoint
from facemix.vae.directions import load_directions
from facemix.vae.networks import VAE

_STRIP = 33
_REPEATS = 50


class Counting:
    """The detector, counting how often it is asked."""

    def __init__(self) -> None:
        self._detector = CenterFace(threshold=0.05, threads=1)
        self.asked = 0

    def detect(self, image: np.ndarray) -> list[Any]:
        self.asked += 1
        return self._detector.detect(image)


class Pictures:
    """Everything that is judged, `count` pictures of each sort."""

    def __init__(self, checkpoint: Checkpoint, crops: np.ndarray, count: int, seed: int = 0) -> None:
        self._checkpoint, self._count = checkpoint, count
        self._codec = VAECodec(checkpoint.vae)
        self._directions = load_directions(checkpoint.folder, checkpoint.card)
        self._coarse = checkpoint.card.config.coarse_size
        self._rng = np.random.default_rng(seed)
        self._generator = torch.Generator().manual_seed(seed)
        self._z = self._codec.encode(crops)

    def sorts(self) -> Iterator[tuple[str, str, np.ndarray, np.ndarray | None]]:
        """Kind, words, frames and their latents, where each frame has one."""
        rng, names = self._rng, self._directions.names
        middles = self._middles()
        yield from self._decoded("ordinary", "photographs' own reconstructions", self._photographs())
        yield from self._decoded("ordinary", "mid-points of two photographs", middles)
        yield from self._decoded("ordinary", "anywhere between two", self._mixes(2))
        yield from self._decoded("ordinary", "mixes of four", self._mixes(4))
        yield from self._decoded("ordinary", "sample faces", self._samples())
        one = lambda: {rng.choice(names): rng.choice([-LIMIT, LIMIT])}  # noqa: E731
        every = lambda: {name: rng.choice([-LIMIT, LIMIT]) for name in names}  # noqa: E731
        yield from self._decoded("extreme", "one attribute at its limit", self._moved(middles, one))
        yield from self._decoded("extreme", "the same of a photograph", self._moved(self._photographs(), one))
        yield from self._decoded("extreme", "every attribute at its limit", self._moved(middles, every))
        vivid = self._stacked(lambda: self._mix(self._drawn(2), [0.5, 0.5], vividness=MOST_VIVID))
        yield from self._decoded("extreme", "the most vivid mid-points", vivid)
        slerp = self._stacked(lambda: self._mix(self._drawn(2), [0.5, 0.5], how="slerp"))
        yield from self._decoded("extreme", "mid-points on the sphere (slerp)", slerp)
        yield from self._decoded("extreme", "neighbours at radius 1", self._neighbours(middles))
        yield "extreme", "regions and colours of their own", self._regions(), None
        for scale in (2, 3, 4, 6, 10):
            yield from self._decoded("none", f"draws at {scale} times the prior's width", self._far(scale))
        yield from self._decoded("none", "16 numbers of 10, else 0", self._sparse(16, 10.0))
        yield from self._decoded("none", "4 numbers of 40, else 0", self._sparse(4, 40.0))
        yield "none", "mid-points of three draws at 6 times the width, as pixels", self._blended(), None
        yield "none", "networks that were not trained", self._untrained(), None
        yield "none", "noise, flat colours, stripes, tiles", self._patterns(), None
        yield "none", "mid-points in shuffled tiles", self._shuffled(self._codec.decode(middles)), None

    def middles(self) -> np.ndarray:
        return self._codec.decode(self._middles())

    def _decoded(self, kind: str, words: str, z: torch.Tensor) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
        yield kind, words, self._codec.decode(z), z.numpy()

    def _drawn(self, faces: int) -> torch.Tensor:
        return self._z[self._rng.choice(len(self._z), faces, replace=False)]

    def _photographs(self) -> torch.Tensor:
        return self._z[self._rng.permutation(len(self._z))[: self._count]]

    def _mix(self, z: torch.Tensor, weights: Any, **how: Any) -> torch.Tensor:
        return interpolate(z, list(weights), coarse_size=self._coarse, **how)

    def _stacked(self, one: Any) -> torch.Tensor:
        return torch.stack([one() for _ in range(self._count)])

    def _middles(self) -> torch.Tensor:
        return self._stacked(lambda: self._mix(self._drawn(2), [0.5, 0.5]))

    def _mixes(self, faces: int) -> torch.Tensor:
        return self._stacked(lambda: self._mix(self._drawn(faces), self._rng.dirichlet(np.ones(faces))))

    def _draw(self, number: int) -> torch.Tensor:
        prior = self._checkpoint.prior
        return prior.latents(sample_noise(number, len(prior.mean), ordered=True)[None])[0]

    def _samples(self) -> torch.Tensor:
        return torch.stack([self._draw(number) for number in range(self._count)])

    def _moved(self, z: torch.Tensor, values: Any) -> torch.Tensor:
        return torch.stack([apply(one, values(), self._directions) for one in z])

    def _neighbours(self, z: torch.Tensor) -> torch.Tensor:
        mean = self._checkpoint.prior.mean
        return torch.stack([vary(one, self._draw(1000 + n), 1.0, mean, self._coarse) for n, one in enumerate(z)])

    def _regions(self) -> np.ndarray:
        found = []
        for _ in range(self._count):
            chosen = set(self._rng.choice(REGIONS, self._rng.integers(1, 5), replace=False))
            regions = {
                name: (1.0, 0.0) if self._rng.random() < 0.5 else (0.0, 1.0) for name in REGIONS if name in chosen
            }
            edits = Edits(regions=regions, colour=(1.0, 0.0) if self._rng.random() < 0.3 else None)
            shares = [(0.5, 0.5), *edits.regions.values(), *([] if edits.colour is None else [edits.colour])]
            z = self._drawn(2)
            found.append(compose(self._codec.decode(torch.stack([self._mix(z, one) for one in shares])), edits))
        return np.stack(found)

    def _far(self, scale: float) -> torch.Tensor:
        prior = self._checkpoint.prior
        noise = torch.randn(self._count, len(prior.mean), generator=self._generator)
        return prior.mean + scale * (prior.latents(noise) - prior.mean)

    def _sparse(self, numbers: int, size: float) -> torch.Tensor:
        z = torch.zeros(self._count, len(self._checkpoint.prior.mean))
        for row in z:
            where = torch.randperm(len(row), generator=self._generator)[:numbers]
            row[where] = size * torch.randn(numbers, generator=self._generator).sign()
        return z

    def _blended(self) -> np.ndarray:
        far = self._codec.decode(self._far(6)).astype(np.float32)
        chosen = self._rng.integers(0, len(far), (self._count, 3))
        return np.stack([far[one].mean(0) for one in chosen]).astype(np.uint8)

    def _untrained(self) -> np.ndarray:
        found: list[np.ndarray] = []
        while sum(map(len, found)) < self._count:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(len(found))
                codec = VAECodec(VAE(self._checkpoint.card.config).eval().requires_grad_(False))
            found.append(codec.decode(torch.randn(16, codec.latent_size, generator=self._generator)))
        return np.concatenate(found)[: self._count]

    def _patterns(self) -> np.ndarray:
        size, rng = self._checkpoint.card.config.crop_size, self._rng
        y, x = np.mgrid[:size, :size]
        found = []
        for number in range(self._count):
            stripes = 128 + rng.uniform(20, 127) * np.sin(x * rng.uniform(0.05, 1) + y * rng.uniform(-1, 1))
            tile = rng.integers(0, 256, (size // 4, size // 4, 3), dtype=np.uint8)
            found.append(
                (
                    np.full((size, size, 3), rng.integers(0, 256, 3), np.uint8),
                    rng.integers(0, 256, (size, size, 3), dtype=np.uint8),
                    np.repeat(stripes[..., None], 3, axis=2).astype(np.uint8),
                    np.tile(cv2.GaussianBlur(tile, (0, 0), 2), (4, 4, 1)),
                )[number % 4]
            )
        return np.stack(found)

    def _shuffled(self, frames: np.ndarray) -> np.ndarray:
        count, size, tile = len(frames), frames.shape[1], frames.shape[1] // 4
        tiles = frames.reshape(count, 4, tile, 4, tile, 3).transpose(0, 1, 3, 2, 4, 5).reshape(count, 16, tile, tile, 3)
        mixed = np.stack([one[self._rng.permutation(16)] for one in tiles]).reshape(count, 4, 4, tile, tile, 3)
        return np.ascontiguousarray(mixed.transpose(0, 1, 3, 2, 4, 5).reshape(count, size, size, 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--out", type=Path, default=RESULTS / "results_checks.json")
    arguments = parser.parse_args()
    found = measure(arguments.data, arguments.count)
    print(
        table(
            [{"pictures": one["words"], **one["with"], "alone": one["without"]["withheld"]} for one in found["sorts"]]
        )
    )
    write(arguments.out, found | {"machine": machine()})


def measure(data: Path, count: int) -> dict[str, Any]:
    checkpoint = load_checkpoint(newest_checkpoint(resource_dir("checkpoints")))
    crops = load_split(data, "test").images.numpy()
    pictures = Pictures(checkpoint, crops, count)
    detector = Counting()
    checks = ResultChecks.of(checkpoint.folder, detector=detector)
    sorts = []
    for kind, words, frames, latents in pictures.sorts():
        found = {"without": _judged(checks, detector, frames, None)}
        found["with"] = found["without"] if latents is None else _judged(checks, detector, frames, latents)
        sorts.append({"kind": kind, "words": words, "pictures": len(frames), **found})
    middles = pictures.middles()
    return {
        "model": f"{checkpoint.card.name}@{checkpoint.card.weights_sha256[:12]}",
        "sorts": sorts,
        "documents": _documents(middles, crops, detector),
        "cost": _cost(checks, detector, middles),
    }


def _judged(
    checks: ResultChecks, detector: Counting, frames: np.ndarray, latents: np.ndarray | None
) -> dict[str, float]:
    """Shares of the pictures."""
    before = detector.asked
    verdicts = checks.verdict(frames, latents)
    low = [one.margin < LOW_MARGIN and not one.withheld for one in verdicts]
    return {
        "asked": (detector.asked - before) / len(frames),
        "withheld": sum(one.withheld for one in verdicts) / len(frames),
        "low": sum(low) / len(frames),
    }


def portraits(crops: np.ndarray, side: int) -> np.ndarray:
    """Made documents: the oval of each face, smaller, on a white page with room for a head around it.

    (N, S, S, 3) to (N, side, side, 3). Hair is not made up, so the head above the face is white, too.
    """
    size = crops.shape[1]
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    oval = np.clip((1.06 - np.hypot((x - 0.5) / 0.46, (y - 0.5) / 0.55)) / 0.12, 0, 1)[..., None]
    inner = round(0.52 * side)
    left, top = (side - inner) // 2, round(0.34 * side)
    found = np.full((len(crops), side, side, 3), 245, np.uint8)
    for page, crop in zip(found, crops, strict=True):
        made = (crop * oval + 245 * (1 - oval)).astype(np.uint8)
        page[top : top + inner, left : left + inner] = cv2.resize(made, (inner, inner), interpolation=cv2.INTER_AREA)
    return found


def _documents(middles: np.ndarray, crops: np.ndarray, detector: Counting) -> list[dict[str, Any]]:
    some = crops[: len(middles)]
    grey = np.clip(portraits(some, 128).astype(np.int16) - 40, 0, 255).astype(np.uint8)
    noisy = np.random.default_rng(0).integers(0, 256, (len(some), 128, 128, 3), dtype=np.uint8)
    busy = np.where(portraits(some, 128) == 245, noisy, portraits(some, 128))
    sorts = (
        ("mid-points of two photographs", False, middles),
        ("photographs' crops as they are", False, some),
        ("a face in a whole head's place, page white", True, portraits(some, 128)),
        ("the same, 256 pixels", True, portraits(some, 256)),
        ("the same, page light grey", True, grey),
        ("the same, page noise", False, busy),
    )
    found = []
    for words, document, frames in sorts:
        refused = sum(_refused(frame, detector) for frame in frames)
        looked = float(maybe_document(frames).mean())
        found.append(
            {
                "words": words,
                "document": document,
                "pictures": len(frames),
                "asked": looked,
                "refused": refused / len(frames),
            }
        )
    return found


def _refused(frame: np.ndarray, detector: Counting) -> bool:
    try:
        refuse_document(frame[None], detector)
    except DocumentStyle:
        return True
    return False


def _cost(checks: ResultChecks, detector: Counting, frames: np.ndarray) -> dict[str, float]:
    """Milliseconds of processor time, the least of `_REPEATS`: other work on the machine does not add to it."""

    def least(work: Any) -> float:
        taken = []
        for _ in range(_REPEATS):
            started = time.process_time()
            work()
            taken.append(1000 * (time.process_time() - started))
        return min(taken)

    sure = frames[[one.margin > 0.5 for one in checks.verdict(frames)]][:_STRIP]
    return {
        "one_ms": least(lambda: checks.verdict(sure[:1])),
        "strip_ms": least(lambda: checks.verdict(sure)),
        "document_one_ms": least(lambda: maybe_document(sure[:1])),
        "document_strip_ms": least(lambda: maybe_document(sure)),
        "detector_ms": least(lambda: detector.detect(np.pad(sure[0], [(32, 32), (32, 32), (0, 0)]))),
    }


if __name__ == "__main__":
    main()
