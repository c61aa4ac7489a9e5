"""A real Ray on this machine: two replicas behind the front, in a process of their own."""

import http.client
import importlib.util
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from io import BytesIO
from pathlib import Path
from types import ModuleType, SimpleNamespace

import anyio
import pytest
from PIL import Image
from ports import reserved_port
from tiny import tiny_checkpoint

from facemix.errors import Busy
from facemix.settings import Settings
from facemix.web import ray_engine
from facemix.web.front import ReplicaLost
from facemix.web.ray_engine import DIRECT_BYTES, asker, build, serve_with_ray
from facemix.web.ray_replica import REPLICA

REQUIRED = os.environ.get("FACEMIX_TEST_RAY") == "required"
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None and not REQUIRED, reason="Ray is not installed (the extra facemix[ray])"
)
quiet_ray = pytest.mark.filterwarnings(
    "ignore:Using extra keyword arguments:pydantic.warnings.PydanticDeprecatedSince20"
)
PATIENCE = 60.0  # seconds after which a test gives up; no test waits that long when all is well
CLIENTS = 4
MAX_QUEUE = 70  # frames per replica: two strips
PROGRAM = """
import logging, sys
import ray
from facemix.settings import load_settings
from facemix.web.ray_engine import serve_with_ray

logging.basicConfig(level="INFO")
ray.init(
    num_cpus=2, object_store_memory=80 * 2**20, include_dashboard=False, logging_level="ERROR", _temp_dir=sys.argv[1]
)
sys.exit(serve_with_ray(load_settings()))
"""


class Served:
    """The front's process, and requests to it."""

    def __init__(self, process: subprocess.Popen, port: int, log: Path) -> None:
        self.process, self.port, self.log = process, port, log

    def request(self, method: str, path: str, body: dict | None = None, accept: str = "*/*", key: str | None = None):
        """Status, headers and body of one answer on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            headers = {"Accept": accept, "Content-Type": "application/json"}
            headers |= {} if key is None else {"Idempotency-Key": key}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        finally:
            connection.close()

    def ready(self) -> bool:
        try:
            return self.request("GET", "/readyz")[0] == 200
        except ConnectionRefusedError:
            return False

    def mix(self, number: int):
        return self.request("POST", "/api/v1/mix", mix_of(number), accept="image/png")

    def replicas(self) -> set[str]:
        """Those that answer now. Ray draws two of its replicas for every request, so a few requests reach all."""
        answers = [self.request("GET", "/readyz") for _ in range(12)]
        return {headers["x-facemix-replica"] for status, headers, _ in answers if status == 200}

    def until(self, reached) -> None:
        ends = time.monotonic() + PATIENCE
        while not reached():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < ends, self.log.read_text()
            time.sleep(0.1)


def mix_of(number: int) -> dict:
    return {"parents": [{"sample": number}, {"sample": number + 1}]}


def is_clean_refusal(status: int, headers: dict[str, str], body: bytes) -> bool:
    return status == 503 and int(headers["retry-after"]) >= 1 and json.loads(body)["status"] == 503


def descendants(of: int) -> dict[int, str]:
    """Process ids and command lines of a process's children, theirs and so on."""
    parents, lines = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                status = (folder / "stat").read_text()
                parents[int(folder.name)] = int(status.rpartition(")")[2].split()[1])
                lines[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    found, ring = {}, {of}
    while ring:
        ring = {pid for pid, parent in parents.items() if parent in ring}
        found |= {pid: lines[pid] for pid in ring}
    return found


@pytest.fixture(scope="module")
def port():
    with reserved_port() as reserved:
        yield reserved


@pytest.fixture(scope="module")
def served(tmp_path_factory, port):
    folder = tmp_path_factory.mktemp("ray")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "FACEMIX_"))}
    environment |= {
        "HOME": str(folder),  # Ray leaves a key there
        "FACEMIX_CHECKPOINT": str(tiny_checkpoint(folder / "tiny")),
        "FACEMIX_DATA_DIR": str(folder / "data"),
        "FACEMIX_DEVICE": "cpu",
        "FACEMIX_BACKEND": "torch",
        "FACEMIX_PRECISION": "fp32",
        "FACEMIX_MAX_QUEUE": str(MAX_QUEUE),
        "FACEMIX_RATE_PER_ADDRESS": "100000/second",
        "FACEMIX_PORT": str(port),
        "FACEMIX_REPLICAS": "2",
    }
    short = tempfile.mkdtemp(prefix="ray-")  # sockets lie in it, and their paths may have 107 bytes
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, short],
            cwd=Path(__file__).resolve().parents[2],
            env=environment,
            stdout=log,
            stderr=log,
        )
    made = Served(process, int(environment["FACEMIX_PORT"]), folder / "log")
    try:
        made.until(made.ready)
        yield made
    finally:
        left = descendants(process.pid)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
        for pid in {process.pid, *left} if process.poll() is None else ():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(short, ignore_errors=True)


