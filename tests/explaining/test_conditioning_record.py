"""The conditioning record: everything that counts, nothing that opens or shows anything, never too long."""

import base64
import json
import math
from datetime import UTC, datetime

import numpy as np
import pytest

from facemix.explaining.record import (
    MOST_BYTES,
    ParentGates,
    Reading,
    conditioning_record,
    quality_readings,
)
from facemix.faces.quality import FACE_PIXELS, YAW
from facemix.faces.types import Quality
from facemix.governance.secrets import Secrets

NAMED = Secrets(b"s" * 32).names("record")
Z = base64.b64encode(np.arange(8, dtype="<f4").tobytes()).decode()
RECIPE = {
    "version": 1,
    "model": {"name": "made", "weights": "ab" * 32, "latent_schema": 1},
    "parents": [
        {"kind": "photo", "sha256": "cd" * 32, "face": 0, "placed": {"mouth": [7654, 4567]}, "weight": 0.25},
        {"kind": "latent", "z": Z, "origin": "kV0tW3qfX8mZ1aBc", "weight": 0.75},
    ],
    "attributes": {"smile": 1.5},
    "seed": 3,
}
CARD = {"created": "2026-01-01", "code_version": "1", "licence": "CC0-1.0", "data": {"name": "noise"}}
QUALITY = Quality(score=0.9, face_pixels=30.0, sharpness=0.5, yaw=math.nan, roll=1.0, brightness=0.4)


def made(**changes):
    given = {"name": NAMED, "card": CARD, "versions": {"facemix": "1"}, "settings": {"gate": True}, **changes}
    return conditioning_record(given.pop("recipe", RECIPE), "ef" * 32, **given)


def test_it_says_what_was_made_of_what_by_which_model():
    record = made(at=datetime(2026, 1, 2, tzinfo=UTC))
    assert record["schema"] == 2
    assert record["at"] == "2026-01-02T00:00:00+00:00"
    assert record["recipe_sha256"] == "ef" * 32
    assert record["recipe"]["attributes"] == {"smile": 1.5}
    assert record["model"]["weights_sha256"] == "ab" * 32
    assert record["model"]["data"] == "noise"
    assert record["settings"] == {"gate": True}


def test_whoever_has_a_photograph_cannot_tell_whether_it_was_mixed():
    record = made()
    assert record["recipe"]["parents"][0] == {
        "kind": "photo",
        "face": 0,
        "weight": 0.25,
        "photo_hmac": NAMED("cd" * 32),
    }
    assert "cd" * 32 not in json.dumps(record)
    assert "7654" not in json.dumps(record)  # nor where its eyes are
    other = made(name=Secrets(b"t" * 32).names("record"))
    assert other["recipe"]["parents"][0]["photo_hmac"] != NAMED("cd" * 32)


def test_without_a_secret_nothing_is_named():
    assert made(name=None)["recipe"]["parents"] == [
        {"kind": "photo", "face": 0, "weight": 0.25},
        {"kind": "latent", "weight": 0.75},
    ]


def test_a_latent_is_named_by_its_hash_and_a_saved_recipe_not_at_all():
    text = json.dumps(made())
    assert Z not in text
    assert "kV0tW3qfX8mZ1aBc" not in text
    assert made()["recipe"]["parents"][1] == {
        "kind": "latent",
        "weight": 0.75,
        "z_hmac": NAMED(Z),
    }


def test_the_recipe_that_was_given_is_left_alone():
    before = json.dumps(RECIPE)
    made()
    assert json.dumps(RECIPE) == before


def test_gates_come_with_their_values_and_thresholds():
    (gates,) = made(gates=[ParentGates("photo", 2, quality_readings(QUALITY))])["gates"]
    assert (gates["source"], gates["faces"]) == ("photo", 2)
    by_name = {one["name"]: one for one in gates["readings"]}
    assert set(by_name) == {"face_pixels", "sharpness", "yaw", "brightness"}
    assert by_name["face_pixels"] == {
        "name": "face_pixels",
        "value": 30.0,
        "threshold": FACE_PIXELS.refuse,
        "rule": "at least",
        "passed": True,
        "warn": FACE_PIXELS.warn,
    }
    assert by_name["yaw"]["value"] is None
    assert by_name["yaw"]["passed"] is None
    assert by_name["yaw"]["threshold"] == YAW.refuse


def test_the_photograph_gate_is_among_them_where_it_judged():
    quality = Quality(score=0.9, face_pixels=30.0, sharpness=0.5, yaw=0, roll=1.0, brightness=0.4, photograph=0.75)
    assert quality_readings(quality, 0.2)[-1] == Reading("photograph", 0.75, 0.2, "at least", True)
    assert quality_readings(quality, 0.8)[-1].passed is False
    assert quality_readings(quality)[-1].passed is None
    assert "photograph" not in [one.name for one in quality_readings(QUALITY, 0.2)]


@pytest.mark.parametrize(("value", "passed"), [(YAW.refuse + 0.01, False), (YAW.refuse, True)])
def test_a_gate_that_closed_says_so(value, passed):
    quality = Quality(score=0.9, face_pixels=30.0, sharpness=0.5, yaw=value, roll=1.0, brightness=0.4)
    (yaw,) = [one for one in quality_readings(quality) if one.name == "yaw"]
    assert yaw.passed is passed


def test_checks_of_the_result_stand_in_it():
    (check,) = made(checks=[Reading("face_score", 0.4, 0.5, "at least", False)])["checks"]
    assert (check["name"], check["value"], check["passed"]) == ("face_score", 0.4, False)


def test_it_is_strict_json_whatever_it_is_given():
    record = made(
        versions={"a\x00b": "\ud800", "n": math.inf},
        settings={"deep": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": 1}}}}}}}}},
        card={"data": None, "licence": "x" * 5000},
    )
    text = json.dumps(record, allow_nan=False)
    assert json.loads(text) == record
    assert "\\u0000" not in text
    assert len(record["model"]["licence"]) <= 200


def test_it_is_never_too_long():
    placed = {name: [123456.789, 123456.789] for name in ("left_eye", "right_eye", "mouth")}
    parents = [{**RECIPE["parents"][0], "placed": placed, "weight": 1 / 32}] * 32
    readings = quality_readings(QUALITY) + tuple(
        Reading(f"further_{number}", 0.123456789, 0.5, "at least", True) for number in range(20)
    )
    record = made(recipe={**RECIPE, "parents": parents}, gates=[ParentGates("photo", 1, readings)] * 32)
    assert len(json.dumps(record)) <= MOST_BYTES
    assert "gates" in record["left_out"]
    assert len(record["recipe"]["parents"]) == 32
