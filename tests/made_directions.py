"""Attribute directions that nobody fitted: two at right angles, seeded, for the tests of everything that uses them."""

from __future__ import annotations

import torch

from facemix.vae.checkpoint import Card
from facemix.vae.directions import Attribute, AttributeDirections, AttributesCard, Effect

DEVIATIONS = {"smile": 0.5, "age": 2.0}


def made_directions(model: Card, *, seed: int = 0) -> AttributeDirections:
    """``smile`` and ``age`` for the model of this card."""
    noise = torch.randn(model.config.latent_size, 2, generator=torch.Generator().manual_seed(seed))
    card = AttributesCard(
        model=model.name,
        weights_sha256=model.weights_sha256,
        latent_schema=model.latent_schema,
        tensors_sha256="0" * 64,
        attributes=tuple(
            Attribute(
                name=name,
                title=name.title(),
                low="less",
                high="more",
                source="pixels",
                definition="made up",
                unit="",
                faces=10,
                mean=0.0,
                spread=1.0,
                r2=0.5,
                step=0.7,
                deviation=deviation,
                distance=1.0,
                effect=Effect(probe=0.6, picture=0.5),
            )
            for name, deviation in DEVIATIONS.items()
        ),
        refused={"head_turn": "made up, too"},
    )
    return AttributeDirections(card, torch.linalg.qr(noise).Q.T.contiguous())
