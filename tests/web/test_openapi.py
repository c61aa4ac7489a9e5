import inspect

import pytest

from facemix.web import openapi, schemas

MODELS = {name: kind for name, kind in inspect.getmembers(schemas, inspect.isclass) if hasattr(kind, "model_validate")}


@pytest.fixture(scope="module")
def document(client):
    return client.get("/openapi.json").json()


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_every_endpoint_is_described(document):
    assert set(document["paths"]) == {
        "/api/v1/mix",
        "/api/v1/strip",
        "/api/v1/faces",
        "/api/v1/samples/{number}",
        "/api/v1/model",
        "/healthz",
        "/readyz",
    }
    for name, operation in operations(document):
        assert operation["summary"], name
        for status, answer in operation["responses"].items():
            assert answer["description"], (name, status)


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
                model = MODELS[content["schema"]["$ref"].rpartition("/")[2]]
                assert content["examples"], (name, status)
                for example in content["examples"].values():
                    model.model_validate(example["value"])
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


def test_request_examples_are_answered(client, document):
    for path in ("/api/v1/mix", "/api/v1/strip"):
        examples = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"]
        for example in examples.values():
            assert client.post(path, json=example["value"]).status_code == 200


def test_the_mixs_picture_types_are_listed(document):
    content = document["paths"]["/api/v1/mix"]["post"]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "image/png", "image/webp", "image/jpeg"}
