"""Aligned crops to points whose distance says how alike two people are: a face embedder that was not trained here.

It belongs to the extra ``identity``: dlib for its 5-point landmarks and its aligned chips, and the weights that the
package ``face_recognition_models`` carries. That package is only looked for, never imported, and its 68-point model,
whose terms forbid commercial use, is never opened.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from facemix.faces.align import TEMPLATE

# Below it dlib takes two photographs for one person (99.4 % right on "Labeled Faces in the Wild").
SAME_PERSON = 0.6
CHIP_SIDE = 150  # pixels
SIZE = 128  # numbers of a point
EXTRA = "facemix[identity]"
_LANDMARKS = "shape_predictor_5_face_landmarks.dat"
_NETWORK = "dlib_face_recognition_resnet_model_v1.dat"
_PADDING = 0.25  # of the face box, on each side of dlib's chip; what the network was trained with
# Where dlib's mean face has its eyes (between the corners of each), as fractions of the box around a face.
_BOX_EYES = np.array([[0.2273, 0.2214], [0.7528, 0.2212]])


class IdentityEmbedder:
    """Aligned crops to points; the distance between two says how alike two people are.

    The crop is aligned, so where its face is need not be searched for: dlib's landmarks start from the box in which
    eyes placed by `TEMPLATE` would lie. Every crop is taken for a face. One that shows none gets a point, too, far from
    everybody's: to leave it out would flatter the model that drew it.

    Attributes:
        name: the network, and the beginning of its weights' SHA-256.
    """

    def __init__(self, dlib: Any, folder: Path) -> None:
        from facemix.faces.embedder_network import FaceEmbedder  # it brings torch, which pages have no use for

        self._dlib = dlib
        self._predictor = dlib.shape_predictor(str(folder / _LANDMARKS))
        self._network = FaceEmbedder(folder / _NETWORK)
        digest = hashlib.sha256((folder / _NETWORK).read_bytes()).hexdigest()
        self.name = f"{_NETWORK.removesuffix('.dat')}@{digest[:12]}"

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """(N, S, S, 3) uint8 to (N, 128) float32."""
        parts = [
            self._network.embed(np.stack([self.chip(crop) for crop in crops[start : start + 64]]))
            for start in range(0, len(crops), 64)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, SIZE), np.float32)

    def chip(self, crop: np.ndarray) -> np.ndarray:
        """The face as dlib aligns it, (150, 150, 3) uint8; black where that reaches beyond the crop."""
        crop = np.ascontiguousarray(crop)
        return self._dlib.get_face_chip(crop, self._shape(crop), CHIP_SIDE, _PADDING)

    def landmarks(self, crop: np.ndarray) -> np.ndarray:
        """dlib's five points of an (S, S, 3) uint8 crop: (5, 2) in its pixels, whole ones.

        The corners of the eye on the right of the picture, outer first, those of the other, and the base of the nose.
        """
        shape = self._shape(np.ascontiguousarray(crop))
        return np.array([(point.x + 0.5, point.y + 0.5) for point in shape.parts()])

    def _shape(self, crop: np.ndarray) -> Any:
        return self._predictor(crop, self._dlib.rectangle(*face_box(crop.shape[0])))


def face_box(size: int) -> tuple[int, int, int, int]:
    """dlib's box (left, top, right, bottom, in pixels) around the face of an aligned crop of this side."""
    eyes = TEMPLATE[:2] * size
    side = (eyes[1, 0] - eyes[0, 0]) / (_BOX_EYES[1, 0] - _BOX_EYES[0, 0])
    left, top = eyes.mean(0) - _BOX_EYES.mean(0) * side
    return round(left), round(top), round(left + side), round(top + side)


def load_embedder() -> IdentityEmbedder | None:
    """The embedder; None where the extra is not installed.

    Raises:
        InstallationError: the weights are damaged.
    """
    package = importlib.util.find_spec("face_recognition_models")  # finds it without running its __init__
    if package is None or not package.submodule_search_locations:
        return None
    try:
        import dlib
    except ImportError:
        return None
    folder = Path(package.submodule_search_locations[0]) / "models"
    if not all((folder / name).is_file() for name in (_LANDMARKS, _NETWORK)):
        return None
    return IdentityEmbedder(dlib, folder)
