"""Results at the photographs' own size beside a classical morph: ``python -m benchmarks.sharp DATA --photos FOLDER``.

Measures what `facemix evaluate --photos` measures, and `benchmarks.morph` beside it, on pairs of the test split; writes
benchmarks/results/sharp.json and from it the tables of docs/evaluation.md, which a test compares. Without DATA only the
page is written again. With one of these, pictures are drawn instead (`benchmarks.sharp_sheets`):

    --portrait FILE     scikit-image's public-domain portrait with faces that the model draws: every way side by side
    --failures FILE     pairs of the test split that go wrong, and how far the photographs are trusted there: only what
                        the model draws
    --sheet FILE        pairs of the test split, every way and the photographs themselves
    --failures-sheet FILE   the failures with their photographs

The last two show photographs of people who did not agree to it: they are never written into the repository.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.morph import morphed
from benchmarks.record import RESULTS, machine, write
from facemix.evaluation import sharp_table
from facemix.evaluation.bootstrap import Bootstrap
from facemix.evaluation.codecs import VAECodec
from facemix.evaluation.results import Sharp
from facemix.evaluation.sharp import NO_GEOMETRY, PAIRS, Photographs, carry_maker, measure_sharp
from facemix.faces.centerface import CenterFace
from facemix.faces.embedder import load_embedder
from facemix.resources import resource_dir
from facemix.training.dataset import load_split, read_summary
from facemix.vae.checkpoint import load_checkpoint, newest_checkpoint

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "evaluation.md"
FILE = "sharp.json"
SPLIT = "test"
_OPENING, _CLOSING = "<!-- sharp -->\n", "<!-- /sharp -->"
_WITH_PHOTOGRAPHS = ("sheet", "failures_sheet")
_DETECTOR_THRESHOLD = 0.05  # as in `facemix evaluate`


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="a data set of `facemix prepare`")
    parser.add_argument("--photos", type=Path, help="the folder that it was prepared from")
    parser.add_argument("--checkpoint", type=Path, help="instead of the newest shipped one")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--rows", type=int, default=6, help="pairs on a sheet")
    parser.add_argument("--seed", type=int, default=0)
    for name in ("portrait", "failures", *_WITH_PHOTOGRAPHS):
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, metavar="FILE")
    options = parser.parse_args()
    checkpoint = options.checkpoint or newest_checkpoint(resource_dir("checkpoints"))
    wanted = {
        name: getattr(options, name)
        for name in ("portrait", "failures", *_WITH_PHOTOGRAPHS)
        if getattr(options, name) is not None
    }
    for name in _WITH_PHOTOGRAPHS:
        if name in wanted:
            check_outside(wanted[name])
    needs_data = wanted.keys() - {"portrait"} or (options.data is not None and not wanted)
    if needs_data and (options.data is None or options.photos is None):
        parser.error("name the data set and, with --photos, the folder that it was prepared from")
    if wanted:
        from benchmarks import sharp_sheets  # scikit-image is an extra, and only they need it

        sharp_sheets.draw(wanted, checkpoint, options.data, options.photos, rows=options.rows, seed=options.seed)
        return
    if options.data is not None:
        found = measure(checkpoint, options.data, options.photos, pairs=options.pairs, seed=options.seed)
        write(RESULTS / FILE, found | {"machine": machine()})
    PAGE.write_text(written(PAGE.read_text(), RESULTS))
    print(PAGE)


def measure(folder: Path, data: Path, photos: Path, *, pairs: int, seed: int = 0) -> dict[str, Any]:
    """What goes into the results file, but for the machine."""
    checkpoint = load_checkpoint(folder)
    make_carry = carry_maker(folder)
    if make_carry is None:
        raise SystemExit(NO_GEOMETRY)
    faces = load_split(data, SPLIT)
    embedder = load_embedder()
    sharp = measure_sharp(
        VAECodec(checkpoint.vae),
        Photographs(photos, faces.rows),
        make_carry,
        Bootstrap(seed=seed),
        CenterFace(threshold=_DETECTOR_THRESHOLD, threads=1),
        crop_size=checkpoint.card.config.crop_size,
        pairs=pairs,
        seed=seed,
        embedder=embedder,
        rivals={"morph": morphed},
        say=print,
    )
    return {
        "model": f"{checkpoint.card.name}@{checkpoint.card.weights_sha256[:12]}",
        "data": {"name": read_summary(data)["name"], "split": SPLIT, "faces": len(faces), "seed": seed},
        "embedder": embedder.name if embedder else None,
        "sharp": sharp.model_dump(mode="json"),
    }


def written(page: str, folder: Path) -> str:
    """The page with its tables made anew from the file in `folder`; without one it says that nothing was measured.

    Raises:
        ValueError: the page has no place for them.
    """
    path = folder / FILE
    said = text(json.loads(path.read_text())) if path.exists() else "Not measured.\n"
    before, mark, rest = page.partition(_OPENING)
    _, end, after = rest.partition(_CLOSING)
    if not (mark and end):
        raise ValueError("the page has no place for the tables")
    return before + mark + said + end + after


def text(found: dict[str, Any]) -> str:
    """Where the figures come from, and the tables, in Markdown."""
    data = found["data"]
    said = (
        f"`{found['model']}`, the {data['split']} split of {data['name']}, by `python -m benchmarks.sharp`; *carry* is "
        "a mix at detail 1, 95 % intervals in brackets:"
    )
    return f"{said}\n\n{sharp_table.markdown(Sharp.model_validate(found['sharp']))}"


def check_outside(file: Path) -> None:
    """Photographs of people stay out of the repository.

    Raises:
        SystemExit: `file` lies in it.
    """
    if file.resolve().is_relative_to(ROOT):
        raise SystemExit(
            f"{file} lies in the repository, and the picture shows photographs of people: write it elsewhere"
        )


if __name__ == "__main__":
    main()
