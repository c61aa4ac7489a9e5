"""Writes the model's figures into README.md from the shipped checkpoint's card: ``python -m benchmarks.figures``.

A test compares README.md with `figures`, so that a figure there is always one that training measured.
"""

from __future__ import annotations

import re
from pathlib import Path

from facemix.resources import resource_dir
from facemix.vae.checkpoint import Card, load_checkpoint, newest_checkpoint
from facemix.vae.networks import count_parameters

README = Path(__file__).resolve().parent.parent / "README.md"
_BLOCK = re.compile(r"(<!-- figures -->\n).*?(<!-- /figures -->)", re.DOTALL)


def figures() -> str:
    """The table, in Markdown, of the newest shipped checkpoint."""
    checkpoint = load_checkpoint(newest_checkpoint(resource_dir("checkpoints")))
    card: Card = checkpoint.card
    training, splits = card.training, card.data["splits"]
    rows = [
        ("model", f"`{card.name}@{card.weights_sha256[:12]}`"),
        ("parameters", f"{count_parameters(checkpoint.vae.requires_grad_(True)) / 1e6:.1f} million"),
        ("latent", f"{card.config.latent_size} dimensions, {card.metrics['active_units']:.0f} of them active"),
        ("trained on", f"{splits['train']:,} photographs, {training['images_seen'] / splits['train']:.1f} passes"),
        ("training time", f"{training['seconds'] / 3600:.1f} hours on two CPU cores shared with other work"),
        ("reconstruction, validation split", f"{card.metrics['psnr']:.1f} dB PSNR"),
        ("KL divergence, validation split", f"{card.metrics['kl']:.0f} nats per face"),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]) + "\n"


def written(text: str) -> str:
    """The README's text with its block of figures replaced."""
    return _BLOCK.sub(lambda match: match.group(1) + figures() + match.group(2), text)


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
    print(figures(), end="")
