"""Commands that draw one face, or a strip of them, and those that draw it again."""

from __future__ import annotations

import hashlib
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facemix.cli import options
from facemix.cli.files import (
    check_recipe_target,
    check_targets,
    face_of,
    parent,
    read_bytes,
    report,
    smaller,
    write,
)
from facemix.errors import RecipeInvalid, RequestInvalid
from facemix.settings import load_settings

if TYPE_CHECKING:
    import numpy as np

    from facemix.mixing.recipe import Recipe
    from facemix.serving.types import ParentInput

_LONGEST_RECIPE = 4 * 1024 * 1024  # bytes; 32 latents of 4,096 numbers are 700 KB


def mix(
    photos: options.Photos,
    output: options.Output,
    weight: Annotated[
        float | None,
        typer.Option("--weight", "-w", min=0, max=1, help="Share of the second face, of two; default 0.5."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option("--weights", help="One weight per photo, as in 2,1,1; they are scaled to sum to 1.")
    ] = None,
    faces: options.Faces = None,
    placed: options.Placed = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Write a strip of so many frames from the first to the second.")
    ] = None,
    moved: options.Moved = None,
    prompt: options.Prompt = "",
    negative_prompt: options.NegativePrompt = "",
    region: options.Regions = None,
    colour: options.Colour = None,
    variation: options.VariationText = None,
    interpolation: options.InterpolationName = "lerp",
    vividness: options.VividnessShare = 0.0,
    detail: options.DetailOrUsual = None,
    keep: options.Keep = None,
    size: options.Size = None,
    onto: options.Onto = None,
    seed: options.Seed = 0,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="Also write the recipe, as JSON.")] = None,
    portable: Annotated[
        bool, typer.Option("--portable", help="Put latents in the place of photographs in the recipe.")
    ] = False,
) -> None:
    """Mix one face or more into one picture."""
    from facemix.cli.edits import check_ground, detail_or_usual, edits_of, placed_points
    from facemix.cli.engines import mixer_for_one, said
    from facemix.cli.likeness import likeness_for_files
    from facemix.cli.marking import release_for_files
    from facemix.imaging.encode import longest_side, media_type_for_path
    from facemix.web.release import named

    media_type = media_type_for_path(output)
    edits = edits_of(
        len(photos),
        interpolation=interpolation,
        vividness=vividness,
        moved=moved,
        regions=region,
        colour=colour,
        variation=variation,
        detail=detail_or_usual(detail, photos),
        keep=keep,
        size=size,
        onto=onto,
        seed=seed,
    )
    check_ground(edits, photos)
    shares = options.shares(photos, weight, weights, steps)
    chosen = options.numbers(faces, "--faces", int, len(photos)) if faces else [None] * len(photos)
    points = placed_points(placed, len(photos))
    check_targets(photos, output, recipe)
    check_recipe_target(recipe, output)
    if portable and (recipe is None or steps is not None):
        raise RequestInvalid(
            "--portable is about the recipe of a mix", hint="give --recipe, and no --steps", where="--portable"
        )
    if steps is not None and edits.placement is not None:
        raise RequestInvalid("only a single mix is put onto something", hint="leave --steps or --onto", where="--onto")
    if steps is not None and len(photos) != 2:
        raise RequestInvalid(
            f"a strip goes from one face to another, not between {len(photos)}", hint="name two photos"
        )
    parents = [
        parent(photo, share, face, points.get(place))
        for place, (photo, share, face) in enumerate(zip(photos, shares, chosen, strict=True))
    ]
    release, likeness = release_for_files(), likeness_for_files()
    mixer = mixer_for_one()
    edits, notes = said(mixer, edits, prompt, negative_prompt)
    if steps is not None:
        first, second = parents
        strip = mixer.strip(first, second, steps=steps, edits=edits)
        likeness.check(strip.frames, strip.recipes, path=True)
        described, notes = named(strip.recipes), (*notes, *smaller(edits, strip.frames))
        pixels, used = _side_by_side(release.mark(strip.frames, described), longest_side(media_type)), strip.parents
    else:
        result = mixer.mix(parents, edits)
        likeness.check_mix(result)
        described = result.recipe.portable(result.latents) if portable else result.recipe
        used, notes = result.parents, (*notes, *result.notes, *smaller(edits, face_of(result)))
        pixels = release.mark(result.image, described)
    report(used, notes)
    write(output, release.file(pixels, media_type, described, used))
    if recipe is not None:
        write(recipe, (described.to_json() + "\n").encode())
    print(f"{output}: {pixels.shape[1]} x {pixels.shape[0]} pixels, by {mixer.model}")


