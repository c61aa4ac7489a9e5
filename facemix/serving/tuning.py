"""What is set before torch is imported, and how many cores there really are. Imports nothing heavy.

Both settings are the C library's, so they are made through ctypes; elsewhere than on Linux with glibc they do nothing.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from pathlib import Path, PurePosixPath

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
_MEBIBYTE = 1 << 20
_MMAP_THRESHOLD, _TRIM_THRESHOLD = 1024 * _MEBIBYTE, 2048 * _MEBIBYTE - 1  # mallopt takes an int


def tune_allocator() -> bool:
    """Lets glibc keep the large blocks that every batch asks for again, in place of mapping and zeroing them anew.

    Call it before threads are started. Returns whether it was done.
    """
    libc = _glibc()
    if libc is None:
        return False
    options = (
        (_M_MMAP_THRESHOLD, _MMAP_THRESHOLD),
        (_M_TRIM_THRESHOLD, _TRIM_THRESHOLD),
        (_M_ARENA_MAX, 1),
    )
    done = [libc.mallopt(option, value) for option, value in options]
    return all(done)


def wait_passively() -> bool:
    """Lets OpenMP's threads sleep while they wait for each other, unless the operator has set OMP_WAIT_POLICY.

    By default they spin, and where another process wants the same cores a thread spins away the time that the one it
    waits for needs. libgomp, torch's OpenMP, reads the variable once, when torch is imported.

    Returns:
        Whether it was done in time: False where torch is there already, or elsewhere than with glibc.
    """
    libc = _glibc()
    if libc is None or "torch" in sys.modules:
        return False
    return libc.setenv(b"OMP_WAIT_POLICY", b"PASSIVE", 0) == 0


def cores(root: Path = Path("/")) -> int:
    """CPU cores that this process may use: its affinity, and the quota of its control groups (v1 and v2), at least 1.

    A quota of 1.5 cores counts as one: a thread more than the quota allows would stop all of them.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = min(_quotas(root), default=None)
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def _quotas(root: Path) -> list[float]:
    """The quota, in cores, of every control group that this process is in and that has one."""
    found = []
    mounted = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        # Inside a container the group's path may be the host's, of which only the root is visible.
        for folder in (PurePosixPath(group), *PurePosixPath(group).parents):
            inside = str(folder).lstrip("/")
            if controllers:
                places = [mounted / controllers / inside, mounted / "cpu" / inside]
                texts = [f"{_read(p / 'cpu.cfs_quota_us')} {_read(p / 'cpu.cfs_period_us')}" for p in places]
            else:
                texts = [_read(mounted / inside / "cpu.max")]
            found += [quota for text in texts if (quota := _cores_of(text)) is not None]
    return found


def _cores_of(text: str) -> float | None:
    """``50000 100000`` (microseconds per period) to 0.5; None where there is no limit or no file."""
    try:
        quota, period = (int(part) for part in text.split())
    except ValueError:  # "max 100000", or nothing
        return None
    return quota / period if quota > 0 and period > 0 else None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
