"""The command that builds the index of training faces which is shipped with a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facemix.progress import progress_bar
from facemix.settings import load_settings

if TYPE_CHECKING:
    import numpy as np

    from facemix.serving.engine import Engine
    from facemix.training.dataset import FaceSet

_BATCH = 16


def neighbours(
    data: Annotated[Path, typer.Argument(help="The prepared data set that the checkpoint was trained on.")],
    checkpoint: Annotated[Path, typer.Argument(help="Folder with model.safetensors and card.json.")],
    limit: Annotated[int | None, typer.Option(min=2, help="Take the first so many training faces alone.")] = None,
) -> None:
    """Build the index of a checkpoint's training faces: latents and hashes, no photographs (``docs/explaining.md``)."""
    from facemix.explaining.index import build_index
    from facemix.serving.engine import Engine
    from facemix.training.dataset import load_split, read_summary
    from facemix.vae.checkpoint import read_card

    card, summary = read_card(checkpoint), read_summary(data)
    faces = load_split(data, "train", limit=limit)
    settings = load_settings()
    engine = Engine(
        checkpoint,
        device=settings.device,
        precision=settings.precision,
        threads=settings.threads,
        max_batch=settings.max_batch or _BATCH,
    )
    try:
        latents = encoded(engine, faces)
        index = build_index(
            latents,
            [row["sha256"] for row in faces.rows],
            copies_of(faces),
            engine.prior,
            coarse_size=engine.coarse_size,
            facts={
                "model": card.name,
                "weights_sha256": card.weights_sha256,
                "latent_schema": card.latent_schema,
                "data": str(summary.get("name", "")),
                "manifest_sha256": summary["manifest_sha256"],
            },
        )
    finally:
        engine.close()
    if card.data.get("manifest_sha256") != summary["manifest_sha256"]:
        typer.echo(f"{data}: note: not the manifest that the checkpoint was trained on", err=True)
    path = index.save(checkpoint)
    print(f"{path}: {len(index)} training faces, {path.stat().st_size} bytes")
    print(f"{index.facts['faces_with_a_copy']} of them have a near-duplicate; of the others the nearest one is at")
    for share in (1, 5, 25, 50, 75, 99):
        print(f"  {share:3d} %  {index.typical[share]:5.1f} degrees")


def encoded(engine: Engine, faces: FaceSet) -> np.ndarray:
    """The latents of a split's crops: (N, Z) float32."""
    import numpy as np

    found = []
    with progress_bar("faces") as on_progress:
        for start in range(0, len(faces), _BATCH):
            found.append(engine.encode(faces.images[start : start + _BATCH].numpy()).numpy())
            on_progress(min(start + _BATCH, len(faces)), len(faces))
    return np.concatenate(found)


def copies_of(faces: FaceSet) -> list[bool]:
    """Which faces have a near-duplicate among the others, by the rule that split the data set."""
    from collections import Counter

    import numpy as np

    from facemix.training.prepare import thumbnail
    from facemix.training.split import near_duplicate_groups

    groups = near_duplicate_groups(np.stack([thumbnail(crop) for crop in faces.images.numpy()]))
    sizes = Counter(groups)
    return [sizes[group] > 1 for group in groups]
