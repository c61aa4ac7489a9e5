"""The photograph gate: is this crop a photograph of a face that can be seen?

A small network over `facemix.safety.photo_features`, fitted by `facemix gate` and kept as ``gate.json`` beside the
checkpoint that it was fitted for. A checkpoint without that file has no gate. What it can and cannot do, with measured
rates, stands in ``docs/safety.md``.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facemix.errors import CheckpointCorrupt, FaceNotPhotograph, ModelMismatch
from facemix.faces.look import FoundFace
from facemix.safety.photo_features import features

GATE_FILE = "gate.json"
LARGEST_FILE = 256 * 1024
# What a crop may be taken for; the first is what passes.
CLASSES = ("photograph", "drawing", "sculpture", "covered", "medium")
_WHY = {
    "drawing": "the face looks drawn or painted",
    "sculpture": "the face looks like a statue or a doll",
    "covered": "something covers a large part of the face",
    "medium": "this looks like a screen, a print or a pattern more than a face",
}
_HINT = (
    "use a photo of the person in which eyes, nose and mouth can be seen; "
    "if this is one, take another with even light and nothing before the face"
)
_CLIP = 6.0  # standard deviations; nothing that was never seen counts for more


class PhotoGate(BaseModel):
    """One fitted gate.

    Arrays are float16 or, for weights, int8 with a scale for each column; all little-endian, in base64.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    features: Literal[1] = Field(1, description="which definition of the features; a gate for another is not read")
    model: str = Field(description="name of the checkpoint, for people")
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the checkpoint's weights")
    count: int = Field(ge=1, le=4096, description="features")
    hidden: int = Field(ge=1, le=64)
    threshold: float = Field(ge=0, le=1, description="likeness to a photograph below which a face is refused")
    mean: str
    scale: str
    weights: str = Field(description="(count, hidden) int8")
    steps: str = Field(description="(hidden,) float16: what one of a column's integers stands for")
    bias: str
    out: str = Field(description="(hidden, classes) float16")
    out_bias: str
    fitting: dict[str, Any] = Field(default_factory=dict, description="data set, counts, seed, version of the program")

    @classmethod
    def of(
        cls,
        layers: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
        mean: np.ndarray,
        scale: np.ndarray,
        **said: Any,
    ) -> PhotoGate:
        """layers: weights, (F, H); bias, (H,); out, (H, C); its bias, (C,)."""
        weights, bias, out, out_bias = layers
        steps = (np.abs(weights).max(0) / 127 + 1e-8).astype(np.float16)
        return cls(
            count=weights.shape[0],
            hidden=weights.shape[1],
            mean=_packed(mean, np.float16),
            scale=_packed(scale, np.float16),
            weights=_packed(np.rint(weights / np.maximum(steps.astype(np.float64), 1e-7)).clip(-127, 127), np.int8),
            steps=_packed(steps, np.float16),
            bias=_packed(bias, np.float16),
            out=_packed(out, np.float16),
            out_bias=_packed(out_bias, np.float16),
            **said,
        )

    def __eq__(self, other: object) -> bool:  # of what is said, not of what was unpacked of it
        return isinstance(other, PhotoGate) and self.model_dump() == other.model_dump()

    @cached_property
    def _arrays(self) -> tuple[np.ndarray, ...]:
        """Raises ValueError where an array has another size than is said."""
        count, hidden, classes = self.count, self.hidden, len(CLASSES)
        weights = _unpacked(self.weights, np.int8, (count, hidden)) * _unpacked(self.steps, np.float16, (hidden,))
        arrays = (
            _unpacked(self.mean, np.float16, (count,)),
            _unpacked(self.scale, np.float16, (count,)),
            weights,
            _unpacked(self.bias, np.float16, (hidden,)),
            _unpacked(self.out, np.float16, (hidden, classes)),
            _unpacked(self.out_bias, np.float16, (classes,)),
        )
        if not all(np.isfinite(array).all() for array in arrays) or not (arrays[1] > 0).all():
            raise ValueError("a number in it is not finite, or a scale is not above 0")
        return arrays

    def shares(self, figures: np.ndarray) -> np.ndarray:
        """How much a crop looks like each of `CLASSES`; they sum to 1.

        Args:
            figures: (F,) or (N, F), from `photo_features.features`.
        """
        mean, scale, weights, bias, out, out_bias = self._arrays
        x = np.clip((np.asarray(figures, np.float64) - mean) / scale, -_CLIP, _CLIP)
        h = x @ weights + bias
        logits = (h / (1 + np.exp(-h))) @ out + out_bias
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)

    def judge(self, figures: np.ndarray) -> tuple[float, FaceNotPhotograph | None]:
        """How much one crop looks like a photograph of a face, 0 to 1, and the error with which it must be refused."""
        shares = self.shares(figures)
        likeness = float(shares[0])
        if likeness >= self.threshold:
            return likeness, None
        why = _WHY[CLASSES[1 + int(shares[1:].argmax())]]
        return likeness, FaceNotPhotograph(
            f"{why}: its likeness to a photograph of a face is {likeness:.4f}; {self.threshold:.4f} is needed",
            hint=_HINT,
            photograph=round(likeness, 5),
        )

    def save(self, folder: Path) -> None:
        """Writes ``gate.json``, whole or not at all."""
        path = folder / GATE_FILE
        unfinished = path.with_name(path.name + ".tmp")
        unfinished.write_text(self.model_dump_json(indent=1) + "\n")
        unfinished.replace(path)


