"""Which arithmetic this machine runs the model with: decided at start, by checking and measuring.

Precision comes first: bfloat16 where the device has units for it, unless it is too far from the reference. Then the
library: the optional one only where it is installed, agrees with the reference and is faster than torch on this
machine. Whatever fails on the way is named in the notes and replaced; what is left in the end is torch in float32.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import torch

from facemix.errors import InstallationError
from facemix.serving.backends.base import TOLERANCES, Backend, Reference
from facemix.serving.backends.openvino_backend import OpenVINOBackend
from facemix.serving.backends.torch_backend import TorchBackend
from facemix.serving.tuning import cores
from facemix.vae.checkpoint import Checkpoint
from facemix.vae.precision import has_bf16_units

CPU_BATCH, GPU_BATCH = 16, 64
_PASSES = 5
_MARGIN = 1.05  # OpenVINO costs memory and time to start: a tie goes to torch


def open_backend(
    checkpoint: Checkpoint,
    *,
    backend: Literal["auto", "torch", "openvino"] = "auto",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    threads: int = 0,
    max_batch: int | None = None,
) -> tuple[Backend, tuple[str, ...]]:
    """The fastest backend that agrees with the reference, within the wishes.

    Args:
        device: ``auto`` takes a GPU where torch sees one.
        threads: CPU threads for the model; 0 means one per usable core. Set for torch in the whole process.
        max_batch: frames in the largest batch; None means 16 on a CPU, 64 on a GPU.

    Returns:
        The backend, not yet warmed up, and sentences that say what was chosen, what was tried and why it fell back.

    Raises:
        InstallationError: a GPU is asked for and torch sees none or computes wrongly on it, or the network gives
            something that is not a number.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise InstallationError(
            "FACEMIX_DEVICE=cuda, but torch sees no GPU",
            hint="install a CUDA build of torch, or set FACEMIX_DEVICE=auto",
        )
    threads = threads or cores()
    torch.set_num_threads(threads)
    try:
        reference = Reference.of(checkpoint)
    except ValueError as error:
        raise InstallationError(
            f"the network of {checkpoint.folder} computes nonsense: {error}",
            hint="run `facemix doctor`; serve another checkpoint with FACEMIX_CHECKPOINT",
        ) from error
    notes: list[str] = []
    if device != "cpu" and torch.cuda.is_available():
        found = _on_gpu(checkpoint, reference, notes, backend, precision, max_batch or GPU_BATCH)
        if found is not None:
            return found, tuple(notes)
        if device == "cuda":
            raise InstallationError(
                f"the model cannot run on the GPU: {' '.join(notes)}",
                hint="update the GPU's driver and torch, or set FACEMIX_DEVICE=cpu",
            )
    chosen = _on_cpu(checkpoint, reference, notes, backend, precision, threads, max_batch or CPU_BATCH)
    return chosen, tuple(notes)


def describe(backend: Backend, notes: tuple[str, ...]) -> str:
    """One line for `facemix doctor` and the log."""
    return " ".join((f"{backend.name} on {backend.device}, batches of up to {backend.max_batch}.", *notes))


def _on_gpu(
    checkpoint: Checkpoint, reference: Reference, notes: list[str], wish: str, precision: str, max_batch: int
) -> Backend | None:
    if wish == "openvino":
        notes.append("OpenVINO is for the CPU; torch computes on the GPU.")
    for candidate in _precisions(precision, "cuda", notes):
        # cuDNN multiplies float32 with 10 significant bits (TF32), so float32 there has bfloat16's tolerance.
        found = _checked(
            lambda candidate=candidate: TorchBackend(
                checkpoint, precision=candidate, device="cuda", max_batch=max_batch
            ),
            f"torch {candidate}",
            reference,
            "bf16",
            notes,
        )
        if found is not None:
            return found
    return None


