"""Commands that look: at the faces of a photograph, and at what can be moved in a face."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facemix.cli.files import check_targets, make_folder, read_bytes, write
from facemix.errors import FacemixError
from facemix.settings import load_settings

if TYPE_CHECKING:
    from facemix.faces.look import FoundFace, Look
    from facemix.mixing.recipe import PlacedPoints

_FIGURES = ("score", "face_pixels", "sharpness", "yaw", "roll", "brightness", "photograph")


def faces(
    photo: Annotated[str, typer.Argument(help="A photograph.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    crops: Annotated[
        Path | None, typer.Option("--crops", help="Folder to write each aligned crop to, as NAME-0.png.")
    ] = None,
    placed: Annotated[
        str | None,
        typer.Option(help="Left eye, right eye and mouth in pixels of the upright photo, as X,Y,X,Y,X,Y."),
    ] = None,
) -> None:
    """Find the faces of a photograph, largest first, and say what the quality gates say."""
    from facemix.cli.edits import points
    from facemix.imaging.encode import encode_image

    found, digest = _look(photo, None if placed is None else points(placed))
    if crops is not None:
        make_folder(crops)
        for face in found.faces:
            target = crops / f"{Path(photo).stem}-{face.index}.png"
            check_targets([photo], target)
            write(target, encode_image(face.crop, "image/png"))
    if as_json:
        print(json.dumps(_document(found, digest), ensure_ascii=False, indent=2))
        return
    print(f"{photo}: {found.width} x {found.height} pixels, SHA-256 {digest}")
    for note in found.notes:
        print(f"  note: {note}")
    for face in found.faces:
        _print_face(face)


def attributes(as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False) -> None:
    """List what can be moved in a face, and the words for it."""
    from facemix.mixing.recipe import MOST_MOVED
    from facemix.mixing.vocabulary import words
    from facemix.vae.checkpoint import read_card
    from facemix.vae.directions import load_directions

    folder = _checkpoint()
    directions = load_directions(folder, read_card(folder))
    known = words(directions)
    model = f"{directions.card.model}@{directions.card.weights_sha256[:12]}"
    if as_json:
        document = {
            "model": model,
            "attributes": [one.model_dump(mode="json") | {"limit": MOST_MOVED} for one in directions.card.attributes],
            "words": [{"word": one.text, "attribute": one.attribute, "value": one.value} for one in known],
        }
        print(json.dumps(document, ensure_ascii=False, indent=2))
        return
    print(
        f"{directions.card.model}@{directions.card.weights_sha256[:12]}: values from {-MOST_MOVED:g} to {MOST_MOVED:g}"
    )
    for one in directions.card.attributes:
        step = f"; a value of 1 is about {abs(one.step):.3g} {one.unit}" if one.unit else ""
        print(f"{one.name:14} {one.title}: {one.low} (-) to {one.high} (+){step}")
        said = [f"{word.text} {word.value:+g}" for word in known if word.attribute == one.name]
        if said:
            print(f"{'':14} words: {', '.join(said)}")


def _look(photo: str, placed: PlacedPoints | None) -> tuple[Look, str]:
    """What is seen in a photograph, and its SHA-256. Raises `RequestInvalid`, `ImageError`, `FaceError`."""
    from facemix.faces.placed import Placed
    from facemix.safety.photo_gate import judged, load_gate
    from facemix.serving.lookers import ThreadLookers, lookers_from_settings
    from facemix.vae.checkpoint import read_card

    settings = load_settings()
    data = read_bytes(photo, settings.max_upload_bytes)
    lookers = lookers_from_settings(settings.model_copy(update={"isolate": False}))
    assert isinstance(lookers, ThreadLookers)  # nothing is isolated
    where = None if placed is None else Placed(placed.left_eye, placed.right_eye, placed.mouth)
    try:
        folder = _checkpoint()
        card = read_card(folder)
        seen = lookers.look_here(data, card.config.crop_size, where)
        gate = load_gate(folder, card.weights_sha256) if settings.gate else None
        judgement = tuple(judged(face, gate) for face in seen.faces)
        return replace(seen, faces=judgement), sha256(data).hexdigest()
    except FacemixError as error:
        raise error.at(photo) from error
    finally:
        lookers.close()


def _checkpoint() -> Path:
    from facemix.resources import resource_dir
    from facemix.vae.checkpoint import newest_checkpoint

    return load_settings().checkpoint or newest_checkpoint(resource_dir("checkpoints"))


def _print_face(face: FoundFace) -> None:
    x0, y0, x1, y1 = face.face.box
    quality = face.quality
    print(
        f"face {face.index}: {x0:.0f},{y0:.0f} to {x1:.0f},{y1:.0f}; eyes {quality.face_pixels:.0f} pixels apart, "
        f"sharpness {quality.sharpness:.2f}, roll {quality.roll:.0f} degrees, brightness {quality.brightness:.2f}"
    )
    for _, sentence in quality.warnings:
        print(f"  warning: {sentence}")
    if face.refusal is not None:
        print(f"  refused: {face.refusal.message} ({face.refusal.hint})")


def _document(found: Look, digest: str) -> dict[str, Any]:
    """The same members as of `POST /api/v1/faces`, without ids and crops."""
    return {
        "image": {"width": found.width, "height": found.height, "notes": list(found.notes)},
        "sha256": digest,
        "count": len(found.faces),
        "faces": [_face(one) for one in found.faces],
    }


def _face(found: FoundFace) -> dict[str, Any]:
    from facemix.faces.types import LANDMARK_NAMES

    quality = {name: getattr(found.quality, name) for name in _FIGURES}
    refusal = found.refusal
    return {
        "index": found.index,
        "box": dict(zip(("x0", "y0", "x1", "y1"), (_number(value, 2) for value in found.face.box), strict=True)),
        "landmarks": {
            name: {"x": _number(x, 2), "y": _number(y, 2)}
            for name, (x, y) in zip(LANDMARK_NAMES, found.face.landmarks, strict=True)
        },
        "quality": {name: _number(value, 4) for name, value in quality.items()},
        "warnings": [{"code": code, "message": message} for code, message in found.quality.warnings],
        "refusal": refusal and {"code": refusal.code, "detail": refusal.message, "hint": refusal.hint},
    }


def _number(value: float, digits: int) -> float | None:
    """JSON has no NaN."""
    return round(float(value), digits) if math.isfinite(value) else None
