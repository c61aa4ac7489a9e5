"""Commands that draw many faces of the same parents: grids and animations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facemix.cli import options
from facemix.cli.files import check_recipe_target, check_targets, parent, report, smaller, write
from facemix.errors import FacemixError, RequestInvalid
from facemix.progress import progress_bar
from facemix.settings import load_settings

if TYPE_CHECKING:
    import numpy as np

    from facemix.serving.types import ParentInput

# Members of the endpoint's body that are options here.
_OPTIONS = ("kind", "rows", "columns", "radius", "first", "seconds", "fps", "easing", "loop", "size")


def grid(
    photos: options.Photos,
    output: options.Output,
    kind: Annotated[
        str,
        typer.Option(
            help="weights: a row for each further face, mixed with the first; pairs: every face with every other; "
            "corners: four faces in the corners; variations: neighbours of the mix."
        ),
    ] = "weights",
    rows: Annotated[int | None, typer.Option(min=1, help="Of corners (5) and variations (3).")] = None,
    columns: Annotated[int | None, typer.Option(min=1, help="Of weights (5), corners (5), variations (3).")] = None,
    radius: Annotated[float | None, typer.Option(min=0, max=1, help="How far variations go; default 0.3.")] = None,
    first: Annotated[int | None, typer.Option(min=0, max=2**31 - 1, help="Number of the first variation.")] = None,
    weights: Annotated[str | None, typer.Option("--weights", help="Of the mix that is varied, as in 2,1,1.")] = None,
    faces: options.Faces = None,
    placed: options.Placed = None,
    moved: options.Moved = None,
    prompt: options.Prompt = "",
    negative_prompt: options.NegativePrompt = "",
    region: options.Regions = None,
    colour: options.Colour = None,
    interpolation: options.InterpolationName = "lerp",
    vividness: options.VividnessShare = 0.0,
    detail: options.Detail = 0.0,
    keep: options.Keep = None,
    size: options.Size = None,
    seed: options.Seed = 0,
    plain: Annotated[bool, typer.Option("--plain", help="Draw the faces alone, without labels and gaps.")] = False,
    recipe: Annotated[
        Path | None, typer.Option("--recipes", help="Also write all recipes, as a JSON list, row by row.")
    ] = None,
) -> None:
    """Draw a grid of mixes, with labels."""
    from facemix.cli.edits import edits_of
    from facemix.cli.engines import mixer_for_some, said
    from facemix.cli.likeness import likeness_for_files
    from facemix.cli.marking import release_for_files
    from facemix.imaging.encode import media_type_for_path
    from facemix.imaging.sheet import labelled_sheet
    from facemix.mixing.recipe import normalise_weights
    from facemix.web.grids import grid_input
    from facemix.web.release import named
    from facemix.web.schemas_grids import GridBody

    media_type = media_type_for_path(output)
    if weights is not None and kind != "variations":
        raise RequestInvalid(
            f"weights were given for a grid of {kind}", hint="leave them out, or ask for variations", where="--weights"
        )
    edits = edits_of(
        len(photos),
        interpolation=interpolation,
        vividness=vividness,
        moved=moved,
        regions=region,
        colour=colour,
        detail=detail,
        keep=keep,
        size=size,
        seed=seed,
    )
    shares = normalise_weights(options.shares(photos, None, weights, None), where="--weights")
    check_targets(photos, output, recipe)
    check_recipe_target(recipe, output)
    with _options_named():
        layout = {"rows": rows, "columns": columns, "radius": radius, "first": first}
        body = _body(GridBody, photos, shares, kind=kind, detail=edits.detail, size=size, **layout)
        wanted = grid_input(body, load_settings())
    parents = _parents(photos, shares, faces, placed)
    release, likeness = release_for_files(), likeness_for_files()
    mixer = mixer_for_some()
    edits, notes = said(mixer, edits, prompt, negative_prompt)
    made = mixer.frames(parents, wanted.specs(edits))
    likeness.check(made.frames, made.recipes)
    report(made.parents, (*notes, *smaller(edits, made.frames)))
    described = named([made.recipes[place] for place in wanted.places])
    drawn = release.mark(made.frames, described)[list(wanted.places)]
    cells = drawn.reshape(wanted.rows, wanted.columns, *drawn.shape[1:])
    pixels = (
        _tiled(cells)
        if plain
        else labelled_sheet(cells, wanted.grid.rows, wanted.grid.columns, caption=f"{wanted.caption} {mixer.model}")
    )
    write(output, release.file(pixels, media_type, described, made.parents))
    if recipe is not None:
        lines = ",\n".join(made.recipes[place].to_json() for place in wanted.places)
        write(recipe, f"[{lines}]\n".encode())
    print(f"{output}: {wanted.rows} x {wanted.columns} faces, by {mixer.model}")


def animate(
    photos: options.Photos,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .gif, .webp or .mp4.")],
    stop: Annotated[
        list[str] | None,
        typer.Option(
            "--stop",
            help='A face on the way, one weight per photo, as in 1,0 or with attributes "0,1;smile=1"; repeatable. '
            "Without any, from photo to photo.",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(help="Length, 0.2 to 60.")] = 3.0,
    fps: Annotated[float, typer.Option(help="Frames per second, 1 to 60; a GIF has 50 at most.")] = 20.0,
    easing: Annotated[str, typer.Option(help="Pace between stops: linear, ease, ease-in or ease-out.")] = "ease",
    loop: Annotated[str, typer.Option(help="once, loop (on to the first stop) or ping-pong.")] = "once",
    size: Annotated[int, typer.Option(help="Side of the film in pixels, 128 to 1024.")] = 256,
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
    seed: options.Seed = 0,
) -> None:
    """Draw a film through any number of faces made of the same photos."""
    from facemix.cli.edits import edits_of
    from facemix.cli.engines import mixer_for_some, said
    from facemix.cli.likeness import likeness_for_files
    from facemix.cli.marking import release_for_files
    from facemix.imaging.animate import encode_animation
    from facemix.serving.held_cuts import HeldCuts
    from facemix.web.animations import animation_input, at_the_size_of, chunks, film_through, specs_of, stops_of
    from facemix.web.schemas_jobs import AnimationBody

    media_type = _film_type(output)
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
        seed=seed,
    )
    shares = (1.0,) * len(photos)
    check_targets(photos, output)
    with _options_named():
        body = _body(
            AnimationBody,
            photos,
            shares,
            stops=None if stop is None else [_stop(text, len(photos)) for text in stop],
            seconds=seconds,
            fps=fps,
            easing=easing,
            loop=loop,
            media_type=media_type,
            size=size,
        )
        wanted = animation_input(body, load_settings())
    parents = _parents(photos, shares, faces, placed)
    release, likeness = release_for_files(), likeness_for_files()
    mixer = mixer_for_some()
    edits, notes = said(mixer, edits, prompt, negative_prompt)
    edits = at_the_size_of(wanted.size, edits)
    stops = stops_of(wanted, edits)
    made = mixer.frames(parents, specs_of(stops, edits))
    film = film_through(wanted, stops, edits, made, held := HeldCuts())
    likeness.check(made.frames, made.recipes, whole=film.whole)
    report(made.parents, (*notes, *smaller(edits, made.frames)))
    mixer.hold_cuts(held, parents, made.parents, film.specs)

    def drawn() -> Iterator[np.ndarray]:
        for specs in chunks(film.specs):  # as the server, which looks at some frames of each lot
            lot = mixer.frames(film.parents, specs)
            likeness.check(lot.frames, lot.recipes, whole=film.whole, path=True)
            yield from release.mark(lot.frames, film.recipe)

    with progress_bar("frames") as on_progress:
        data = encode_animation(
            drawn(),
            media_type=film.media_type,
            fps=film.fps,
            loop=film.loop,
            side=film.size,
            count=len(film.specs),
            on_progress=lambda done: on_progress(done, len(film.specs)),
        )
    write(output, release.signed(data, film.media_type, film.recipe, made.parents))
    print(f"{output}: {len(film.specs)} frames of {film.size} x {film.size} pixels, by {mixer.model}")


def _parents(
    photos: list[str], shares: tuple[float, ...], faces: str | None, placed: list[str] | None
) -> list[ParentInput]:
    from facemix.cli.edits import placed_points

    chosen = options.numbers(faces, "--faces", int, len(photos)) if faces else [None] * len(photos)
    points = placed_points(placed, len(photos))
    return [
        parent(photo, share, face, points.get(place))
        for place, (photo, share, face) in enumerate(zip(photos, shares, chosen, strict=True))
    ]


def _body(model: Any, photos: list[str], shares: tuple[float, ...], **members: Any) -> Any:
    """The endpoint's body, for its checks; empty pictures stand for the photos. Raises `RequestInvalid`."""
    from pydantic import ValidationError

    from facemix.web.problems import from_validation

    parents = [{"image": "", "weight": share} for share in shares]
    try:
        return model.model_validate({"parents": parents, **members})
    except ValidationError as error:
        raise from_validation(error) from error


