"""The mixer as commands need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facemix.settings import Settings, load_settings

if TYPE_CHECKING:
    from facemix.mixing.notes import Note
    from facemix.mixing.recipe import Edits
    from facemix.serving.blocking import BlockingMixer


def mixer_for_one() -> BlockingMixer:
    """A mixer that is soon there: choosing the fastest library and warming up every batch would take longer than a
    mix."""
    settings = load_settings()
    return _made(_soon(settings).model_copy(update={"max_batch": min(settings.max_batch or 4, 4)}))


def mixer_for_some() -> BlockingMixer:
    """The same for a few dozen faces, in the batches in which a server draws them."""
    return _made(_soon(load_settings()))


def mixer_for_many() -> BlockingMixer:
    """A mixer that is worth the time that its choice of a backend takes; one file that crashes its decoder costs no
    other."""
    return _made(load_settings())


def said(mixer: BlockingMixer, edits: Edits, prompt: str, negative_prompt: str) -> tuple[Edits, tuple[Note, ...]]:
    """Edits with what the prompts add. Raises as `with_words`."""
    from facemix.serving.words import with_words

    return with_words(edits, prompt, negative_prompt, mixer.mixer.attributes, mixer.model)


def _soon(settings: Settings) -> Settings:
    backend = "torch" if settings.backend == "auto" else settings.backend
    return settings.model_copy(update={"backend": backend, "isolate": False})


def _made(settings: Settings) -> BlockingMixer:
    from facemix.serving import assembly
    from facemix.serving.blocking import BlockingMixer

    return BlockingMixer(assembly.mixer_from_settings(settings))
