"""The nearest training faces to a face, from an index that ships with the checkpoint and holds no photograph.

A row of the index is one training face: the direction in which its latent lies, seen from the middle of all faces, and
the first bytes of its photograph's SHA-256. Directions are compared, not distances: a mix lies nearer to the middle
than the faces it is made of, and so nearer to everybody; in which direction it lies does not change with that.

`benchmarks/neighbours.py` measures what this finds; `docs/explaining.md` gives its figures.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from facemix.errors import CheckpointCorrupt, ModelMismatch

if TYPE_CHECKING:  # it brings torch, which pages and commands have no use for
    from facemix.vae.prior import LatentPrior

INDEX_FILE = "neighbours.safetensors"
# Leading dimensions that are compared. More of them find copies that were cropped anew less often, and more of the
# faces could be drawn from the index.
DIMENSIONS = 64
HASH_BYTES = 8
# Of the training faces that have no copy among themselves, this share lies nearer than this to another one.
ALARM_SHARE = 0.01
_VERSION = "1"
_LEVELS = 127  # of int8
_BLOCK = 1024
# Rows of one product in a search: so few that no library spreads it over threads, which on a busy machine takes thirty
# times as long as the product.
_PART = 1024


@dataclass(frozen=True)
class Neighbour:
    """A training face.

    Attributes:
        hash: the first 16 hexadecimal digits of its photograph's SHA-256.
        distance: the angle between the two directions in degrees: 0 for the same face, about 90 for faces that have
            nothing to do with one another.
        percentile: percentage of training faces whose own nearest neighbour is nearer than this.
    """

    hash: str
    distance: float
    percentile: float


@dataclass(frozen=True)
class NeighbourIndex:
    """Every training face of one model.

    Attributes:
        directions: (N, D) float32, unit vectors.
        hashes: (N, 8) uint8.
        mean: (D,) float32, the middle of all faces.
        whiten: (D, D) float32; ``(z[:D] - mean) @ whiten.T`` has covariance 1 over all faces.
        typical: (101,) float32, percentiles of the angle between a training face and its nearest other one, in degrees,
            over those faces that have no near-duplicate.
        facts: what the index says of itself, JSON-serialisable.
    """

    directions: np.ndarray
    hashes: np.ndarray
    mean: np.ndarray
    whiten: np.ndarray
    typical: np.ndarray
    facts: dict[str, Any]

    def __len__(self) -> int:
        return len(self.directions)

    @property
    def limit(self) -> float:
        """The angle in degrees below which a face counts as a copy, see `ALARM_SHARE`."""
        return float(np.interp(100 * ALARM_SHARE, np.arange(101), self.typical))

    def towards(self, z: np.ndarray) -> np.ndarray:
        """The directions of (..., Z) latents: (..., D) float32 unit vectors; 0 for the middle itself."""
        return _unit((np.asarray(z, np.float32)[..., : len(self.mean)] - self.mean) @ self.whiten.T)

    def nearest(self, z: np.ndarray, k: int = 5) -> list[Neighbour]:
        """The `k` training faces nearest to a face, the nearest first.

        Args:
            z: its latent, (Z,), or several of the same face, (V, Z), as of its picture and of its mirror image: a
                training face counts as near as it is to the nearest of them.
        """
        views = self.towards(np.atleast_2d(z))
        parts = (self.directions[start : start + _PART] for start in range(0, len(self), _PART))
        cosines = np.concatenate([views @ part.T for part in parts], axis=1).max(0)
        k = min(k, len(cosines))
        first = np.argpartition(-cosines, k - 1)[:k]
        first = first[np.argsort(-cosines[first], kind="stable")]
        return [
            Neighbour(self.hashes[row].tobytes().hex(), angle, self.percentile(angle))
            for row, angle in ((row, _degrees(cosines[row])) for row in first)
        ]

    def angle(self, first: np.ndarray, second: np.ndarray) -> float:
        """Degrees between two faces, each given as for `nearest`; the least where there are several latents."""
        ways = self.towards(np.atleast_2d(first)) @ self.towards(np.atleast_2d(second)).T
        return _degrees(ways.max())

    def distance(self, z: np.ndarray, neighbour: Neighbour) -> float:
        """Degrees between a face, given as for `nearest`, and a training face."""
        wanted = np.frombuffer(bytes.fromhex(neighbour.hash), np.uint8)
        rows = self.directions[(self.hashes == wanted).all(1)]
        return _degrees((rows @ self.towards(np.atleast_2d(z)).T).max())

    def percentile(self, angle: float) -> float:
        """Percentage of training faces whose nearest other one is nearer than `angle` degrees."""
        return float(np.interp(angle, self.typical, np.arange(101), left=0, right=100))

    def holds(self, sha256: str) -> bool:
        """Whether a photograph of that SHA-256 (hexadecimal) is among them, as far as 8 bytes can tell."""
        wanted = np.frombuffer(bytes.fromhex(sha256)[:HASH_BYTES], np.uint8)
        return bool((self.hashes == wanted).all(1).any())

    def save(self, folder: Path) -> Path:
        """Writes the index into a checkpoint's folder, whole or not at all."""
        tensors = {
            "directions": np.rint(self.directions / _steps(self.directions)).astype(np.int8),
            "hashes": np.ascontiguousarray(self.hashes, np.uint8),
            "mean": np.ascontiguousarray(self.mean, np.float32),
            "whiten": np.ascontiguousarray(self.whiten, np.float32),
            "typical": np.ascontiguousarray(self.typical, np.float32),
        }
        facts = json.dumps(self.facts | {"tensors_sha256": _digest(tensors)}, sort_keys=True)
        path = folder / INDEX_FILE
        unfinished = path.with_name(path.name + ".tmp")
        unfinished.write_bytes(save(tensors, metadata={"version": _VERSION, "facts": facts}))
        unfinished.replace(path)
        return path


