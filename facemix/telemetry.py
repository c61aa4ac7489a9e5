"""Libraries that report their use to their makers, imported so that they do not."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_TELEMETRY = "openvino_telemetry"


def import_onnxruntime() -> ModuleType:
    """ONNX Runtime without its telemetry: imported plainly it writes to the home directory and reports its use."""
    # The library looks at the C environment, once, when it is loaded.
    os.putenv("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # where somebody else had imported it before
    return onnxruntime


def import_openvino() -> ModuleType:
    """OpenVINO without its telemetry: imported plainly it writes to the home directory and reports its use.

    Raises:
        ImportError: it is not installed.
    """
    try:
        with _without_telemetry():
            import openvino
            import openvino.tools.ovc  # binds its stand-in for the telemetry while that cannot be imported
    except ImportError as error:
        raise ImportError(f"{error}: pip install 'facemix[openvino]'") from error
    return openvino


@contextmanager
def _without_telemetry() -> Iterator[None]:
    missing = object()
    before = sys.modules.get(_TELEMETRY, missing)
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # an import of it now fails
    try:
        yield
    finally:
        sys.modules.pop(_TELEMETRY, None)
        if before is not missing:
            sys.modules[_TELEMETRY] = before  # type: ignore[assignment]
