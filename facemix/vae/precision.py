"""Whether bfloat16 pays on this machine."""

from __future__ import annotations

from pathlib import Path


def use_bf16(wish: str, device_type: str) -> bool:
    """Whether to compute convolutions in bfloat16.

    Args:
        wish: ``fp32``, ``bf16``, or ``auto`` for bfloat16 where the device has units for it.
        device_type: ``cpu`` or ``cuda``.
    """
    if wish == "auto":
        return device_type == "cuda" or has_bf16_units()
    return wish == "bf16"


def has_bf16_units() -> bool:
    """Whether this CPU computes in bfloat16 natively; emulated it is several times slower than float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
