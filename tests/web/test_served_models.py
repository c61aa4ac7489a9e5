"""Real servers and the command line on one data folder: promoting, rolling back and stopping under load."""

import os
import threading
import time
import traceback
from contextlib import ExitStack

import httpx
import pytest
from measuring import results_of
from served import serving
from tiny import tiny_checkpoint
from typer.testing import CliRunner

from facemix.cli import app
from facemix.vae.checkpoint import read_card

QUICK = {"backend": "torch", "device": "cpu", "threads": 1, "workers": 1, "isolate": "false", "log_level": "warning"}
LONG = 60  # seconds, on two busy cores


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two versions of one model, the first of them the default; their names with the hash."""
    root, found = tmp_path_factory.mktemp("models"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEMIX_DATA_DIR", str(root / "data"))
        for seed in range(2):
            folder = tiny_checkpoint(root / f"tiny-{seed}", seed=seed)
            weights = read_card(folder).weights_sha256
            results_of(weights, folder / "results.json", psnr=10.0)
            facemix("models", "add", str(folder))
            found.append(f"tiny@{weights[:12]}")
        facemix("models", "promote", found[0], "--require", "psnr>=10")
        yield found


@pytest.fixture(scope="module")
def servers(models, tmp_path_factory):
    """Two servers on the data folder in which the models are registered."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                serving(tmp_path_factory.mktemp("server"), data_dir=os.environ["FACEMIX_DATA_DIR"], **QUICK)
            )
            for _ in range(2)
        ]


def facemix(*arguments):
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


class Load:
    """Clients that ask for a face all the time, as long as the block lasts."""

    def __init__(self, address, clients=3):
        self.address, self.answers, self.broken = address, [], []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(clients)]

    def _ask(self, number):
        try:
            with httpx.Client(base_url=self.address, timeout=LONG) as client:
                sample = number
                while not self._stop.is_set():
                    sample += 10
                    self._one(client, {"parents": [{"sample": sample}, {"sample": 1}]})
        except Exception:  # in the list it is seen with the answers; a thread's own error says where, but not why
            self.broken.append(traceback.format_exc())

    def _one(self, client, body):
        try:
            answer = client.post("/api/v1/mix", json=body)
        except httpx.HTTPError as error:
            self.broken.append(repr(error))
            return
        try:
            code = None if answer.is_success else answer.json()["code"]
        except (ValueError, KeyError):
            self.broken.append(f"{answer.status_code}: {answer.text}")
            return
        self.answers.append((answer.status_code, code, answer.headers.get("x-facemix-model")))
        if code == "halted":
            time.sleep(0.05)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def until(self, *last):
        """Waits for an answer that ends so."""
        deadline, seen = time.monotonic() + LONG, len(self.answers)
        while time.monotonic() < deadline:
            if any(answer[-len(last) :] == last for answer in self.answers[seen:]):
                return
            time.sleep(0.01)
        pytest.fail(f"no answer ended with {last}; the last were {self.answers[-5:]}, {self.broken[-1:]}")


def test_a_rollback_under_load_drops_no_request(servers, models):
    before, after = models
    with Load(servers[0].address) as load:
        load.until(before)
        facemix("models", "promote", after)
        load.until(after)
        facemix("models", "rollback")
        load.until(before)
    assert load.broken == []
    assert {status for status, *_ in load.answers} == {200}
    assert {model for *_, model in load.answers} == {before, after}
    order = [model for *_, model in load.answers]
    assert order.index(before) < order.index(after)


def test_one_command_stops_every_server_and_one_lets_them_go_on(servers, models):
    with Load(servers[0].address, 1) as one, Load(servers[1].address, 1) as other:
        for load in (one, other):
            load.until(models[0])
        facemix("stop", "--reason", "a drill, soon over")
        for server, load in zip(servers, (one, other), strict=True):
            load.until("halted", None)
            refusal = httpx.get(f"{server.address}/api/v1/samples/77", timeout=LONG)
            assert "a drill, soon over" in refusal.json()["detail"]
            assert httpx.get(f"{server.address}/readyz", timeout=LONG).json()["generation"] == "halted"
            assert "a drill, soon over" in httpx.get(server.address, timeout=LONG).text
        facemix("resume")
        for load in (one, other):
            load.until(models[0])
    for load in (one, other):
        assert load.broken == []
        assert {(status, code) for status, code, _ in load.answers} == {(200, None), (503, "halted")}
