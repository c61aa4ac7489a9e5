"""Faces on the shelf as an earlier facemix wrote them."""

import json

import numpy as np
from web_client import running

from facemix.mixing.latents import pack_latent
from facemix.web.kept_faces import KIND

Z = np.full(32 * 32 * 3, 100, np.float32)
WRITTEN = {
    "model": {"name": "fake-32", "weights": "ab" * 32, "latent_schema": 1},
    "numbers": len(Z),
    "z": pack_latent(Z),
    "parent": {"kind": "photo", "sha256": "0" * 64, "face": 0, "weight": 1.0},
}


def put(client, document) -> str:
    shelf = client.app.state.facemix.stores.shelf.shelf
    return shelf.put(KIND, json.dumps(document).encode(), owner=None, seconds=60).id


def test_a_face_that_says_neither_purpose_nor_credentials_nor_quality_is_mixed_as_before():
    with running() as client:
        identity = put(client, WRITTEN)
        told = client.get(f"/api/v1/faces/{identity}").json()
        assert (told["purpose"], told["usable"]) == ("mixing", True)
        mixed = client.post("/api/v1/mix", json={"parents": [{"face_id": identity}, {"sample": 3}]})
        assert mixed.status_code == 200
        assert mixed.json()["recipe"]["parents"][0]["sha256"] == "0" * 64


def test_a_face_of_a_model_that_is_gone_is_refused_by_name():
    with running() as client:
        identity = put(client, WRITTEN | {"model": {"name": "old", "weights": "cd" * 32, "latent_schema": 1}})
        refused = client.post("/api/v1/mix", json={"parents": [{"face_id": identity}, {"sample": 3}]})
        assert (refused.status_code, refused.json()["code"]) == (409, "model_mismatch")