def judged(face: FoundFace, gate: PhotoGate | None) -> FoundFace:
    """A face with what the gate says of it, and without the figures from which it says so."""
    if gate is None or face.refusal is not None:
        return replace(face, figures=None)
    likeness, refusal = gate.judge(features(face.crop) if face.figures is None else face.figures)
    quality = replace(face.quality, photograph=likeness)
    return replace(face, quality=quality, refusal=refusal, figures=None)


def load_gate(folder: Path, weights_sha256: str) -> PhotoGate | None:
    """The gate of the checkpoint in `folder`, None where it has none.

    Raises:
        ModelMismatch: it was fitted for other weights.
        CheckpointCorrupt: it is damaged, or of another version.
    """
    path = folder / GATE_FILE
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _corrupt(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > LARGEST_FILE:
        raise _corrupt(f"{path} is larger than {LARGEST_FILE} bytes")
    try:
        gate = PhotoGate.model_validate_json(data)
        _ = gate._arrays
    except ValidationError as error:
        first = error.errors()[0]
        raise _corrupt(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except ValueError as error:
        raise _corrupt(f"{path}: {error}") from error
    if gate.weights_sha256 != weights_sha256:
        raise ModelMismatch(
            f"the photograph gate in {folder} belongs to {gate.model}@{gate.weights_sha256[:12]}, "
            f"not to the weights {weights_sha256[:12]}",
            hint="fit it again with `facemix gate DATA`, or delete the file to do without",
        )
    return gate


def _corrupt(message: str) -> CheckpointCorrupt:
    return CheckpointCorrupt(
        message, hint="copy the file again, fit it with `facemix gate DATA`, or delete it to do without"
    )


def _packed(values: np.ndarray, kind: type) -> str:
    return base64.b64encode(np.ascontiguousarray(values).astype(np.dtype(kind).newbyteorder("<")).tobytes()).decode()


def _unpacked(text: str, kind: type, shape: tuple[int, ...]) -> np.ndarray:
    data = base64.b64decode(text, validate=True)
    values = np.frombuffer(data, np.dtype(kind).newbyteorder("<"))
    if values.size != int(np.prod(shape)):
        raise ValueError(f"an array has {values.size} numbers, not {int(np.prod(shape))}")
    return values.reshape(shape).astype(np.float64)
