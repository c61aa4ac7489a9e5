"""The description of the interface, with an example for every answer."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import facemix
from facemix import errors
from facemix.mixing.recipe import LEAST_SIDE, MOST_SIDE, MOST_VIVID
from facemix.safety.terms import VERSION
from facemix.web import consent, idempotency
from facemix.web.budget import costs
from facemix.web.choosing import PARAMETER, PATTERN
from facemix.web.problems import PROBLEM_MEDIA_TYPE
from facemix.web.schemas_parts import Problem
from facemix.web.schemas_requests import MixBody, ReplayBody, StripBody
from facemix.web.schemas_reviews import HeldResponse

DESCRIPTION = """\
Two or more faces in, one blended face out.

* Weights are shares: 0 gives the first parent's own reconstruction, 1 the second's.
* The same photos, weights and model give the same picture; between requests and machines it may differ by rounding.
* Every answer carries `X-Request-Id`; send your own to have it taken over.
* Every refusal is an RFC 9457 problem document with a stable `code` and a `hint`.
* Photographs are kept in memory while a request is worked on, what was found in them (aligned squares, latents) for
  some minutes more, nothing on disk.
* A key (`Authorization: Bearer ...`) is not needed; it has a rate of its own.
* `Idempotency-Key: ...` on a POST that makes or keeps something lets it be sent again: the work is done once, and for a
  day its answer is given again with `Idempotent-Replay: true`.
* `X-Facemix-Deadline: 2.5` asks to be refused rather than to wait longer than so many seconds for the model.
* `X-Facemix-Use-Model: name` (or `?model=name`) asks for one of several live models; `GET /api/v1/models` lists them.
* `X-Facemix-Consent: ...` states that everybody in the photos agrees, to a version of the terms (page `/terms`); a
  server may require it.