def replay(
    recipe: Annotated[Path, typer.Argument(help="A recipe, as `facemix mix --recipe` and the page write it.")],
    output: options.Output,
    photos: Annotated[
        list[str] | None, typer.Argument(help="The recipe's photographs in any order, found by their content.")
    ] = None,
    reencode: Annotated[
        bool, typer.Option("--reencode", help="Make a recipe of another model anew from its photographs.")
    ] = False,
) -> None:
    """Draw a recipe again: the same pixels, from the same model."""
    from facemix.cli.engines import mixer_for_one
    from facemix.cli.likeness import likeness_for_files
    from facemix.cli.marking import release_for_files
    from facemix.imaging.encode import media_type_for_path
    from facemix.serving.replay import check_recipe

    media_type = media_type_for_path(output)
    check_targets((*(photos or ()), str(recipe)), output)
    described = _read(recipe)
    found = _by_content(photos or [])
    _check_photos(described, found, recipe)
    release, likeness = release_for_files(), likeness_for_files()
    mixer = mixer_for_one()
    check_recipe(described, mixer.model, where=str(recipe), reencode=reencode)
    result = mixer.mix(_inputs(described, found, mixer.mixer.latent_size, str(recipe)), described.edits)
    likeness.check_mix(result)
    report(result.parents, (*result.notes, *smaller(described.edits, face_of(result))))
    write(output, release.picture(result.image, media_type, result.recipe, result.parents))
    print(f"{output}: {result.image.shape[1]} x {result.image.shape[0]} pixels, by {mixer.model}")


def _read(path: Path) -> Recipe:
    from facemix.mixing.recipe import Recipe

    data = read_bytes(path, _LONGEST_RECIPE)
    if len(data) > _LONGEST_RECIPE:
        raise RequestInvalid("too long for a recipe", hint="name the file that --recipe wrote", where=str(path))
    try:
        return Recipe.from_json(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise RequestInvalid("is no text", hint="name the file that --recipe wrote", where=str(path)) from error
    except RequestInvalid as error:
        error.where = str(path)  # the message says where in it
        raise


def _by_content(photos: list[str]) -> dict[str, tuple[str, bytes]]:
    """Name and bytes of each photo by SHA-256."""
    limit = load_settings().max_upload_bytes
    read = [(photo, read_bytes(photo, limit)) for photo in photos]
    return {hashlib.sha256(data).hexdigest(): (photo, data) for photo, data in read}


def _check_photos(recipe: Recipe, found: dict[str, tuple[str, bytes]], path: Path) -> None:
    """Raises `RecipeInvalid` for a photo that is missing; says which are of no use."""
    wanted = [parent.sha256 for parent in recipe.parents if parent.kind == "photo"]
    for digest in wanted:
        if digest not in found:
            raise RecipeInvalid(
                f"the photo with SHA-256 {digest} is not among the {len(found)} given",
                hint="name it after the recipe; its content counts, not its name",
                where=str(path),
            )
    for digest, (photo, _) in found.items():
        if digest not in wanted:
            print(f"{photo}: note: the recipe does not use it", file=sys.stderr)


def _inputs(recipe: Recipe, found: dict[str, tuple[str, bytes]], latent_size: int, where: str) -> list[ParentInput]:
    """The recipe's parents, photos under their files' names."""
    from facemix.serving.replay import parents_of

    photos = {digest: data for digest, (_, data) in found.items()}
    inputs = parents_of(recipe, photos, latent_size=latent_size, where=where)
    return [
        replace(given, where=found[described.sha256][0]) if described.kind == "photo" else given
        for given, described in zip(inputs, recipe.parents, strict=True)
    ]


def _side_by_side(frames: np.ndarray, most: int) -> np.ndarray:
    """One picture of (N, S, S, 3) frames, row by row in as few rows as a width of at most `most` pixels allows, and as
    even ones; what is left of the last row is white."""
    import numpy as np

    count, side = len(frames), frames.shape[1]
    rows = math.ceil(count / max(1, most // side))
    columns = math.ceil(count / rows)
    sheet = np.full((rows * side, columns * side, 3), 255, np.uint8)
    for index, frame in enumerate(frames):
        top, left = index // columns * side, index % columns * side
        sheet[top : top + side, left : left + side] = frame
    return sheet
