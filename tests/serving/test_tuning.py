import os
import platform
import subprocess
import sys

import pytest

from facemix.serving import tuning
from facemix.serving.tuning import cores, tune_allocator, wait_passively

GLIBC = platform.libc_ver()[0] == "glibc"


def run(program: str, **environment: str) -> str:
    """What a fresh Python prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        env={**{name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(not GLIBC, reason="not glibc")
def test_large_blocks_come_from_the_heap_once_the_allocator_is_tuned():
    """A mapped block of 64 MiB goes back to the system when it is freed; one on the heap stays."""
    program = """
import ctypes, sys
from facemix.serving.tuning import tune_allocator
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
if sys.argv[1] == "tuned":
    assert tune_allocator()
def pages():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])
block = libc.malloc(64 << 20)
ctypes.memset(block, 1, 64 << 20)
full = pages()
libc.free(block)
print("kept" if full - pages() < 1000 else "given back")
"""
    assert run(f"import sys; sys.argv = ['', 'tuned']\n{program}") == "kept"
    assert run(f"import sys; sys.argv = ['', 'plain']\n{program}") == "given back"


_WAIT = """
import ctypes
from facemix.serving.tuning import wait_passively
print(wait_passively())
libc = ctypes.CDLL(None)
libc.getenv.restype = ctypes.c_char_p
print(libc.getenv(b"OMP_WAIT_POLICY").decode())
"""


@pytest.mark.skipif(not GLIBC, reason="not glibc")
def test_waiting_is_passive_unless_the_operator_says_otherwise():
    assert run(_WAIT).split() == ["True", "PASSIVE"]
    assert run(_WAIT, OMP_WAIT_POLICY="ACTIVE").split() == ["True", "ACTIVE"]


@pytest.mark.slow
@pytest.mark.skipif(not GLIBC, reason="not glibc")
def test_torchs_openmp_reads_it():
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    shown = subprocess.run(
        [sys.executable, "-c", "from facemix.serving.tuning import wait_passively; wait_passively(); import torch"],
        capture_output=True,
        text=True,
        env=environment | {"OMP_DISPLAY_ENV": "true"},
        check=True,
    ).stderr
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in shown


def test_it_is_too_late_once_torch_is_there():
    import torch  # noqa: F401

    assert not wait_passively()


def test_elsewhere_than_with_glibc_nothing_is_done(monkeypatch):
    monkeypatch.setattr(tuning.platform, "libc_ver", lambda: ("", ""))
    assert not tune_allocator()
    assert not wait_passively()


def test_nothing_heavy_is_imported():
    assert run("import facemix.serving.tuning, sys; print('torch' in sys.modules, 'numpy' in sys.modules)") == (
        "False False"
    )


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A made-up / and eight cores; returns a function that writes a file below it."""
    monkeypatch.setattr(tuning.os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)

    def write(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    write.root = tmp_path
    return write


def test_without_control_groups_the_affinity_counts(system, monkeypatch):
    assert cores(system.root) == 8
    monkeypatch.setattr(tuning.os, "sched_getaffinity", lambda pid: {3}, raising=False)
    assert cores(system.root) == 1


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 1),
        ("50000 100000", 1),
        ("1600000 100000", 8),
        ("", 8),
    ],
)
def test_the_quota_of_version_2(system, limit, expected):
    system("proc/self/cgroup", "0::/\n")
    system("sys/fs/cgroup/cpu.max", limit)
    assert cores(system.root) == expected


def test_the_tightest_of_nested_groups_counts(system):
    system("proc/self/cgroup", "0::/machine/box\n")
    system("sys/fs/cgroup/machine/box/cpu.max", "max 100000\n")
    system("sys/fs/cgroup/machine/cpu.max", "300000 100000\n")
    assert cores(system.root) == 3


@pytest.mark.parametrize(("quota", "expected"), [("-1", 8), ("250000", 2)])
@pytest.mark.parametrize("mount", ["cpu,cpuacct", "cpu"])
def test_the_quota_of_version_1(system, mount, quota, expected):
    system("proc/self/cgroup", "5:memory:/box\n4:cpu,cpuacct:/box\n1:name=systemd:/box\n")
    system(f"sys/fs/cgroup/{mount}/box/cpu.cfs_quota_us", f"{quota}\n")
    system(f"sys/fs/cgroup/{mount}/box/cpu.cfs_period_us", "100000\n")
    assert cores(system.root) == expected


def test_a_path_of_the_host_that_the_container_does_not_see(system):
    system("proc/self/cgroup", "4:cpu,cpuacct:/docker/0123\n")
    system("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "400000")
    system("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000")
    assert cores(system.root) == 4


def test_this_machine_has_a_core():
    assert 1 <= cores() <= (os.cpu_count() or 1)
