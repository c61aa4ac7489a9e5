"""The mixer that an operator's settings ask for."""

from __future__ import annotations

from facemix.safety.photo_gate import load_gate
from facemix.serving.engine import engine_from_settings
from facemix.serving.lookers import Lookers, ProcessLookers, lookers_from_settings
from facemix.serving.mixer import Mixer
from facemix.serving.observer import Observer
from facemix.serving.result_gate import ResultGate
from facemix.settings import Settings


def mixer_from_settings(settings: Settings, observer: Observer | None = None, lookers: Lookers | None = None) -> Mixer:
    """The mixer that an operator's settings ask for, warmed up so that the first person does not wait.

    Args:
        lookers: who looks at photographs; None makes a pool of its own. Closed with the mixer, or if it fails.

    Raises:
        CheckpointMissing, CheckpointCorrupt, InstallationError: see `Engine`.
        ModelMismatch, CheckpointCorrupt: see `load_gate`.
        EngineFailed: the processes that look at photographs do not start.
    """
    lookers = lookers or lookers_from_settings(settings)
    try:
        engine = engine_from_settings(settings, observer)
        gate = load_gate(engine.folder, engine.identity.weights) if settings.gate else None
        results = ResultGate.of(engine.folder, runner=settings.detector) if settings.check_results else None
        if isinstance(lookers, ProcessLookers):
            lookers.wait_until_ready()
    except BaseException:
        lookers.close()
        raise
    return Mixer(
        engine,
        lookers,
        max_parents=settings.max_parents,
        max_steps=settings.max_steps,
        cache_bytes=settings.cache_bytes,
        cache_seconds=settings.cache_seconds,
        gate=gate,
        results=results,
        observer=observer,
    )
