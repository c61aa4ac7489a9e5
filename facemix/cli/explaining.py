"""The command that says why a face looks as it does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facemix.cli import options
from facemix.cli.files import make_folder, parent, report, write
from facemix.settings import load_settings

if TYPE_CHECKING:
    import numpy as np

    from facemix.serving.explain import Explained
    from facemix.serving.training_faces import TrainingFaces

FILE = "explanation.json"


def explain(
    photos: options.Photos,
    out: Annotated[Path, typer.Option("--out", help="Folder to write explanation.json and the pictures to.")],
    weight: Annotated[
        float | None,
        typer.Option("--weight", "-w", min=0, max=1, help="Share of the second face, of two; default 0.5."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option("--weights", help="One weight per photo, as in 2,1,1; they are scaled to sum to 1.")
    ] = None,
    faces: options.Faces = None,
    placed: options.Placed = None,
    moved: options.Moved = None,
    prompt: options.Prompt = "",
    negative_prompt: options.NegativePrompt = "",
    region: options.Regions = None,
    colour: options.Colour = None,
    variation: options.VariationText = None,
    interpolation: options.InterpolationName = "lerp",
    vividness: options.VividnessShare = 0.0,
    detail: options.Detail = 0.0,
    keep: options.Keep = None,
    size: options.Size = None,
    seed: options.Seed = 0,
    data: Annotated[
        Path | None, typer.Option("--data", help="The model's prepared data set: also write the nearest faces of it.")
    ] = None,
) -> None:
    """Explain a mix: who drew what, what each edit moved, the nearest training faces (``docs/explaining.md``)."""
    from facemix.cli.edits import edits_of, placed_points
    from facemix.cli.engines import mixer_for_one, said
    from facemix.cli.likeness import likeness_for_files
    from facemix.cli.marking import names_for_files, release_for_files
    from facemix.imaging.encode import encode_image
    from facemix.serving.conditioning import record_of
    from facemix.serving.explain import told
    from facemix.serving.training_faces import TrainingFaces

    edits = edits_of(
        len(photos),
        interpolation=interpolation,
        vividness=vividness,
        moved=moved,
        regions=region,
        colour=colour,
        variation=variation,
        detail=detail,
        keep=keep,
        size=size,
        seed=seed,
    )
    shares = options.shares(photos, weight, weights, None)
    chosen = options.numbers(faces, "--faces", int, len(photos)) if faces else [None] * len(photos)
    points = placed_points(placed, len(photos))
    known = None if data is None else TrainingFaces(data)
    parents = [
        parent(photo, share, face, points.get(place))
        for place, (photo, share, face) in enumerate(zip(photos, shares, chosen, strict=True))
    ]
    release, likeness = release_for_files(), likeness_for_files()
    mixer = mixer_for_one()
    edits, notes = said(mixer, edits, prompt, negative_prompt)
    found = mixer.explain(parents, edits)
    likeness.check_mix(found.result)
    found = replace(found, image=release.mark(found.image, found.recipe))
    report(found.parents, notes)
    settings = load_settings()
    record = record_of(mixer.mixer, settings, found.recipe, found.parents, name=names_for_files(settings))
    make_folder(out)
    pictures = _pictures(found)
    for name, pixels in pictures.items():
        write(out / name, release.file(pixels, "image/png", found.recipe, found.parents))
    training = {} if known is None else _training_pictures(found, known)
    for name, pixels in training.items():
        write(out / name, encode_image(pixels, "image/png"))
    pictures |= training
    text = json.dumps({**told(found), "record": record, "pictures": sorted(pictures)}, indent=2)
    write(out / FILE, (text + "\n").encode())
    _say(found)
    print(f"{out}: {FILE} and {len(pictures)} pictures, by {mixer.model}")


def _pictures(found: Explained) -> dict[str, np.ndarray]:
    """The result, and what is drawn over it."""
    from facemix.explaining.closeness import letter
    from facemix.serving.explain import edit_picture, parent_picture

    pictures = {"result.png": found.image}
    for place in range(len(found.parents)):
        name = letter(place)
        pictures[f"parent-{name.lower()}.png"] = parent_picture(found, place, name)
    for effect in found.edits:
        pictures[f"edit-{effect.name}.png"] = edit_picture(found, effect, effect.name)
    return pictures


def _training_pictures(found: Explained, known: TrainingFaces) -> dict[str, np.ndarray]:
    """Photographs of the data set, which nobody has mixed."""
    pictures = {}
    for place, one in enumerate(() if found.closeness is None else found.closeness.neighbours, 1):
        pixels = known.picture(one.hash)
        if pixels is not None:
            pictures[f"neighbour-{place}-{one.hash}.png"] = pixels
    return pictures


def _say(found: Explained) -> None:
    from facemix.explaining.closeness import letter

    for place, total in enumerate(found.influence.totals()):
        print(f"face {letter(place)}: weight {100 * found.recipe.weights[place]:.0f} %, drew {100 * total:.0f} %")
    for one in found.edits:
        most = max(one.regions, key=one.regions.__getitem__)
        print(f"{one.name}: moved the picture by {one.mean:.1f} of 255 levels, most in the region {most}")
    if found.closeness is None:
        print("there is no index of training faces beside this checkpoint")
    else:
        print(found.closeness.words)
