"""The conditioning record of a result, from what the mixer knows of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib import metadata
from typing import Any, Protocol

from facemix import __version__
from facemix.explaining.record import ParentGates, Reading, conditioning_record, quality_readings
from facemix.mixing.recipe import Recipe
from facemix.safety.photo_gate import PhotoGate
from facemix.serving.types import ParentFace, Vitals
from facemix.settings import Settings

# Those that change what comes out, or what is let in and given out. None of them is a secret or an address.
SHAPING = (
    "backend",
    "precision",
    "detector",
    "max_image_pixels",
    "max_upload_bytes",
    "consent",
    "gate",
    "check_results",
    "guard_distance",
    "review_share",
    "label",
    "mark",
    "credentials",
)
_LIBRARIES = ("torch", "numpy", "opencv-python-headless", "onnxruntime", "openvino")


class Known(Protocol):
    """What is asked of a mixer; its photograph gate besides, where it has one."""

    card: dict[str, Any]

    def vitals(self) -> Vitals: ...


def record_of(
    mixer: Known,
    settings: Settings,
    recipe: Recipe,
    parents: Sequence[ParentFace],
    *,
    name: Callable[[str], str] | None,
    gates: Sequence[Sequence[Reading]] = (),
    checks: Sequence[Reading] = (),
) -> dict[str, Any]:
    """What one result was made under; see `conditioning_record`.

    Args:
        parents: what was used of each, as in the result.
        name: see `conditioning_record`.
        gates: further readings of each parent's photograph, besides those of its quality; empty for none.
        checks: what was measured of the result.
    """
    vitals = mixer.vitals()
    further = list(gates) or [()] * len(parents)
    return conditioning_record(
        recipe.model_dump(mode="json"),
        recipe.hash,
        name=name,
        card=mixer.card,
        versions={**_versions(), "backend": vitals.backend, "device": vitals.device},
        settings={name: getattr(settings, name) for name in SHAPING},
        gates=[
            ParentGates(
                described.kind if used.photo is None else "photo",
                None if used.photo is None else len(used.photo.faces),
                _quality(used, getattr(mixer, "gate", None)) + tuple(more),
            )
            for used, described, more in zip(parents, recipe.parents, further, strict=True)
        ],
        checks=checks,
    )


def _quality(used: ParentFace, gate: PhotoGate | None) -> tuple[Reading, ...]:
    quality = used.quality if used.chosen is None else used.chosen.quality
    if quality is None:
        return ()
    return quality_readings(quality, None if gate is None else gate.threshold)


@cache
def _versions() -> dict[str, str]:
    found = {"facemix": __version__, "python": ".".join(map(str, sys.version_info[:3]))}
    for library in _LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found
