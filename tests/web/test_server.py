import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import drained_server
import pytest
from live_server import PATIENCE, SmallApp, answer, is_cut, until

from facemix.errors import ConfigError, InstallationError
from facemix.web.connections import ConnectionLimits
from facemix.web.server import make_server

resource = pytest.importorskip("resource", reason="signals and limits of a Unix system")
SIGNALS = [signal.SIGTERM, signal.SIGINT]


@contextmanager
def server_process(*arguments):
    """(process, port); killed at the end if it is still there."""
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, drained_server.__file__, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as process:
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def connected(port):
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def get(connection, path):
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())


def refused(port):
    try:
        connected(port).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("stop", SIGNALS)
def test_a_stop_answers_what_is_in_flight_and_nothing_new(stop):
    with server_process() as (process, port), connected(port) as busy, connected(port) as idle, connected(port) as half:
        get(idle, "/")
        assert answer(idle)[2] == b"at once"
        half.sendall(b"GET / HTTP/1.1\r\nHost")
        get(busy, "/slow")
        assert process.stdout.readline() == "begun\n"
        process.send_signal(stop)
        until(lambda: refused(port))
        assert is_cut(idle)
        assert is_cut(half)
        assert process.poll() is None
        process.stdin.write("\n")
        process.stdin.flush()
        status, fields, body = answer(busy)
        assert (status, fields["connection"], len(body)) == (200, "close", 1_000_000)
        assert is_cut(busy)
        assert process.wait(PATIENCE) == 0
        assert process.stdout.read() == "shut down\n"


@pytest.mark.parametrize("stop", SIGNALS)
def test_an_idle_server_leaves_with_status_0(stop):
    with server_process() as (process, port), connected(port) as kept:
        get(kept, "/")
        answer(kept)
        process.send_signal(stop)
        assert is_cut(kept)
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("second", SIGNALS)
def test_a_second_signal_does_not_wait(second):
    with server_process() as (process, port), connected(port) as busy:
        get(busy, "/slow")
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGTERM)
        until(lambda: refused(port))
        process.send_signal(second)
        assert is_cut(busy)
        process.stdin.write("\n")  # the thread that reads it would hold the interpreter
        process.stdin.flush()
        assert process.wait(PATIENCE) == 1


def test_a_stop_does_not_wait_for_ever():
    with server_process("0") as (process, port), connected(port) as busy:
        get(busy, "/slow")
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGTERM)
        assert answer(busy)[0] == 500
        assert is_cut(busy)
        process.stdin.write("\n")  # the thread that reads it would hold the interpreter
        process.stdin.flush()
        assert process.wait(PATIENCE) == 1


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def test_without_httptools_it_refuses_to_serve(monkeypatch, listening):
    monkeypatch.setitem(sys.modules, "httptools", None)
    monkeypatch.delitem(sys.modules, "facemix.web.protocol", raising=False)
    monkeypatch.delitem(sys.modules, "uvicorn.protocols.http.httptools_impl", raising=False)
    with pytest.raises(InstallationError, match="httptools"):
        make_server(SmallApp(), [listening])


@pytest.mark.parametrize("proxy", ["*", "nginx", "10.0.0.0/33", ""])
def test_a_proxy_must_be_an_address(listening, proxy):
    with pytest.raises(ConfigError, match="proxy"):
        make_server(SmallApp(), [listening], trusted_proxies=[proxy])


def test_as_many_files_as_connections_must_be_allowed(monkeypatch, listening):
    allowed = [(100, 5000)]
    monkeypatch.setattr(resource, "getrlimit", lambda which: allowed[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: allowed.append(limits))
    make_server(SmallApp(), [listening], limits=ConnectionLimits(connections=1000))
    assert allowed[-1][0] > 1000
    assert allowed[-1][1] == 5000
    make_server(SmallApp(), [listening], limits=ConnectionLimits(connections=500))
    assert len(allowed) == 2
    with pytest.raises(ConfigError, match="5000"):
        make_server(SmallApp(), [listening], limits=ConnectionLimits(connections=5000))


def test_the_defaults_hide_the_server_and_trust_nobody(listening):
    config = make_server(SmallApp(), [listening]).config
    assert (config.server_header, config.access_log, config.proxy_headers) == (False, False, False)
    assert config.forwarded_allow_ips == []
