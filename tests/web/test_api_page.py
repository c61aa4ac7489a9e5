"""docs/api.md says what the application does: its addresses, members and errors are compared, its examples are run."""

import json
import re
import shlex
import time
import uuid
from pathlib import Path

import pytest
from fake_mixer import FakeMixer, fake_directions
from web_client import OTHER, PHOTO, files, running

from facemix.settings import Settings
from facemix.storage.database import Database
from facemix.storage.keys import KeyStore
from facemix.storage.ledger import Ledger, LedgerRow
from facemix.web import openapi
from facemix.web.accounts import Accounts
from facemix.web.governed import Governed
from facemix.web.published import PUBLISHED
from facemix.web.schemas_requests import EditsBody
from facemix.web.stores import Stores

TEXT = (Path(__file__).parents[2] / "docs/api.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S))
ENDPOINTS = {name: text for name, text in SECTIONS.items() if re.match(r"[A-Z]+ /", name)}
INTRODUCTION = TEXT.partition("\n## ")[0]
FILES = {"a.jpg": PHOTO, "b.jpg": OTHER}
HOST = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    """The application with all it may have, and what the placeholders of the page stand for in it."""
    folder = tmp_path_factory.mktemp("data")
    database = Database.open(f"sqlite:///{folder / 'facemix.sqlite3'}")
    database.upgrade()
    settings = {"data_dir": folder}
    with running(
        lambda: FakeMixer(attributes=fake_directions()),
        accounts=Accounts(database, ledger=False),
        stores=Stores.open(Settings(**settings), database),
        governed=Governed.open(Settings(**settings), database),
        **settings,
    ) as client:
        yield client, KeyStore(database).create("docs")


def placeholders(client, key):
    face = client.post("/api/v1/faces", files=files(image=PHOTO)).json()["faces"][0]
    saved = client.post("/api/v1/recipes", json={"parents": [{"sample": 1}, {"sample": 2}]}).json()
    wanted = {"parents": [{"sample": 1}, {"sample": 2}], "seconds": 0.2, "fps": 10, "size": 128}
    job = client.post("/api/v1/animations", json=wanted).json()["job"]
    while client.get(f"/api/v1/jobs/{job['id']}").json()["state"] in ("queued", "running"):
        time.sleep(0.02)
    return {
        "FACE_ID": face["id"],
        "LATENT_ID": client.get(f"/api/v1/faces/{face['id']}/latent").json()["latent"],
        "RECIPE_ID": saved["id"],
        "DELETE_TOKEN": saved["delete_token"],
        "JOB_ID": job["id"],
        "REQUEST_ID": recorded(client),
        **reviews(client),
        "KEY": key,
    }


def recorded(client):
    """The id of a request whose record is in the ledger."""
    row = LedgerRow(request_id=uuid.uuid4().hex, route="POST /api/v1/mix", status=200, record='{"schema": 1}')
    Ledger(client.app.state.governed.database).append_many([row])
    return row.request_id


def reviews(client):
    """The tokens of a result that was approved, and of one that was rejected."""
    queue, tokens = client.app.state.governed.reviews, []
    for decide, reason in ((queue.approve, "fine"), (queue.reject, "likeness")):
        review, token = queue.hold("r", "guard", "", picture=PHOTO, media_type="image/png")
        decide(review.id, 1, actor="ann", reason=reason)
        tokens.append(token)
    return dict(zip(("HELD_ID", "REJECTED_ID"), tokens, strict=True))


def request_of(line):
    """(method, path, options) of a curl line."""
    words = iter(shlex.split(line))
    assert next(words) == "curl"
    method, path, headers, data, form, sent = None, None, {}, None, {}, {}
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(":")
            headers[name] = value.strip()
        elif word == "-X":
            method = next(words)
        elif word == "-d":
            data = next(words)
        elif word == "-F":
            name, _, value = next(words).partition("=")
            if value.startswith("@"):
                sent[name] = (value[1:], FILES[value[1:]], "application/octet-stream")
            else:
                form[name] = value
        elif word == "-o":
            next(words)
        elif word.startswith(HOST):
            path = word.removeprefix(HOST)
        else:
            assert word == "-sS", word
    options = {"headers": headers}
    if data is not None:
        json.loads(data)
        options["content"] = data
    elif form or sent:
        options |= {"data": form, "files": sent or {"face_a": ("", b"")}}
    return method or ("GET" if len(options) == 1 else "POST"), path, options


def examples(text):
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]


def test_every_endpoint_has_its_section_and_no_other(application):
    client, _ = application
    paths = client.get("/openapi.json").json()["paths"]
    there = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert set(ENDPOINTS) == there


@pytest.mark.parametrize("name", ENDPOINTS)
def test_the_errors_of_an_endpoint_are_those_of_its_description(application, name):
    method, path = name.split()
    described = application[0].get("/openapi.json").json()["paths"][path][method.lower()]["responses"]
    (listed,) = re.findall(r"^Errors: (.+)$", ENDPOINTS[name], re.M)
    assert listed.split(", ") == sorted(status for status in described if int(status) >= 400)


@pytest.mark.parametrize("name", ENDPOINTS)
def test_the_examples_of_an_endpoint_are_answered(application, name):
    client, key = application
    lines = examples(ENDPOINTS[name])
    assert lines
    for line in lines:
        if re.search(r"\b[A-Z]+_ID\b|\bKEY\b", line):
            for word, value in placeholders(client, key).items():
                line = re.sub(rf"\b{word}\b", value, line)
        method, path, options = request_of(line)
        template = re.sub(r"\{\w+\}", "[^/]+", name)
        assert re.fullmatch(template, f"{method} {path.partition('?')[0]}"), line
        answer = client.request(method, path, **options)
        assert answer.status_code in (200, 201, 202, 204), (line, answer.text)
        asked = options["headers"].get("Accept", answer.headers.get("content-type"))
        assert answer.headers.get("content-type") == asked


def members(document, schema):
    """The members of a body, and of the bodies inside of it."""
    names, references = set(), {one.rpartition("/")[2] for one in re.findall(r'"\$ref": "([^"]+)"', json.dumps(schema))}
    for name in references:
        inner = document["components"]["schemas"][name]
        if name.endswith("Body"):
            names |= set(inner["properties"]) | members(document, inner)
    return names


@pytest.mark.parametrize("name", ENDPOINTS)
def test_every_member_of_a_body_is_described(application, name):
    method, path = name.split()
    document = application[0].get("/openapi.json").json()
    content = document["paths"][path][method.lower()].get("requestBody", {}).get("content", {})
    wanted = set(content.get("multipart/form-data", {}).get("schema", {}).get("properties", ()))
    wanted |= members(document, content.get("application/json"))
    assert wanted or method != "POST"
    text = ENDPOINTS[name]
    if "consent" in wanted:
        text += INTRODUCTION
    if wanted & set(EditsBody.model_fields):
        text += SECTIONS["What every mix takes"]
    assert [member for member in sorted(wanted) if f"`{member}`" not in text] == []


def test_every_code_is_listed_with_its_status():
    listed = set(re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \|$", SECTIONS["Errors"], re.M))
    assert listed == {(str(kind.status), kind.code, kind.title) for kind in openapi.error_classes()}


def test_every_published_schema_is_of_a_body_that_is_described(application):
    paths = application[0].get("/openapi.json").json()["paths"]
    bodies = json.dumps([method.get("requestBody") for methods in paths.values() for method in methods.values()])
    for name, one in PUBLISHED.items():
        assert name == "recipe" or f'/{one.model.__name__}"' in bodies, name