def build_index(
    latents: np.ndarray,
    sha256: Sequence[str],
    copies: Sequence[bool],
    prior: LatentPrior,
    *,
    coarse_size: int,
    facts: dict[str, Any],
) -> NeighbourIndex:
    """The index of a training set.

    Args:
        latents: (N, Z) float32, one per training face; N at least 2.
        sha256: of each photograph, hexadecimal.
        copies: whether the face has a near-duplicate among the others. Those are found like all others, but how near
            training faces lie to one another is told without them: they would make copies look usual.
        prior: of the model.
        coarse_size: of the model; the detail after it belongs to single photographs and is not compared.
        facts: what the index is to say of itself.
    """
    size = min(DIMENSIONS, coarse_size or len(prior.mean))
    mean = prior.mean[:size].numpy().astype(np.float32)
    whiten = np.linalg.inv(prior.scale[:size, :size].double().numpy()).astype(np.float32)
    ways = _unit((latents[:, :size] - mean) @ whiten.T)
    ways = _unit(np.rint(ways / _steps(ways)) * _steps(ways))  # as the file will give them back
    alone = ~np.asarray(copies, bool)
    typical = np.percentile(_nearest_others(ways)[alone], np.arange(101)).astype(np.float32)
    hashes = np.stack([np.frombuffer(bytes.fromhex(one)[:HASH_BYTES], np.uint8) for one in sha256])
    facts = {
        **facts,
        "faces": len(latents),
        "faces_with_a_copy": int(np.count_nonzero(~alone)),
        "dimensions": size,
        "alarm_share": ALARM_SHARE,
    }
    return NeighbourIndex(ways, hashes, mean, whiten, typical, facts)


def load_index(folder: Path, *, weights: str, latent_schema: int) -> NeighbourIndex | None:
    """The index beside a checkpoint, None where there is none.

    Args:
        folder: the checkpoint's.
        weights, latent_schema: of the model, see `facemix.vae.checkpoint.Card`.

    Raises:
        ModelMismatch: it belongs to other weights.
        CheckpointCorrupt: it is damaged.
    """
    path = folder / INDEX_FILE
    if not path.is_file():
        return None
    try:
        tensors = load(path.read_bytes())
        with safe_open(path, framework="numpy") as opened:
            facts = json.loads((opened.metadata() or {})["facts"])
        index = _checked(tensors, facts)
        made_for = str(facts["weights_sha256"]), int(facts["latent_schema"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointCorrupt(
            f"{path} is not an index of training faces: {error}",
            hint="copy the file again, or run `facemix neighbours DATA CHECKPOINT`",
        ) from error
    if made_for != (weights, latent_schema):
        raise ModelMismatch(
            f"the index of training faces in {folder} belongs to weights {made_for[0][:12]}, not to {weights[:12]}",
            hint="build it again with `facemix neighbours DATA CHECKPOINT`",
        )
    return index


def _checked(tensors: dict[str, np.ndarray], facts: dict[str, Any]) -> NeighbourIndex:
    """Raises `ValueError` or `KeyError` for what is no index."""
    if facts["tensors_sha256"] != _digest(tensors):
        raise ValueError("its tensors are not those that its facts name")
    directions, hashes, mean = tensors["directions"], tensors["hashes"], tensors["mean"]
    count, size = directions.shape
    if (hashes.shape, mean.shape, tensors["whiten"].shape, tensors["typical"].shape) != (
        (count, HASH_BYTES),
        (size,),
        (size, size),
        (101,),
    ) or not count:
        raise ValueError("its parts do not fit together")
    for name in ("mean", "whiten", "typical"):
        if not np.isfinite(tensors[name]).all():
            raise ValueError(f"{name} holds a number that is not finite")
    ways = _unit(directions.astype(np.float32))
    return NeighbourIndex(ways, hashes, mean, tensors["whiten"], tensors["typical"], facts)


def _nearest_others(ways: np.ndarray) -> np.ndarray:
    """Degrees from each of (N, D) unit vectors to the nearest other one: (N,)."""
    found = np.empty(len(ways), np.float32)
    for start in range(0, len(ways), _BLOCK):
        cosines = ways[start : start + _BLOCK] @ ways.T
        rows = np.arange(len(cosines))
        cosines[rows, start + rows] = -1
        found[start : start + _BLOCK] = cosines.max(1)
    return np.degrees(np.arccos(np.clip(found, -1, 1)))


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


def _steps(ways: np.ndarray) -> np.ndarray:
    """What one level of int8 stands for, in each row."""
    return np.maximum(np.abs(ways).max(1, keepdims=True), 1e-12) / _LEVELS


def _degrees(cosine: float) -> float:
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _digest(tensors: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(set(tensors)):
        digest.update(name.encode() + str(tensors[name].dtype).encode() + str(tensors[name].shape).encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()