* `Server-Timing` says where the time went: `look` (bytes to crops), `encode`, `decode`, `write`.
"""

IMAGE_TYPES = ("image/png", "image/webp", "image/jpeg")

BINARY = {"type": "string", "format": "binary"}
_described: dict[str, type[BaseModel]] = {}  # what the endpoints' descriptions speak of, by name


def error_classes() -> list[type[errors.FacemixError]]:
    """Every kind of refusal, in the order in which they are defined."""

    def walk(kind: type[errors.FacemixError]) -> list[type[errors.FacemixError]]:
        found = [kind] if kind is not errors.FacemixError else []
        for child in kind.__subclasses__():
            # Classes of tests or plug-ins are not part of the interface.
            if child.__module__ == errors.__name__:
                found += walk(child)
        return found

    return [kind for kind in walk(errors.FacemixError) if kind is not errors.Held]  # not yet an answer, and no refusal


def _ref(model: type[BaseModel]) -> dict[str, str]:
    _described[model.__name__] = model
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def json_content(model: type[BaseModel]) -> dict[str, Any]:
    examples = model.model_config.get("json_schema_extra", {})["examples"]  # type: ignore[index]
    named = {f"example {number}": {"value": value} for number, value in enumerate(examples, 1)}
    return {"schema": _ref(model), "examples": named}


def problem(description: str, kind: type[errors.FacemixError], detail: str, hint: str, **rest: Any) -> dict:
    """One error answer with an example of its own."""
    example = {
        **Problem.model_config["json_schema_extra"]["examples"][0],  # type: ignore[index]
        "type": f"/problems/{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "code": kind.code,
        "hint": hint,
        "where": None,
        **rest,
    }
    return {
        "description": description,
        "content": {PROBLEM_MEDIA_TYPE: {"schema": _ref(Problem), "examples": {kind.code: {"value": example}}}},
    }


UNPROCESSABLE = problem(
    "The request or one of its photos cannot be used; `where` names which.",
    errors.FaceNotFound,
    "no face was found in a photo of 451 x 300 pixels",
    "use a photo in which one face is well lit and looks towards the camera",
    where="face_b",
)
TOO_LARGE = problem(
    "A photo or the whole request is too large.",
    errors.ImageTooLarge,
    "the photo face_a is larger than 10 MB, and at most that much is taken",
    "save it smaller, or as JPEG; a few megapixels are plenty",
    where="face_a",
)
UNSUPPORTED = problem(
    "The body or a photo is of a type that is not read.",
    errors.ImageUnsupported,
    "this is a GIF; facemix reads JPEG, PNG and WebP",
    "save the photo as JPEG",
    where="face_a",
)
NOT_ACCEPTABLE = problem(
    "None of the accepted types can be produced.",
    errors.NotAcceptable,
    "the request accepts only 'text/csv'",
    "accept one of application/json, image/png, image/webp, image/jpeg",
)
UNAVAILABLE = problem(
    "The server is busy, or the model is not loaded; `Retry-After` says when to try again.",
    errors.Busy,
    "255 frames are being worked on or wait; at most 256 may",
    "try again in 2 seconds",
)
UNHEALTHY = problem(
    "The thread that runs the model is dead or hangs.",
    errors.EngineFailed,
    "the inference thread died and is being replaced",
    "if it stays so, restart the server; its log says why",
)
UNAVAILABLE["headers"] = {"Retry-After": {"description": "seconds", "schema": {"type": "integer", "example": 2}}}
UNHEALTHY["headers"] = UNAVAILABLE["headers"]
TIMEOUT = problem(
    "The body took too long to arrive.",
    errors.BodyTimeout,
    "the request did not arrive within 120 seconds",
    "send smaller files, or use a faster connection",
)
INTERNAL = problem(
    "A defect of facemix; the log has the cause under the request id.",
    errors.Internal,
    "facemix met an error that it did not expect",
    "try again; if it stays, give the request id to whoever runs this server: its log says more",
)
UNKNOWN_KEY = problem(
    "The Authorization header holds a key that was never given out, or has been revoked.",
    errors.KeyUnknown,
    "the key in the Authorization header is not known",
    "check the key, ask the operator for one, or leave the header out",
)
TOO_MANY = problem(
    "More requests than this key or address may send; `Retry-After` says when to try again.",
    errors.RateLimited,
    "this address sent more requests than 600 per 1 minute",
    "try again in 17 seconds",
)
TOO_MANY["headers"] = UNAVAILABLE["headers"]
NO_BUDGET = problem(
    "The key has spent what it may spend in a day or a month; nothing was read or done.",
    errors.BudgetSpent,
    "the key 'integrator' has spent its budget of the day",
    "it begins anew on 2026-11-22 at 00:00 UTC, or ask whoever runs this server for more",
)
MISSING = problem(
    "There is no such record: it was never stored, has expired, or was deleted.",
    errors.RecordMissing,
    "there is no recipe 'kV0tW3qfX8mZ1aBc'",
    "it may have expired or been deleted",
)
GONE = problem(
    "A face is not kept any more, or there is no such record.",
    errors.FaceGone,
    "there is no face 'Jx0mVQd5S1uN8s7fK3aZ2w'",
    "it may have expired or been deleted; upload the photo again",
    where="parents.0",
)
OTHER_MODEL = problem(
    "A face, latent or recipe belongs to another model than the one that answers, or no live model has the name that "
    "was asked for.",
    errors.ModelMismatch,
    "this belongs to facemix-128@3f0c1b7a9d2e, and facemix-128@9b74c9897bac is live",
    "make it again from the photos, with the model that is live",
    where="recipe",
)
NOT_LIVE = problem(
    "No live model has the name that was asked for.",
    errors.ModelNotLive,
    "no live model is called 'facemix-64'",
    "live are facemix-128@3f0c1b7a9d2e",
    where="model",
)
CHOICE_INVALID = problem(
    "What was asked for can name no model, or two were asked for.",
    errors.RequestInvalid,
    "'Facemix 128' can be no model",
    "write its name, or name and hash as in facemix-128@3f0c1b7a9d2e",
    where="model",
)
UNFINISHED = problem(
    "The job has not ended yet, or not well.",
    errors.JobUnfinished,
    "the job is running",
    "ask again when its state is done",
)
NO_SPACE = problem("Nothing can be stored.", errors.StorageFull, "the disk is full", "free space on it")
NO_PHOTOGRAPH = problem(
    "Detail was asked for of a face that is kept by its id, and what that takes of its photograph is gone from memory.",
    errors.PhotographMissing,
    "the detail of this face's photograph is not in memory any more",
    "send the photograph again, or leave out detail",
    where="parents.0",
)


def _either(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Two refusals of one status."""
    content, other = (one["content"][PROBLEM_MEDIA_TYPE] for one in (first, second))
    return {
        **first,
        "description": f"{first['description']} {second['description']}",
        "content": {PROBLEM_MEDIA_TYPE: {**content, "examples": content["examples"] | other["examples"]}},
    }