def _on_cpu(
    checkpoint: Checkpoint,
    reference: Reference,
    notes: list[str],
    wish: str,
    precision: str,
    threads: int,
    max_batch: int,
) -> Backend:
    def by_torch(precision: str) -> Backend | None:
        return _checked(
            lambda: TorchBackend(checkpoint, precision=precision, max_batch=max_batch),
            f"torch {precision}",
            reference,
            precision,
            notes,
        )

    def by_openvino(precision: str) -> Backend | None:
        return _checked(
            lambda: OpenVINOBackend(checkpoint, precision=precision, threads=threads, max_batch=max_batch),
            f"openvino {precision}",
            reference,
            precision,
            notes,
        )

    try_openvino = wish == "openvino" or (wish == "auto" and _installed("openvino"))
    for candidate in _precisions(precision, "cpu", notes):
        fast = by_openvino(candidate) if try_openvino else None
        if fast is not None and wish == "openvino":
            return fast
        plain = by_torch(candidate)
        if fast is not None and plain is not None:
            return _faster(plain, fast, reference, notes)
        if fast is not None or plain is not None:
            return fast or plain
    raise InstallationError(
        f"no arithmetic agrees with the reference: {' '.join(notes)}",
        hint="install torch again, in the version of .ci/constraints.txt",
    )


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _precisions(wish: str, device: str, notes: list[str]) -> Iterator[str]:
    """Those to try, the fastest first; float32 is always the last."""
    units = device == "cuda" or has_bf16_units()
    if wish == "auto" and not units:
        notes.append("This CPU has no units for bfloat16, so the model computes in float32.")
    if wish == "bf16" and not units:
        notes.append("This CPU has no units for bfloat16: emulated, it is slower than float32.")
    if wish == "bf16" or (wish == "auto" and units):
        yield "bf16"
    yield "fp32"


def _checked(
    make: Callable[[], Backend], name: str, reference: Reference, precision: str, notes: list[str]
) -> Backend | None:
    """The backend, or None and a note if it cannot be made, cannot compute or is too far from the reference."""
    backend = None
    try:
        backend = make()
        difference = reference.compare(backend)
    except Exception as error:  # what a foreign library raises is not known beforehand
        notes.append(f"{name} was tried and failed: {type(error).__name__}: {_first_line(error)}.")
        difference = None
    if difference is not None and difference.within(TOLERANCES[precision]):
        notes.append(f"{name} agrees with the reference: {difference}.")
        return backend
    if difference is not None:
        notes.append(f"{name} was tried and is too far from the reference: {difference}.")
    if backend is not None:
        backend.close()
    return None


def _faster(plain: Backend, fast: Backend, reference: Reference, notes: list[str]) -> Backend:
    """Times both in turn, alone and on a batch, and closes the slower one."""
    batches = sorted({1, min(len(reference.drawn), plain.max_batch)})
    seconds: dict[tuple[str, int], list[float]] = {}
    for _ in range(1 + _PASSES):
        for backend in (plain, fast):
            for number in batches:
                started = time.perf_counter()
                backend.encode(reference.pictures[:number])
                backend.decode(reference.drawn[:number])
                seconds.setdefault((backend.name, number), []).append(time.perf_counter() - started)
    medians = {key: float(np.median(times[1:])) for key, times in seconds.items()}  # the first pass warms up
    ratio = float(np.prod([medians[plain.name, number] / medians[fast.name, number] for number in batches]))
    ratio **= 1 / len(batches)
    taken, left = (fast, plain) if ratio > _MARGIN else (plain, fast)
    left.close()
    figures = ", ".join(
        f"{backend.name} {' and '.join(f'{number / medians[backend.name, number]:.0f}' for number in batches)}"
        for backend in (plain, fast)
    )
    notes.append(
        f"Measured at start, faces per second encoded and decoded in batches of "
        f"{' and '.join(map(str, batches))}: {figures}; {taken.name} is taken."
    )
    return taken


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else "no further word"
