"""Writes the model's figures into README.md from the shipped checkpoint: ``python -m benchmarks.figures``.

A test compares README.md with `figures`, so that a figure there is always one that a command measured.
"""

from __future__ import annotations

import re
from pathlib import Path

from facemix.evaluation.results import read_results
from facemix.evaluation.table import markdown
from facemix.resources import resource_dir
from facemix.vae.checkpoint import newest_checkpoint, read_card

README = Path(__file__).resolve().parent.parent / "README.md"
RESULTS_FILE = "results.json"
_BLOCK = re.compile(r"(<!-- figures -->\n).*?(<!-- /figures -->)", re.DOTALL)


def figures() -> str:
    """The table, in Markdown, of the newest shipped checkpoint: its card's figures and those of its results file."""
    folder = newest_checkpoint(resource_dir("checkpoints"))
    card = read_card(folder)
    results = read_results(folder / RESULTS_FILE)
    identity = results.subjects[results.model].identity
    if identity is None or identity.weights_sha256 != card.weights_sha256:
        raise SystemExit(f"{folder / RESULTS_FILE} belongs to another checkpoint: run `facemix evaluate` again")
    training, splits = card.training, card.data["splits"]
    parts = [training, *([training["sharpen"]] if "sharpen" in training else [])]
    images, seconds = (sum(part[name] for part in parts) for name in ("images_seen", "seconds"))
    head = (
        f"`{card.name}@{card.weights_sha256[:12]}`, trained on {splits['train']:,} photographs "
        f"({images / splits['train']:.1f} passes, {seconds / 3600:.1f} hours on two CPU "
        f"cores shared with other work), measured on the {results.data.faces:,} faces of its test split "
        "(95 % intervals; [what each line means](docs/evaluation.md)):"
    )
    return f"{head}\n\n{markdown(results)}"


def written(text: str) -> str:
    """The README's text with its block of figures replaced."""
    return _BLOCK.sub(lambda match: match.group(1) + figures() + match.group(2), text)


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
    print(figures(), end="")