UPLOAD_ERRORS: dict[int | str, dict[str, Any]] = {
    401: UNKNOWN_KEY,
    404: GONE,
    408: TIMEOUT,
    409: _either(OTHER_MODEL, NO_PHOTOGRAPH),
    413: TOO_LARGE,
    415: UNSUPPORTED,
    422: UNPROCESSABLE,
    429: TOO_MANY,
    500: INTERNAL,
    503: UNAVAILABLE,
    507: NO_SPACE,
}
LOOK_ERRORS: dict[int | str, dict[str, Any]] = {401: UNKNOWN_KEY, 429: TOO_MANY, 500: INTERNAL, 503: UNAVAILABLE}
CHOICE_ERRORS: dict[int | str, dict[str, Any]] = {409: NOT_LIVE, 422: CHOICE_INVALID}
KEPT_ERRORS: dict[int | str, dict[str, Any]] = {
    401: UNKNOWN_KEY,
    404: MISSING,
    422: UNPROCESSABLE,
    429: TOO_MANY,
    500: INTERNAL,
    503: UNAVAILABLE,
}

_PAIR_PROPERTIES: dict[str, Any] = {
    "face_a": {**BINARY, "description": "first photograph"},
    "face_b": {**BINARY, "description": "second photograph"},
    "face_a_index": {"type": "integer", "minimum": 0, "description": "which face of it, largest first"},
    "face_b_index": {"type": "integer", "minimum": 0},
    "sample_a": {"type": "integer", "minimum": 0, "description": "a sample face instead of a photograph"},
    "sample_b": {"type": "integer", "minimum": 0},
    "interpolation": {"type": "string", "enum": ["lerp", "slerp"], "default": "lerp"},
    "vividness": {
        "type": "number",
        "minimum": 0,
        "maximum": MOST_VIVID,
        "default": 0,
        "description": "share of the norm that lerp loses which is given back; slerp loses none",
    },
    "attributes": {"type": "string", "description": 'JSON, as {"smile": 1}; see GET /api/v1/attributes'},
    "prompt": {"type": "string", "description": 'words for attributes, as in "older, -smiling"'},
    "negative_prompt": {"type": "string", "description": "words whose attributes are subtracted"},
    "detail": {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "default": 0,
        "description": "how much of the photographs' own detail is carried into the mix",
    },
    "keep": {
        "type": "string",
        "example": "hair=a, glasses=mixed",
        "description": 'whose hair, glasses and background: so, or JSON, as {"hair": 0, "glasses": "mixed"}',
    },
    "size": {
        "type": "integer",
        "minimum": LEAST_SIDE,
        "maximum": MOST_SIDE,
        "description": "side of the result in pixels; without it as the photographs allow",
    },
    "seed": {"type": "integer", "minimum": 0, "default": 0, "description": "seed of the sample faces"},
}
_PLACEMENT = {
    "type": "string",
    "example": "photo:a",
    "description": "what the face is put onto: photo:a, blurred:a, plain, plain:#e8e4da, crop (the default), or JSON, "
    'as {"onto": "photo", "parent": 0}',
}
_WEIGHT = {
    "type": "number",
    "minimum": 0,
    "maximum": 1,
    "default": 0.5,
    "description": "share of the second face",
}
_STEPS = {"type": "integer", "minimum": 3, "description": "frames, both ends included"}


