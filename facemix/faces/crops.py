"""The face in an aligned crop, which is tighter than what a detector likes to see."""

from __future__ import annotations

import cv2
import numpy as np

from facemix.faces.types import Face, FaceDetector

# The detector is surest of faces whose eyes are .25 to .30 of its view apart; the crop's are .41 apart.
_FACE_SIDE, _BORDER = 128, 32


def face_in_crop(crop: np.ndarray, detector: FaceDetector) -> Face | None:
    """The surest face in the middle of an aligned crop, in pixels of the crop scaled to 128; None when there is none.

    crop: (S, S, 3) uint8. It is scaled to 128 pixels and given a black border of 32, in which the detector sees faces
    best.
    """
    resized = cv2.resize(crop, (_FACE_SIDE, _FACE_SIDE), interpolation=cv2.INTER_AREA)
    view = np.pad(resized, [(_BORDER, _BORDER), (_BORDER, _BORDER), (0, 0)])
    middle = view.shape[0] / 2
    faces = [
        face
        for face in detector.detect(view)
        if face.box[0] < middle < face.box[2] and face.box[1] < middle < face.box[3]
    ]
    best = max(faces, key=lambda face: face.score, default=None)
    if best is None:
        return None
    x0, y0, x1, y1 = best.box
    box = (x0 - _BORDER, y0 - _BORDER, x1 - _BORDER, y1 - _BORDER)
    return Face(box, best.landmarks - np.float32(_BORDER), best.score)