def shown(file: bytes) -> bytes:
    """The pixels of a picture; its signature is another one each time."""
    with Image.open(BytesIO(file)) as image:
        return image.convert("RGB").tobytes()


@needs_ray
@pytest.mark.slow
def test_both_replicas_answer_and_answer_alike(served):
    served.until(lambda: len(served.replicas()) == 2)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(served.mix, [3] * 24))
    assert {status for status, _, _ in answers} == {200}
    assert len({headers["x-facemix-replica"] for _, headers, _ in answers}) == 2
    assert len({shown(body) for _, _, body in answers}) == 1
    status, headers, body = served.request("POST", "/api/v1/mix", {"parents": []})
    assert (status, headers["content-type"]) == (422, "application/problem+json")
    assert json.loads(body)["request_id"] == headers["x-request-id"]


@needs_ray
@pytest.mark.slow
def test_what_one_replica_keeps_all_have(served):
    served.until(lambda: len(served.replicas()) == 2)
    first, again = (served.request("POST", "/api/v1/recipes", mix_of(5), key="the same") for _ in range(2))
    assert first[0] == again[0] == 201, first[2]
    assert again[1]["idempotent-replay"] == "true"
    assert json.loads(again[2])["id"] == json.loads(first[2])["id"]
    address = f"/api/v1/recipes/{json.loads(first[2])['id']}"
    answered = set()
    for _ in range(200):  # each goes to either by chance
        status, headers, _ = served.request("GET", address)
        assert status == 200
        answered.add(headers["x-facemix-replica"])
        if len(answered) == 2:
            break
    assert len(answered) == 2
    # In the database, though FACEMIX_KEEP says nothing of it.
    with closing(sqlite3.connect(served.log.parent / "data" / "facemix.sqlite3")) as database:
        assert database.execute("SELECT kind FROM shelf").fetchall() == [("answer",)]


@needs_ray
@pytest.mark.slow
def test_a_large_body_comes_through(served):
    photo = b"no photo" + os.urandom(5_000_000)  # more than a message of Ray's may have
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)
    connection.request("POST", "/api/v1/faces", photo, {"Content-Type": "image/jpeg"})
    answer = connection.getresponse()
    assert answer.status == 415, answer.read()
    connection.close()


@needs_ray
@pytest.mark.slow
def test_a_full_replica_refuses_with_a_time_to_come_back(served):
    strip = {"parents": [{"sample": 1}, {"sample": 2}], "steps": 33}
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: served.request("POST", "/api/v1/strip", strip), range(32)))
    refused = [answer for answer in answers if answer[0] != 200]
    assert 0 < len(refused) < len(answers)
    assert all(is_clean_refusal(*answer) for answer in refused)


@needs_ray
@pytest.mark.slow
def test_a_killed_replica_costs_at_most_what_it_held(served):
    expected = [shown(served.mix(number)[2]) for number in range(CLIENTS)]
    served.until(lambda: len(served.replicas()) == 2)
    before = served.replicas()
    victims = [pid for pid, line in descendants(served.process.pid).items() if "ServeReplica:facemix" in line]
    assert len(victims) == 2
    done, answers = threading.Event(), [[] for _ in range(CLIENTS)]

    def load(client: int) -> None:
        while not done.is_set():
            answers[client].append(served.mix(client))

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(load, client) for client in range(CLIENTS)]
        try:
            served.until(lambda: all(len(own) >= 5 for own in answers))
            os.kill(victims[0], signal.SIGKILL)
            served.until(lambda: len(served.replicas() - before) == 1)
        finally:
            done.set()
        for client in clients:
            client.result()
    for client, own in enumerate(answers):
        refused = [answer for answer in own if answer[0] != 200]
        assert len(refused) <= 1  # what it had at the replica when that was killed
        assert all(is_clean_refusal(*answer) for answer in refused)
        assert {shown(body) for status, _, body in own if status == 200} == {expected[client]}


@needs_ray
@pytest.mark.slow
def test_a_hangup_costs_nothing(served):
    served.process.send_signal(signal.SIGHUP)
    served.until(lambda: "a new model needs a restart" in served.log.read_text())
    assert served.mix(1)[0] == 200


@needs_ray
@pytest.mark.slow
def test_a_stop_finishes_what_has_begun_and_leaves_nothing(served):
    processes = descendants(served.process.pid)
    body = json.dumps(mix_of(1)).encode()
    begun = socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE)
    head = f"POST /api/v1/mix HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    begun.sendall(head.encode() + b"\r\nExpect: 100-continue\r\n\r\n")
    with begun, begun.makefile("rb") as answer:
        assert answer.readline().startswith(b"HTTP/1.1 100")  # it has begun: its body is asked for
        assert answer.readline() == b"\r\n"
        begun.sendall(body[:5])
        served.process.send_signal(signal.SIGTERM)
        begun.sendall(body[5:])
        assert answer.readline().startswith(b"HTTP/1.1 200")
    assert served.process.wait(PATIENCE) == 0, served.log.read_text()
    assert not {pid for pid in processes if Path(f"/proc/{pid}").exists()}


