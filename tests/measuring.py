"""Results files with figures of the test's choosing."""

from __future__ import annotations

import json
from pathlib import Path


def results_of(weights: str, path: Path, *, name: str = "tiny", **figures: float | None) -> Path:
    """Writes a results file of a model into `path`, which it returns.

    Args:
        weights: whose figures they are.
        figures: means of the reconstruction's; with ``midpoints__`` before its name, of the mid-points'.
    """
    parts: dict[str, dict[str, dict]] = {"reconstruction": {}, "midpoints": {}}
    for whole, mean in figures.items():
        part, _, figure = whole.rpartition("__")
        parts[part or "reconstruction"][figure] = {"mean": mean, "low": None, "high": None, "n": 10}
    identity = {
        "name": name,
        "weights_sha256": weights,
        "created": "2026-01-01T00:00:00+00:00",
        "latent_schema": 1,
        "code_version": "0",
        "same_manifest": True,
    }
    document = {
        "format": "facemix-evaluation",
        "schema_version": 2,
        "model": name,
        "data": {
            "name": "noise",
            "manifest_sha256": "0" * 64,
            "crop_size": 32,
            "split": "test",
            "faces": 10,
            "split_faces": 10,
            "pairs": 5,
        },
        "seed": 0,
        "resamples": 10,
        "code_version": "0",
        "subjects": {name: {"kind": "vae", "identity": identity, **parts}},
        "margins": {},
        "timing": {"per_face": {name: {"encode_ms": 2.5, "decode_ms": 3.5}}},
    }
    path.write_text(json.dumps(document))
    return path
