"""What runs an ONNX network on this machine's processor: ONNX Runtime, or OpenVINO where it is installed.

OpenVINO is an extra (``facemix[openvino]``). It is worth it where the processor multiplies in bfloat16; without, it is
no faster than ONNX Runtime. `docs/performance.md` gives what both cost, `docs/faces.md` how far bfloat16 moves a
landmark.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import LifoQueue
from typing import Any, Literal

import numpy as np

from facemix.errors import InstallationError
from facemix.telemetry import import_onnxruntime, import_openvino

Runner = Literal["onnxruntime", "openvino"]
RunnerChoice = Literal["onnxruntime", "openvino", "auto"]
Run = Callable[[np.ndarray], Sequence[np.ndarray]]


def open_network(weights: Path, *, runner: RunnerChoice, threads: int) -> tuple[Runner, Run]:
    """Loads a network with one input; says who runs it, and gives the function that does, safe for several threads.

    Args:
        weights: the ONNX file.
        runner: ``auto`` takes OpenVINO where it is installed and the processor has bfloat16.
        threads: CPU threads for one call; 0 leaves the choice to the runner.

    Raises:
        InstallationError: OpenVINO was asked for by name and is not installed.
        Exception: the runner's own, when it cannot load the file.
    """
    if runner == "onnxruntime":
        return "onnxruntime", _onnxruntime(weights, threads)
    if runner == "openvino":
        if not openvino_installed():
            raise InstallationError(
                "the detector is to be run by OpenVINO, which is not installed",
                hint="pip install facemix[openvino], or let ONNX Runtime run it",
            )
        return "openvino", _openvino(weights, threads)
    try:
        if openvino_installed() and "BF16" in _capabilities():
            return "openvino", _openvino(weights, threads)
    except Exception:  # an OpenVINO that cannot be loaded is as good as none; the file is ONNX Runtime's to judge
        pass
    return "onnxruntime", _onnxruntime(weights, threads)


def openvino_installed() -> bool:
    return importlib.util.find_spec("openvino") is not None


def _onnxruntime(weights: Path, threads: int) -> Run:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Idle threads that spin take the core from whoever has work for it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: batch})


def _capabilities() -> list[str]:
    return import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _openvino(weights: Path, threads: int) -> Run:
    openvino = import_openvino()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    options = {
        "INFERENCE_PRECISION_HINT": "bf16" if "BF16" in _capabilities() else "f32",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads or cores,
        "ENABLE_CPU_PINNING": False,
    }

    def request() -> Any:  # an openvino.InferRequest
        return openvino.Core().compile_model(str(weights), "CPU", options).create_infer_request()

    # One compiled network for each call that runs at the same time, made when it first does: several streams in one
    # network cost more per call. Last in, first out: what was just used is warm.
    idle: LifoQueue[Any] = LifoQueue()
    for _ in range(max(1, cores // (threads or cores)) - 1):
        idle.put(None)
    idle.put(request())

    def run(batch: np.ndarray) -> list[np.ndarray]:
        own = idle.get()
        try:
            own = own or request()
            return list(own.infer({0: batch}, share_inputs=True).values())
        finally:
            idle.put(own)

    return run
