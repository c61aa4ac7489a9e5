"""What is not counted but looked at when somebody asks: lengths of queues, ages, sizes, which model is served."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Mapping
from typing import TypeVar

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

import facemix

log = logging.getLogger("facemix.web")

Figure = Callable[[], float | None]
Model = Callable[[], Mapping[str, str] | None]
T = TypeVar("T")

_MODEL_LABELS = ("model", "backend", "device")
_MODELS_KEPT = 4
_GAUGE, _COUNTER = GaugeMetricFamily, CounterMetricFamily

# name -> kind, unit, what it means
FIGURES: dict[str, tuple[Callable[..., Metric], str, str]] = {
    "ready": (_GAUGE, "", "1 when a model is loaded and well, else 0."),
    "halted": (_GAUGE, "", "1 while the operator has switched generation off, else 0."),
    "requests_in_progress": (_GAUGE, "", "Requests being answered."),
    "queue_frames": (_GAUGE, "frames", "Frames that wait for the device."),
    "admitted_frames": (_GAUGE, "frames", "Frames in the system, being worked on or waiting."),
    "admitted_limit_frames": (_GAUGE, "frames", "Most frames that are let in."),
    "buffered_bytes": (_GAUGE, "bytes", "Request bodies in memory."),
    "connections": (_GAUGE, "", "Open connections."),
    "inference_heartbeat_age_seconds": (
        _GAUGE,
        "seconds",
        "Time since the inference thread last gave a sign.",
    ),
    "reviews_waiting": (_GAUGE, "", "Reviews that wait for a decision, as of the last minute."),
    "reviews_overdue": (_GAUGE, "", "Of these those that should have been decided."),
    "review_oldest_age_seconds": (_GAUGE, "seconds", "How long the oldest of these has waited; 0 where none waits."),
    "ledger_waiting_rows": (_GAUGE, "rows", "Ledger rows that are not stored yet."),
    "ledger_lost_rows": (_COUNTER, "rows", "Ledger rows given up, because the storage did not take them."),
    "ledger_unspooled_rows": (_COUNTER, "rows", "Ledger rows that were in memory alone until they were stored."),
}


class Figures:
    """Belongs to the event loop, which owns what is looked at."""

    def __init__(self) -> None:
        self._figures: dict[str, Figure] = {}
        self._caches: dict[str, Figure] = {}
        self._model: Model = lambda: None
        self._models: dict[tuple[str, ...], None] = {}  # those seen lately, the present one last

    def watch(
        self, *, model: Model | None = None, caches: Mapping[str, Figure] | None = None, **figures: Figure
    ) -> None:
        """Names what is to be looked at, in the place of what had that name. What is None, or raises, is left out.

        Args:
            model: the labels ``model``, ``backend`` and ``device`` of what is served; the last two may be missing.
            caches: bytes by the name of the cache.
            figures: any of `FIGURES`.

        Raises:
            TypeError: there is no such figure.
        """
        if unknown := figures.keys() - FIGURES.keys():
            raise TypeError(f"there is no figure {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}")
        self._figures |= figures
        self._caches |= caches or {}
        self._model = model or self._model

    def look(self) -> list[Metric]:
        """What is watched, as it is now."""
        build = GaugeMetricFamily("facemix_build_info", "1, with the version.", labels=("version", "python"))
        build.add_metric((facemix.__version__, platform.python_version()), 1)
        found: list[Metric] = [build]
        for name, read in self._figures.items():
            value = _read(name, read)
            if value is not None:
                family, unit, text = FIGURES[name]
                found.append(family(f"facemix_{name}", text, value, unit=unit))
        sizes = GaugeMetricFamily("facemix_cache_bytes", "Memory that a cache holds.", labels=("cache",), unit="bytes")
        for name, read in self._caches.items():
            value = _read(name, read)
            if value is not None:
                sizes.add_metric((name,), value)
        return [*found, sizes, self._models_seen()]

    def _models_seen(self) -> Metric:
        metric = GaugeMetricFamily(
            "facemix_model_info", "1 for the model that is served, 0 for those before it.", labels=_MODEL_LABELS
        )
        present: tuple[str, ...] | None = None
        if labels := _read("model_info", self._model):
            present = tuple(labels.get(name, "") for name in _MODEL_LABELS)
            self._models.pop(present, None)
            self._models[present] = None
            while len(self._models) > _MODELS_KEPT:
                del self._models[next(iter(self._models))]
        for seen in self._models:
            metric.add_metric(seen, seen == present)
        return metric


def _read(name: str, read: Callable[[], T | None]) -> T | None:
    try:
        return read()
    except Exception:  # one figure that cannot be had must not cost the others
        log.warning("the figure %s cannot be had", name, exc_info=True)
        return None