@contextmanager
def _options_named() -> Iterator[None]:
    """Errors name the option in the place of the body's member."""
    try:
        yield
    except FacemixError as error:
        if error.where in _OPTIONS:
            error.where = f"--{error.where}"
        elif error.where is not None and error.where.startswith("stops"):
            error.where = "--stop"
        raise


def _stop(text: str, count: int) -> dict[str, Any]:
    """``0,1;smile=1``: weights, and attributes in the place of those of --set."""
    weights, *moved = text.split(";")
    attributes = {
        name: options.number(value, "--stop", '"0,1;smile=1"')
        for name, value in options.named(moved, "--stop", '"0,1;smile=1"').items()
    }
    return {
        "weights": options.numbers(weights, "--stop", float, count),
        "attributes": attributes if moved else None,
    }


def _film_type(output: Path) -> str:
    from facemix.imaging.animate import ANIMATION_TYPES

    for media_type, extension in ANIMATION_TYPES.items():
        if output.suffix.lower() == extension:
            return media_type
    raise RequestInvalid(
        f"the output {str(output)!r} ends in {output.suffix!r}",
        hint=f"end the name in one of {', '.join(ANIMATION_TYPES.values())}",
    )


def _tiled(cells: np.ndarray) -> np.ndarray:
    """(R, C, S, S, 3) to one picture."""
    import numpy as np

    rows, _, side = cells.shape[:3]
    return np.ascontiguousarray(cells.swapaxes(1, 2).reshape(rows * side, -1, 3))
