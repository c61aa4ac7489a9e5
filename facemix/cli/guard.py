"""Commands about the likeness guard: who is in its gallery, and whom a photograph is taken for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from facemix.errors import InstallationError, RequestInvalid
from facemix.settings import Settings, load_settings

if TYPE_CHECKING:
    import numpy as np

    from facemix.faces.embedder import IdentityEmbedder
    from facemix.safety.gallery import Gallery

guard = typer.Typer(name="guard", help="Protect people's likeness.", no_args_is_help=True)

_SIDE = 128  # pixels of the crops that are compared: what results have
_ACTOR = "command line"


@guard.command("add")
def guard_add(
    photos: Annotated[list[str], typer.Argument(help="Photographs of one person, with no other face in them.")],
    label: Annotated[str, typer.Option(help="What to call the entry; need not be a name.")],
    consent: Annotated[str, typer.Option(help="Who agreed to be in the gallery, how and when.")],
) -> None:
    """Put a person into the gallery. The photographs are not kept, only points that a face embedder makes of them."""
    import numpy as np

    settings = load_settings()
    embedder = _embedder()
    crops = [_only_face(photo, settings) for photo in photos]
    with _gallery(settings) as gallery:
        print(gallery.enroll(embedder.embed(np.stack(crops)), label, consent, _ACTOR, embedder=embedder.name))


@guard.command("list")
def guard_list() -> None:
    """List who is in the gallery."""
    with _gallery(load_settings()) as gallery:
        enrolled = gallery.list()
        for one in enrolled:
            print(f"{one.id}: {one.label}, added {one.created_at:%Y-%m-%d}, consent: {one.consent}")
    if not enrolled:
        print("nobody is in the gallery")


@guard.command("remove")
def guard_remove(id: Annotated[str, typer.Argument(help="Who, as `facemix guard list` says it.")]) -> None:
    """Take a person out of the gallery. A running server forgets the points within seconds."""
    with _gallery(load_settings()) as gallery:
        gallery.remove(id, _ACTOR)


@guard.command("test")
def guard_test(photo: Annotated[str, typer.Argument(help="A photograph, or a result.")]) -> None:
    """Say for every face of a photograph who in the gallery it is nearest to."""
    from facemix.safety.guard import Guard

    settings = load_settings()
    embedder = _embedder()
    faces = _faces(photo, settings)
    with _gallery(settings) as gallery:
        labels = {one.id: one.label for one in gallery.list()}
        # No distance is large enough not to be said.
        found = Guard(gallery, embedder, float("inf"))
        if reason := found.state().reason:
            print(f"note: {reason}")
        for index, crop in enumerate(faces):
            match = found.match(crop[None])
            if match is None:
                print(f"face {index}: the gallery is empty")
                continue
            verdict = "a match" if match.distance < settings.guard_distance else "no match"
            print(f"face {index}: {match.distance:.3f} from {match.id} ({labels.get(match.id, 'removed')}), {verdict}")


def _only_face(photo: str, settings: Settings) -> np.ndarray:
    crops = _faces(photo, settings)
    if len(crops) != 1:
        raise RequestInvalid(
            f"{len(crops)} faces are in the photograph", hint="crop it to the face of the person", where=photo
        )
    return crops[0]


def _faces(photo: str, settings: Settings) -> list[np.ndarray]:
    """The aligned crops of the usable faces. Raises `RequestInvalid`, `ImageError`, `FaceError`."""
    from facemix.cli.files import read_bytes
    from facemix.errors import FacemixError
    from facemix.serving.lookers import ThreadLookers, lookers_from_settings

    data = read_bytes(photo, settings.max_upload_bytes)
    lookers = lookers_from_settings(settings.model_copy(update={"isolate": False}))
    assert isinstance(lookers, ThreadLookers)  # nothing is isolated
    try:
        seen = lookers.look_here(data, _SIDE, None)
        usable = [face for face in seen.faces if face.refusal is None]
        if not usable:
            raise seen.faces[0].refusal or AssertionError("a face without a refusal is usable")
        return [face.crop for face in usable]
    except FacemixError as error:
        raise error.at(photo) from error
    finally:
        lookers.close()


def _embedder() -> IdentityEmbedder:
    from facemix.faces.embedder import EXTRA, load_embedder

    found = load_embedder()
    if found is None:
        raise InstallationError("the face embedder is not installed", hint=f"pip install '{EXTRA}'")
    return found


@contextmanager
def _gallery(settings: Settings) -> Iterator[Gallery]:
    from facemix.governance.secrets import open_secrets
    from facemix.safety.gallery import Gallery
    from facemix.web.run import open_database

    with open_database(settings) as database:
        yield Gallery(database, open_secrets(settings))
