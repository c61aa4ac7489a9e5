"""The values that the examples of the interface are made of: one face found in one photograph, one sample, one mix."""

from __future__ import annotations

from typing import Any

# A grey pixel: small enough to read in the documentation, and really an image.
PIXEL_EXAMPLE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGOoBwAAgQCAMx2Y0AAAAABJRU5ErkJggg=="
FACE_ID_EXAMPLE = "Jx0mVQd5S1uN8s7fK3aZ2w"
SAVED_EXAMPLE = "kV0tW3qfX8mZ1aBc"
WEIGHTS_EXAMPLE = "3f0c1b7a9d2e4c5f8a6b0d1e2f3a4b5c6d7e8f9a0b1c2d3e4f5a6b7c8d9e0f1a"
PHOTO_EXAMPLE = "9b74c9897bac770ffc029102a200c5de84f2b5f7c1a2d3e4f5061728394a5b6c"
REQUEST_ID_EXAMPLE = "6f1d0f2c9b7e4a55a1f0c3d2e4b59687"

MODEL_EXAMPLE = {
    "id": f"facemix-128@{WEIGHTS_EXAMPLE[:12]}",
    "name": "facemix-128",
    "weights": WEIGHTS_EXAMPLE,
    "latent_schema": 1,
}
BOX_EXAMPLE = {"x0": 177.2, "y0": 68.5, "x1": 273.9, "y1": 190.1}
LANDMARKS_EXAMPLE = {
    "left_eye": {"x": 200.4, "y": 114.0},
    "right_eye": {"x": 246.3, "y": 112.8},
    "nose": {"x": 224.9, "y": 141.2},
    "left_mouth": {"x": 206.1, "y": 160.7},
    "right_mouth": {"x": 245.5, "y": 159.4},
}
QUALITY_EXAMPLE = {
    "score": 0.87,
    "face_pixels": 45.9,
    "sharpness": 0.41,
    "yaw": 0.08,
    "roll": -1.5,
    "brightness": 0.56,
    "photograph": 0.98,
}
WARNING_EXAMPLE = {"code": "face_small", "message": "The face is small; a larger one keeps more likeness."}
PHOTO_REPORT_EXAMPLE = {
    "where": "face_a",
    "source": "photo",
    "sample": None,
    "index": 0,
    "count": 1,
    "width": 512,
    "height": 512,
    "notes": [],
    "box": BOX_EXAMPLE,
    "landmarks": LANDMARKS_EXAMPLE,
    "quality": QUALITY_EXAMPLE,
    "warnings": [WARNING_EXAMPLE],
}
SAMPLE_REPORT_EXAMPLE = {
    "where": "sample_b",
    "source": "sample",
    "sample": 12,
    "index": None,
    "count": None,
    "width": None,
    "height": None,
    "notes": [],
    "box": None,
    "landmarks": None,
    "quality": None,
    "warnings": [],
}
IMAGE_EXAMPLE = {"media_type": "image/png", "width": 1, "height": 1, "base64": PIXEL_EXAMPLE}
SHEET_EXAMPLE = {
    "media_type": "image/png",
    "frame_width": 1,
    "frame_height": 1,
    "count": 3,
    "columns": 2,
    "rows": 2,
    "base64": PIXEL_EXAMPLE,
}
RECIPE_EXAMPLE = {
    "version": 1,
    "model": {"name": "facemix-128", "weights": WEIGHTS_EXAMPLE, "latent_schema": 1},
    "parents": [
        {"kind": "photo", "sha256": PHOTO_EXAMPLE, "face": 0, "placed": None, "weight": 0.5},
        {"kind": "sample", "number": 12, "weight": 0.5},
    ],
    "interpolation": "lerp",
    "vividness": 0.0,
    "attributes": {"smile": 1.0},
    "regions": {},
    "colour": None,
    "variation": None,
    "detail": 0.0,
    "keep": {},
    "size": None,
    "placement": None,
    "seed": 0,
}
MIXED_EXAMPLE: dict[str, Any] = {
    "request_id": REQUEST_ID_EXAMPLE,
    "model": MODEL_EXAMPLE,
    "recipe": RECIPE_EXAMPLE,
    "faces": [PHOTO_REPORT_EXAMPLE, SAMPLE_REPORT_EXAMPLE],
}