_DEADLINE = {
    "name": "X-Facemix-Deadline",
    "in": "header",
    "required": False,
    "description": "seconds that the request may wait for the model; at most what the operator allows",
    "schema": {"type": "number", "exclusiveMinimum": 0},
}

_CONSENT = {
    "name": consent.HEADER,
    "in": "header",
    "required": False,
    "description": "the version of the terms (page /terms) to which whoever sends photos agrees; may be required",
    "schema": {"type": "string", "example": VERSION},
}
_CONSENT_FIELD = {"type": "string", "description": f"the same as the header {consent.HEADER}"}

# Names the model, where several are live; without it the default answers, or a candidate its share of the clients.
_CHOICE: list[dict[str, Any]] = [
    {
        "name": name,
        "in": place,
        "required": False,
        "description": description,
        "schema": {"type": "string", "pattern": PATTERN},
    }
    for name, place, description in (
        (PARAMETER, "query", "a live model's name, or name@hash for one version; without it the operator chooses"),
        ("X-Facemix-Use-Model", "header", "the same as a header"),
    )
]
MODEL_CHOICE: dict[str, Any] = {"parameters": _CHOICE}

_IDEMPOTENCY_KEY = {
    "name": idempotency.HEADER,
    "in": "header",
    "required": False,
    "description": "names this request, so that it may be sent again and is worked on once: 1 to 200 printable ASCII "
    "characters that nobody guesses, as a UUID; the same only with the same body",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
}
_IN_FLIGHT = problem(
    "The first request with this idempotency key is still being worked on; `Retry-After` says when to try again.",
    errors.IdempotencyInFlight,
    "the first request with this Idempotency-Key is still being worked on",
    "send the same again in 1 second",
    where=idempotency.HEADER,
)
_MISMATCH = problem(
    "The idempotency key came with another body before.",
    errors.IdempotencyMismatch,
    "this Idempotency-Key came with another body before",
    "make a new key for every new request; send the same key only with the same body",
    where=idempotency.HEADER,
)


def request_body(form: dict[str, Any], *bodies: type[BaseModel]) -> dict[str, Any]:
    """A body that may come as a form, or as JSON of one of several shapes."""
    content: dict[str, Any] = {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {**form, consent.FIELD: _CONSENT_FIELD},
                "additionalProperties": False,
            }
        }
    }
    return _body(content, *bodies, photos=True)


def json_body(*bodies: type[BaseModel], photos: bool = False) -> dict[str, Any]:
    """A body in JSON of one of several shapes; `photos` where there can be photographs in it."""
    return _body({}, *bodies, photos=photos)


def _body(content: dict[str, Any], *bodies: type[BaseModel], photos: bool) -> dict[str, Any]:
    described = [json_content(body) for body in bodies]
    if described:
        schema = described[0]["schema"] if len(described) == 1 else {"oneOf": [one["schema"] for one in described]}
        examples = [value for one in described for value in one["examples"].values()]
        named = {f"example {number}": value for number, value in enumerate(examples, 1)}
        content["application/json"] = {"schema": schema, "examples": named}
    return {
        "requestBody": {"required": True, "content": content},
        "parameters": [_DEADLINE, *_CHOICE, *([_CONSENT] if photos else [])],
    }


