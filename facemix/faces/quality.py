"""The gates: what makes a face costly or impossible to mix, measured and said with figures.

A gate warns when likeness will suffer and refuses when there is not enough face to speak of. The thresholds
were set on the percentiles of the training photographs, which `docs/faces.md` gives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from facemix.errors import FaceError, FaceTooBlurred, FaceTooSmall, FaceTooTurned
from facemix.faces.finder import eye_distance, roll_degrees
from facemix.faces.types import Face, Quality

_MEASURED_SIDE = 128  # sharpness is measured at one size, whatever the model's crop
# Rounding errors have a variance of 1/12 level squared per channel; luma (Rec. 601) keeps the sum of its squared
# weights of that, and the Laplacian multiplies it by the sum of its own, 20.
_ROUNDING_ENERGY = 20 * (0.299**2 + 0.587**2 + 0.114**2) / 12 / 255**2


@dataclass(frozen=True)
class Gate:
    """A figure's two limits: beyond `warn` likeness suffers, beyond `refuse` the face is not mixed."""

    warn: float
    refuse: float


FACE_PIXELS = Gate(warn=40, refuse=14)
SHARPNESS = Gate(warn=0.010, refuse=0.002)
YAW = Gate(warn=0.40, refuse=0.85)
DARK = Gate(warn=0.16, refuse=0.0)


def measure(face: Face, crop: np.ndarray, *, nose: bool = True) -> Quality:
    """Measures one face. Never refuses; see `refusal`.

    Args:
        crop: its aligned crop, (S, S, 3) uint8 RGB.
        nose: whether the landmark of the nose was seen. Where it is an estimate, it cannot tell how far the head is
            turned: yaw is NaN, and no gate closes on it.
    """
    reduced = cv2.resize(crop.astype(np.float32), (_MEASURED_SIDE, _MEASURED_SIDE), interpolation=cv2.INTER_AREA)
    luma = cv2.cvtColor(reduced, cv2.COLOR_RGB2GRAY) / 255
    quality = Quality(
        score=face.score,
        face_pixels=eye_distance(face),
        sharpness=_sharpness(luma),
        yaw=_yaw(face.landmarks) if nose else math.nan,
        roll=roll_degrees(face.landmarks),
        brightness=float(luma.mean()),
    )
    return Quality(**{**quality.__dict__, "warnings": tuple(_warnings(quality))})


def refusal(quality: Quality) -> FaceError | None:
    """The error with which this face must be refused, or None when it may be mixed."""
    if quality.face_pixels < FACE_PIXELS.refuse:
        return FaceTooSmall(
            f"the eyes are {quality.face_pixels:.0f} pixels apart; {FACE_PIXELS.refuse:.0f} are needed",
            hint="use a photo taken from closer, or one in its original size",
            face_pixels=round(quality.face_pixels, 1),
        )
    if quality.sharpness < SHARPNESS.refuse:
        return FaceTooBlurred(
            f"the sharpness of the face is {quality.sharpness:.4f}; at least {SHARPNESS.refuse} is needed",
            hint="use a photo in focus, without motion blur, and not enlarged from a tiny one",
            sharpness=round(quality.sharpness, 5),
        )
    if quality.yaw > YAW.refuse:
        return FaceTooTurned(
            f"the head is turned by {quality.yaw:.2f} on a scale from 0 (frontal) to 1 (profile); "
            f"at most {YAW.refuse} can be mixed",
            hint="use a photo in which both eyes can be seen well",
            yaw=round(quality.yaw, 3),
        )
    return None


def _warnings(quality: Quality) -> list[tuple[str, str]]:
    found = []
    if quality.face_pixels < FACE_PIXELS.warn:
        found.append(
            (
                "face_small",
                f"The face is small (eyes {quality.face_pixels:.0f} pixels apart): fine detail will be lost.",
            )
        )
    if quality.sharpness < SHARPNESS.warn:
        found.append(
            (
                "face_blurred",
                f"The face is soft (sharpness {quality.sharpness:.3f}): the result will be soft too.",
            )
        )
    if quality.yaw > YAW.warn:
        found.append(
            (
                "face_turned",
                f"The head is turned ({quality.yaw:.2f} of a profile): frontal photos keep more likeness.",
            )
        )
    if quality.brightness < DARK.warn:
        found.append(
            (
                "face_dark",
                f"The face is dark (brightness {quality.brightness:.2f}): more light shows more of it.",
            )
        )
    return found


def _yaw(landmarks: np.ndarray) -> float:
    """Sideways shift of the nose from the middle line between eyes and mouth, over half the eye distance."""
    right = (landmarks[1] - landmarks[0]).astype(np.float64)
    half_width = np.linalg.norm(right) / 2
    if half_width < 1e-6:
        return 1.0
    middle = (landmarks[:2].mean(0) + landmarks[3:].mean(0)) / 2
    shift = abs(float((landmarks[2] - middle) @ (right / (2 * half_width)))) / half_width
    return min(shift, 1.0)


def _sharpness(luma: np.ndarray) -> float:
    """Laplacian energy over variance, of the central face: a flat area is 0, contrast cancels out.

    Rounding to whole levels has Laplacian energy of its own, which in a strongly blurred face is most of what there
    is; it is taken off, or no blur would ever come to lie below the gate.
    """
    edge = _MEASURED_SIDE // 6
    laplacian = cv2.Laplacian(luma, cv2.CV_32F, ksize=1)[edge:-edge, edge:-edge]
    energy = max(float(np.mean(laplacian**2)) - _ROUNDING_ENERGY, 0.0)
    return energy / (float(np.var(luma[edge:-edge, edge:-edge])) + 1e-6)
