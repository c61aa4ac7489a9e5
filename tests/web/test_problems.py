import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from facemix.errors import (
    Busy,
    CheckpointMissing,
    FacemixError,
    FaceNotFound,
    InstallationError,
    Internal,
    ModelMismatch,
    RateLimited,
    StorageFull,
    StorageUnavailable,
)
from facemix.web.openapi import error_classes
from facemix.web.pages import as_sentence
from facemix.web.problems import clean_text, from_validation, jsonable, problem_response

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=40)
ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)


def request(root_path: str = "") -> Request:
    return Request(
        {
            "type": "http",
            "method": "GET",
            "headers": [],
            "root_path": root_path,
            "state": {"request_id": "r1"},
        }
    )


@given(ANY_TEXT)
def test_clean_text_can_be_encoded_and_keeps_what_is_fine(text):
    cleaned = clean_text(text)
    cleaned.encode("utf-8")
    assert len(cleaned) == len(text)
    assert "\x00" not in cleaned
    assert clean_text(cleaned) == cleaned


def test_clean_text_shortens():
    assert clean_text("a" * 5000) == "a" * 600 + "..."
    assert clean_text("ä\n日本 \U0001f600") == "ä\n日本 \U0001f600"


@given(ANY_VALUE)
def test_any_details_make_strict_json(value):
    error = FaceNotFound(str(value), hint=str(value), where=str(value), value=value)
    response = problem_response(error, request())
    body = json.loads(response.body.decode("utf-8"), parse_constant=pytest.fail)
    assert body["status"] == response.status_code == 422


class Given(BaseModel):
    model_config = ConfigDict(extra="forbid")


@pytest.mark.parametrize(("count", "named"), [(3, 3), (50, 10), (2000, 0)])
def test_the_first_values_that_do_not_fit_are_named(count, named):
    with pytest.raises(ValidationError) as caught:
        Given.model_validate(dict.fromkeys((f"a{index}" for index in range(count)), 1))
    error = from_validation(caught.value)
    assert [one["field"] for one in error.details.get("errors", [])] == [f"a{index}" for index in range(named)]
    assert error.where == ("a0" if named else None)
    assert error.message.startswith("a0 is not known" if named else "2000 of its values")


def test_a_value_that_does_not_fit_is_told_by_its_place_and_what_is_taken(client):
    for body, where, said in (
        ({"parents": [{"sample": -1}]}, "parents.0.sample", "is -1; it has to be at least 0"),
        ({"parents": []}, "parents", "has 0 entries; it needs at least 1"),
        ({"parents": [{"sample": 1}], "sise": 96}, "sise", "is not known"),
    ):
        document = client.post("/api/v1/mix", json=body).json()
        assert (document["where"], document["detail"]) == (where, f"{where} {said}")
        assert document["details"]["errors"][0] == {"field": where, "message": document["detail"]}
        assert ("leave it out" in document["hint"]) == (where == "sise")
    number = client.get("/api/v1/samples/-1").json()
    assert (number["where"], number["detail"]) == ("number", "number is -1; it has to be at least 0")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no face was found", "No face was found."),
        ("is it so?", "Is it so?"),
        ("face_a and sample_a were both given", "face_a and sample_a were both given."),
        ("parents.0.sample is -1", "parents.0.sample is -1."),
        (" ", ""),
    ],
)
def test_a_message_begins_as_a_sentence_unless_with_the_name_of_a_field(text, shown):
    assert as_sentence(text) == shown


def test_jsonable_takes_numpy():
    assert jsonable({"a": np.float32(0.5), "b": np.arange(2), "c": (np.inf, np.nan)}) == {
        "a": 0.5,
        "b": [0, 1],
        "c": [None, None],
    }


def test_a_problem_has_every_member():
    error = FaceNotFound("no face", hint="another photo", where="face_a", faces=0)
    assert json.loads(problem_response(error, request("/mix")).body) == {
        "type": "/mix/problems/face_not_found",
        "title": "No face was found",
        "status": 422,
        "detail": "no face",
        "instance": "urn:facemix:request:r1",
        "code": "face_not_found",
        "hint": "another photo",
        "request_id": "r1",
        "where": "face_a",
        "details": {"faces": 0},
    }


def test_busy_says_when_to_come_back():
    assert problem_response(Busy("full", hint="wait", retry_after=7), request()).headers["retry-after"] == "7"


@pytest.mark.parametrize("kind", [CheckpointMissing, InstallationError, StorageUnavailable, RateLimited])
def test_whatever_may_pass_says_when_to_come_back(kind):
    assert problem_response(kind("down", hint="wait"), request()).headers["retry-after"] == "2"


@pytest.mark.parametrize("kind", [FaceNotFound, ModelMismatch, StorageFull, Internal])
def test_what_stays_does_not(kind):
    assert "retry-after" not in problem_response(kind("so it is", hint="none"), request()).headers


def test_a_failed_load_says_when_to_come_back():
    failure = Internal("a defect", hint="wait")
    failure.status = 503
    response = problem_response(failure, request())
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")


def test_codes_are_unique_and_every_kind_has_a_status():
    kinds = error_classes()
    assert len({kind.code for kind in kinds}) == len(kinds) > 20
    assert all(400 <= kind.status < 600 and issubclass(kind, FacemixError) for kind in kinds)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/none", 404, "not_found"),
        ("GET", "/api/v1/mix", 405, "method_not_allowed"),
        ("PUT", "/healthz", 405, "method_not_allowed"),
        ("GET", "/static/none.js", 404, "not_found"),
        ("GET", "/static/../facemix/app.py", 404, "not_found"),
        ("GET", "/docs/", 404, "not_found"),
        ("GET", "/problems/none", 404, "not_found"),
        ("GET", "/%ff%00", 404, "not_found"),
    ],
)
def test_the_routers_refusals_are_problems(client, method, path, status, code):
    response = client.request(method, path)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert ("allow" in response.headers) == (status == 405)


def test_a_browser_gets_a_page_and_the_interface_never_does(client):
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = client.get("/<b>none", headers=browser)
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "<b>none" not in page.text
    assert page.headers["x-request-id"] in page.text
    for path in ("/api/v1/none", "/static/none.css"):
        assert client.get(path, headers=browser).headers["content-type"] == "application/problem+json"
