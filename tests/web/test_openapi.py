import importlib
import inspect
import json
import pkgutil
import re

import pytest
from fake_mixer import FakeMixer, fake_directions
from pydantic import ValidationError
from web_client import running

import facemix.web
from facemix.web import openapi

MODELS = {
    name: kind
    for found in pkgutil.iter_modules(facemix.web.__path__)
    if found.name.startswith("schemas")
    for name, kind in inspect.getmembers(importlib.import_module(f"facemix.web.{found.name}"), inspect.isclass)
    if hasattr(kind, "model_validate")
}


def fits(schema, value):
    """Raises unless the value fits one of the models that the schema names."""
    names = [one["$ref"].rpartition("/")[2] for one in schema.get("oneOf", [schema])]
    failures = []
    for name in names:
        try:
            return MODELS[name].model_validate_json(json.dumps(value))
        except ValidationError as error:
            failures.append(error)
    raise failures[0]


@pytest.fixture(scope="module")
def document(client):
    return client.get("/openapi.json").json()


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_every_endpoint_is_described(document):
    for name, operation in operations(document):
        assert operation["summary"], name
        for status, answer in operation["responses"].items():
            assert answer["description"], (name, status)


def test_every_parameter_of_a_path_is_described_once(document):
    for name, operation in operations(document):
        described = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"]
        assert sorted(described) == sorted(re.findall(r"\{(\w+)\}", name)), name
        everything = [(one["in"], one["name"]) for one in operation.get("parameters", ())]
        assert len(everything) == len(set(everything)), name
    sample = document["paths"]["/api/v1/samples/{number}"]["get"]["parameters"]
    assert {"number", "seed", "format", "model"} <= {one["name"] for one in sample}


def test_every_json_answer_has_an_example_that_fits_its_schema(document):
    checked = 0
    for name, operation in operations(document):
        bodies = list(operation["responses"].items())
        if "requestBody" in operation:
            bodies.append(("request", operation["requestBody"]))
        for status, body in bodies:
            for media_type, content in body.get("content", {}).items():
                if not media_type.endswith("json"):
                    continue
                assert content["examples"], (name, status)
                for example in content["examples"].values():
                    fits(content["schema"], example["value"])
                    checked += 1
                    if media_type == openapi.PROBLEM_MEDIA_TYPE:
                        assert str(example["value"]["status"])[0] == status[0]
    assert checked > 20


def test_errors_are_problem_documents_only(document):
    for name, operation in operations(document):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == [openapi.PROBLEM_MEDIA_TYPE], (name, status)


def test_every_reference_leads_somewhere(document):
    def references(node):
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for item in node.values():
                yield from references(item)
        elif isinstance(node, list):
            for item in node:
                yield from references(item)

    found = set(references(document))
    assert found
    for reference in found:
        assert reference.startswith("#/components/schemas/")
        assert reference.rpartition("/")[2] in document["components"]["schemas"]


def test_request_examples_are_answered(document):
    with running(lambda: FakeMixer(attributes=fake_directions())) as client:
        for path in ("/api/v1/mix", "/api/v1/strip", "/api/v1/grids", "/api/v1/prompts"):
            examples = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"]
            for example in examples.values():
                if "recipe" not in example["value"]:  # the id of a recipe that nobody has saved here
                    assert client.post(path, json=example["value"]).status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/mix", "/api/v1/grids"])
def test_the_picture_types_are_listed(document, path):
    content = document["paths"][path]["post"]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "image/png", "image/webp", "image/jpeg"}
