"""Edits that are partly said in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facemix.errors import AttributesMissing
from facemix.mixing.notes import Note
from facemix.mixing.recipe import Edits, ModelIdentity
from facemix.mixing.vocabulary import parse
from facemix.safety.document import refuse_document_words

if TYPE_CHECKING:  # it brings torch, and a front before replicas has no use for it
    from facemix.vae.directions import AttributeDirections


def with_words(
    edits: Edits, prompt: str, negative_prompt: str, directions: AttributeDirections | None, model: ModelIdentity
) -> tuple[Edits, tuple[Note, ...]]:
    """Edits with what the prompts add to their attributes, and notes about words that say nothing.

    Args:
        directions: those of `model`, None where it has none.

    Raises:
        AttributesMissing: there are words, and the model has no directions.
        DocumentStyle: they ask for the portrait of an identity document.
        RecipeInvalid: see `facemix.mixing.vocabulary.parse`.
    """
    if not (prompt.strip() or negative_prompt.strip()):
        return edits, ()
    refuse_document_words([prompt], where="prompt")
    if directions is None:
        raise AttributesMissing(f"{model} has no attribute directions", hint="leave the prompt out", where="prompt")
    found = parse(prompt, negative_prompt, directions, onto=edits.attributes)
    return Edits.of(**{**dict(edits), "attributes": found.attributes}), found.notes