MIX_BODY = request_body(
    {
        **_PAIR_PROPERTIES,
        "placement": _PLACEMENT,
        "weight": _WEIGHT,
        "recipe": {"type": "string", "description": "a recipe to draw again, as JSON, instead of all other fields"},
        "photo_0": {**BINARY, "description": "a photograph of that recipe; further ones are photo_1, photo_2, ..."},
        "reencode": {
            "type": "boolean",
            "default": False,
            "description": "make one of another model anew from photographs",
        },
    },
    MixBody,
    ReplayBody,
)
STRIP_BODY = request_body({**_PAIR_PROPERTIES, "steps": _STEPS}, StripBody)
_POINT = {"type": "string", "example": "310.5,220", "description": "x,y in pixels of the upright photograph"}
FACES_BODY = request_body(
    {
        "image": {**BINARY, "description": "a photograph"},
        **dict.fromkeys(("left_eye", "right_eye", "mouth"), _POINT),
    }
)

REQUEST_ID_HEADER = {"description": "names this request in the log", "schema": {"type": "string"}}
MODEL_HEADER = {"description": "the model that made the picture", "schema": {"type": "string"}}


def ok(description: str, model: type[BaseModel], content: dict[str, Any] | None = None) -> dict[str, Any]:
    """An answer in JSON, and perhaps in other types."""
    return {
        "description": description,
        "content": {"application/json": json_content(model), **(content or {})},
        "headers": {"X-Request-Id": REQUEST_ID_HEADER},
    }


HELD: dict[int | str, dict[str, Any]] = {
    202: ok("A person looks at the result first; its status page gives it out.", HeldResponse)
}


def queued(model: type[BaseModel]) -> dict[str, Any]:
    """An answer of 202 that tells of a job, or that a person looks at a face of it first."""
    either = ok("It is queued; or, if there is a `code`, a person looks at one of its faces first.", model)
    (queued,), held = either["content"].values(), json_content(HeldResponse)
    either["content"]["application/json"] = {
        "schema": {"oneOf": [queued["schema"], held["schema"]]},
        "examples": {**queued["examples"], "held": next(iter(held["examples"].values()))},
    }
    return either


def keyed_errors(detail: str, hint: str) -> dict[int | str, dict[str, Any]]:
    """What an address answers that only a key may ask."""
    needed = problem("There is no key in the Authorization header.", errors.KeyRequired, detail, hint)
    return {**KEPT_ERRORS, 401: _either(needed, UNKNOWN_KEY)}


def image_content() -> dict[str, Any]:
    return {media_type: {"schema": BINARY} for media_type in IMAGE_TYPES}


def _add_key(operation: dict[str, Any]) -> None:
    """Describes the header of a POST that may be sent again, and what it may be refused with."""
    operation["parameters"] = [*operation.get("parameters", ()), _IDEMPOTENCY_KEY]
    for status, refusal in (("409", _IN_FLIGHT), ("422", _MISMATCH)):
        there = operation["responses"].get(status)
        operation["responses"][status] = refusal if there is None else _either(there, refusal)


def install(app: FastAPI, *routers: APIRouter) -> None:
    """Replaces the generator by one that knows the shapes which the endpoints of `routers` read themselves."""

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title="facemix",
                version=facemix.__version__,
                description=DESCRIPTION,
                license_info={"name": "Apache-2.0 (code); the weights have terms of their own, see /models"},
                routes=app.routes,
            )
            # The generator drops every null, also those that an example means.
            for route in (route for router in routers for route in router.routes):
                if isinstance(route, APIRoute):
                    for method in route.methods:
                        operation = document["paths"][route.path_format][method.lower()]
                        operation["responses"] = {str(code): item for code, item in route.responses.items()}
                        extra = dict(route.openapi_extra or {})
                        extra.pop("parameters", None)  # the generator has added them to the endpoint's own
                        operation.update(extra)
                        if method == "POST" and route.path_format in idempotency.PATHS:
                            _add_key(operation)
                        if costs({"method": method, "path": route.path_format}):
                            operation["responses"]["402"] = NO_BUDGET
            _, definitions = models_json_schema(
                [(model, "validation") for model in _described.values()], ref_template="#/components/schemas/{model}"
            )
            document.setdefault("components", {})["schemas"] = definitions["$defs"]
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = build  # type: ignore[method-assign]