@pytest.fixture
def free_port():
    with reserved_port() as reserved:
        yield reserved


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no such signal")
@pytest.mark.parametrize("in_main_thread", [True, False])
def test_a_hangup_is_told_to_need_a_restart(monkeypatch, tmp_path, caplog, free_port, in_main_thread):
    ray, serve = ModuleType("ray"), ModuleType("ray.serve")
    ray.serve, ray.is_initialized, ray.cluster_resources = serve, lambda: True, lambda: {"CPU": 2.0}
    serve.delete = lambda name: None
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.serve", serve)
    monkeypatch.setattr(ray_engine, "deployment", lambda *_: None)
    monkeypatch.setattr(ray_engine._Start, "_run", lambda self, application: None)
    heard = []

    def run() -> None:
        if in_main_thread:
            os.kill(os.getpid(), signal.SIGHUP)

    monkeypatch.setattr(ray_engine, "make_server", lambda *_, **__: SimpleNamespace(run=run, exit_code=0))
    settings = Settings(data_dir=tmp_path, port=free_port, device="cpu", ledger=False)
    former = signal.signal(signal.SIGHUP, lambda *_: heard.append("the former"))
    try:
        if in_main_thread:
            assert serve_with_ray(settings) == 0
        else:
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(serve_with_ray, settings).result() == 0
        assert heard == []
        os.kill(os.getpid(), signal.SIGHUP)
        assert heard == ["the former"]
    finally:
        signal.signal(signal.SIGHUP, former)
    told = [record.levelname for record in caplog.records if "needs a restart" in record.message]
    assert told == ["WARNING"] * in_main_thread


class Handle:
    """Ray's handle to a deployment, as far as `asker` knows it."""

    def __init__(self, parts=(), *, error: BaseException | None = None, options=None, log=None) -> None:
        self.parts, self.error = parts, error
        self.chosen, self.log = options or {}, [] if log is None else log

    def options(self, **options) -> "Handle":
        return Handle(self.parts, error=self.error, options=self.chosen | options, log=self.log)

    def remote(self, scope, body) -> "Handle":
        self.log.append(self.chosen)
        return self

    def cancel(self) -> None:
        self.log.append("cancelled")

    async def __aiter__(self):
        for part in self.parts:
            yield part
        if self.error is not None:
            raise self.error


def asked(handle: Handle, size: int = 0):
    return anyio.run(asker(handle), {"path": "/"}, b"x" * size)


@needs_ray
@quiet_ray
def test_the_parts_of_an_answer_are_put_together_and_large_bodies_take_the_other_way():
    handle = Handle([(200, [(b"a", b"b")], b"one, "), b"two, ", b"three"])
    assert asked(handle) == (200, [(b"a", b"b")], b"one, two, three")
    asked(handle, DIRECT_BYTES + 1)
    small, large = handle.log
    assert small == {"method_name": "answer", "stream": True, "_by_reference": False}
    assert large == {"method_name": "answer", "stream": True}


@needs_ray
@quiet_ray
def test_what_goes_wrong_on_the_way_is_told_in_our_words():
    from ray.exceptions import ActorDiedError
    from ray.serve.exceptions import BackPressureError

    with pytest.raises(Busy) as busy:
        asked(Handle(error=BackPressureError(num_queued_requests=9, max_queued_requests=9)))
    assert busy.value.details["retry_after"] >= 1
    for error in (ActorDiedError(), RuntimeError("anything")):
        with pytest.raises(ReplicaLost, match=type(error).__name__):
            asked(Handle([(200, [], b"half")], error=error))
    with pytest.raises(ReplicaLost):
        asked(Handle())  # it ended without an answer


@needs_ray
@quiet_ray
def test_who_waits_no_more_says_so_to_the_replica():
    class Hanging(Handle):
        def remote(self, scope, body):
            return self

        def options(self, **options):
            return self

        async def __aiter__(self):
            await anyio.sleep(60)
            yield b""

    handle = Hanging()

    async def leave() -> None:
        with anyio.move_on_after(0.05):
            await asker(handle)({}, b"")

    anyio.run(leave)
    assert handle.log == ["cancelled"]


@needs_ray
@quiet_ray
def test_rays_own_configuration_finds_front_and_replicas(monkeypatch, tmp_path):
    monkeypatch.setenv("FACEMIX_MAX_QUEUE", "100")
    from ray import serve

    front = build({})
    assert isinstance(front, serve.Application)
    (replica,) = front._bound_deployment.init_args
    assert front._bound_deployment.name == "front"
    kept = replica._bound_deployment
    assert (kept.name, kept.init_args) == (REPLICA, (None,))  # which reads its own environment
    assert kept.max_ongoing_requests > 100  # its own refusal comes before Ray's
    assert kept.max_queued_requests == 100
