"""What a direction can be fitted to: the data set's own labels, and what can be measured in a face without judging it.

A value that cannot be had is NaN: a photograph without labels, a grey one's colour, a face that the detector misses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from facemix.faces.crops import face_in_crop
from facemix.faces.types import FaceDetector
from facemix.vae.directions import Source

# Mean CIELAB chroma below which a photograph counts as grey: it says nothing of the colour of the light.
_GREY = 6.0


@dataclass(frozen=True)
class Measure:
    """One attribute, before anything was fitted. The fields are those of `facemix.vae.directions.Attribute`."""

    name: str
    title: str
    low: str
    high: str
    source: Source
    unit: str
    definition: str


# In the order in which sliders would be shown. Nothing that judges a person belongs here.
MEASURES = (
    Measure(
        "age",
        "Age",
        "younger",
        "older",
        "label",
        "years",
        "the age in the data set's labels",
    ),
    Measure(
        "gender_label",
        "Gender label of the data set",
        "labelled male",
        "labelled female",
        "label",
        "of the way between the labels",
        "the data set's two-valued label, 0 for male and 1 for female: what its makers wrote down, not what anybody is",
    ),
    Measure(
        "smile",
        "Smile",
        "narrow mouth",
        "wide mouth",
        "landmarks",
        "eye distances",
        "distance of the detector's mouth corners over that of the eyes; broad mouths count, too",
    ),
    Measure(
        "mouth_open",
        "Mouth open",
        "closed",
        "open",
        "pixels",
        "of the mouth",
        "share of the mouth's middle that is teeth (bright, less red than the cheeks) or dark, minus the same share "
        "above and below it, where beards have it, too",
    ),
    Measure(
        "head_turn",
        "Head turn",
        "to the left of the picture",
        "to the right of the picture",
        "landmarks",
        "half eye distances",
        "sideways shift of the nose from the middle between eyes and mouth",
    ),
    Measure(
        "brightness",
        "Brightness",
        "darker",
        "brighter",
        "pixels",
        "L*",
        "mean CIELAB lightness of the whole crop, 0 to 100",
    ),
    Measure(
        "warmth",
        "Warmth of the light",
        "cooler",
        "warmer",
        "pixels",
        "b*",
        "mean CIELAB b* (blue to yellow) of the whole crop; grey photographs are left out",
    ),
)
# A label that no direction may move. An edit of age or light must not change whom others take somebody to be.
HELD_LABELS = ("ethnicity",)

Values = dict[str, np.ndarray]


def read_labels(rows: Sequence[dict[str, Any]]) -> Values:
    """``age`` and ``gender_label`` of the manifest's rows, (N,) float64 each."""
    labels = [row.get("labels") or {} for row in rows]
    genders = {"male": 0.0, "female": 1.0}
    return {
        "age": np.array([float(one.get("age", np.nan)) for one in labels]),
        "gender_label": np.array([genders.get(one.get("gender"), np.nan) for one in labels]),
    }


def held_indicators(rows: Sequence[dict[str, Any]], label: str) -> np.ndarray:
    """A label's groups as (N, groups) float64 of 0 and 1; NaN throughout a row without the label."""
    groups = [(row.get("labels") or {}).get(label) for row in rows]
    names = sorted({group for group in groups if group is not None})
    found = np.array([[float(group == name) for name in names] for group in groups]).reshape(len(rows), len(names))
    found[[group is None for group in groups]] = np.nan
    return found


def manifest_landmarks(rows: Sequence[dict[str, Any]]) -> np.ndarray:
    """(N, 5, 2) in pixels of each photograph; NaN where the manifest has none."""
    missing = [[np.nan, np.nan]] * 5
    return np.array([row.get("landmarks", missing) for row in rows], np.float64)


def find_landmarks(crops: np.ndarray, detector: FaceDetector) -> np.ndarray:
    """The landmarks of the face in the middle of each crop, (N, 5, 2) in pixels of the crop at 128; NaN without one.

    crops: (N, S, S, 3) uint8.
    """
    faces = [face_in_crop(crop, detector) for crop in crops]
    missing = np.full((5, 2), np.nan)
    return np.array([missing if face is None else face.landmarks for face in faces], np.float64).reshape(-1, 5, 2)


def measure_landmarks(landmarks: np.ndarray) -> Values:
    """``smile`` and ``head_turn`` of (N, 5, 2) landmarks, whatever their scale and lean; (N,) float64 each."""
    left_eye, right_eye, nose, left_mouth, right_mouth = np.moveaxis(landmarks, 1, 0)
    across = right_eye - left_eye
    eyes = np.linalg.norm(across, axis=1)
    eyes = np.where(eyes > 0, eyes, np.nan)
    middle = (left_eye + right_eye + left_mouth + right_mouth) / 4
    return {
        "smile": np.linalg.norm(right_mouth - left_mouth, axis=1) / eyes,
        "head_turn": 2 * ((nose - middle) * across).sum(1) / eyes**2,
    }


def measure_pixels(crops: np.ndarray) -> Values:
    """``mouth_open``, ``brightness`` and ``warmth`` of aligned crops, (N, S, S, 3) uint8; (N,) float64 each."""
    mouth, around, cheeks = _regions(crops.shape[1])
    found: dict[str, list[float]] = {"mouth_open": [], "brightness": [], "warmth": []}
    for crop in crops:
        lightness, red, yellow = np.moveaxis(cv2.cvtColor(crop.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), 2, 0)
        grey = float(np.hypot(red, yellow).mean()) < _GREY
        skin, skin_red = np.median(lightness[cheeks]), np.median(red[cheeks])
        teeth = (lightness > 0.8 * skin) & (red < skin_red - 2)
        inside = teeth | (lightness < 0.5 * skin)
        found["mouth_open"].append(np.nan if grey else float(inside[mouth].mean() - inside[around].mean()))
        found["brightness"].append(float(lightness.mean()))
        found["warmth"].append(np.nan if grey else float(yellow.mean()))
    return {name: np.array(values, np.float64) for name, values in found.items()}


def mirrored(values: Values) -> Values:
    """The values of the mirrored pictures: a head that turned left turns right, the rest stays."""
    return {name: -value if name == "head_turn" else value for name, value in values.items()}


def _regions(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where alignment puts the middle of the mouth, what lies above and below it, and the cheeks; (S, S) bool each."""
    x, y = np.meshgrid(*[(np.arange(side) + 0.5) / side] * 2)
    mouth = ((x - 0.5) / 0.13) ** 2 + ((y - 0.715) / 0.06) ** 2 < 1
    around = (abs(x - 0.5) < 0.13) & (((y > 0.59) & (y < 0.63)) | ((y > 0.82) & (y < 0.88)))
    cheeks = (y > 0.45) & (y < 0.58) & ((abs(x - 0.29) < 0.07) | (abs(x - 0.71) < 0.07))
    return mouth, around, cheeks
