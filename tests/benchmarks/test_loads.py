import subprocess
import sys
from pathlib import Path

import pytest
from answering import BUSY, OK, answering
from ports import reserved_port

from benchmarks import loads, photos
from benchmarks.loads import Plan, run
from benchmarks.outcome import CUT, LATE, LEFT, UNREACHED


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return photos.pair(tmp_path_factory.mktemp("photos"), side=64)


def test_every_client_of_a_closed_loop_asks_again_on_its_connection(pair):
    with answering(lambda number: OK if number < 7 else 60.0) as server:
        load = run(Plan(server.port, pair, clients=2, seconds=1.5, patience=1.0))
    assert load.status.count(200) == 7
    assert load.statuses() == {"200": 7, "no answer in time": len(load.status) - 7}
    assert all(begun <= asked <= sent <= ended for begun, asked, sent, ended in _times(load, 200))
    assert len(server.connections) < 7


def test_clients_have_addresses_of_their_own(pair):
    if sys.platform != "linux":
        pytest.skip("loopback is one address here")
    with answering() as server:
        run(Plan(server.port, pair, clients=3, once=True))
    assert len(set(server.connections)) == 3


def test_the_form_holds_two_photographs_that_differ_every_time(pair):
    with answering() as server:
        run(Plan(server.port, pair, clients=3, once=True, path="/x", accept="image/webp"))
    assert len(set(server.bodies)) == len(server.bodies) == 3
    found = [one for body in server.bodies for one in _files(body)]
    assert len(set(found)) == 6
    for one in found:
        assert one[:4] == b"\xff\xd8\xff\xfe"
        originals = [Path(name).read_bytes() for name in pair]
        assert one[:2] + one[22:] in originals
    assert server.heads[0].startswith(b"POST /x HTTP/1.1\r\n")
    assert b"Accept: image/webp\r\n" in server.heads[0]


def test_repeated_photographs_are_the_same_in_every_request_but_not_in_one(pair):
    with answering() as server:
        run(Plan(server.port, pair, clients=3, once=True, repeated=True))
    assert len(set(server.bodies)) == 1
    first, second = _files(server.bodies[0])
    assert first[:22] != second[:22]


@pytest.mark.parametrize("poisson", [False, True])
def test_an_open_loop_does_not_wait_for_answers(pair, poisson):
    with answering(lambda number: 10.0) as server:
        load = run(Plan(server.port, pair, seconds=0.39, rate=50, poisson=poisson, patience=0.5, seed=3))
    assert set(load.status) == {LATE}
    assert len(server.connections) == len(load.status) == (19 if not poisson else len(load.status)) > 8


def test_an_open_loop_bounds_its_connections(pair):
    with answering(lambda number: 10.0) as server:
        load = run(Plan(server.port, pair, seconds=0.29, rate=50, poisson=False, most=4, patience=1.0))
    assert len(load.status) == len(server.connections) == 4
    assert load.unsent == 10


def test_clients_that_leave_are_noted_as_such(pair):
    with answering(lambda number: 10.0) as server:
        load = run(Plan(server.port, pair, clients=3, once=True, leave_after=0.5))
    assert load.status == [LEFT] * 3
    assert len(server.bodies) == 3


def test_a_refusal_before_the_body_is_read_is_taken(tmp_path):
    # More than any buffer holds, so that it cannot have been sent whole.
    large = photos.portrait(64)
    for name in "ab":
        (tmp_path / name).write_bytes(large + bytes(16_000_000))
    with answering(lambda number: BUSY, early=True) as server:
        load = run(Plan(server.port, (str(tmp_path / "a"), str(tmp_path / "b")), clients=1, once=True))
    assert (load.status, load.retry_after, load.sent) == ([503], [True], [0.0])


def test_what_never_comes_is_noted(pair):
    with answering(lambda number: None) as server:
        assert run(Plan(server.port, pair, clients=1, once=True)).status == [CUT]
    with reserved_port() as free:
        assert run(Plan(free, pair, clients=1, once=True)).status == [UNREACHED]


def test_only_jpeg_files_have_a_place_for_the_comment(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    with pytest.raises(SystemExit):
        run(Plan(1, (str(tmp_path / "a.png"),) * 2, clients=1))


def test_a_plan_is_run_in_a_process_of_its_own(pair):
    with answering() as server:
        load = loads.run_apart(Plan(server.port, pair, clients=2, once=True))
    assert load.status == [200, 200]
    assert load.cpu_seconds > 0


def test_a_generator_that_fails_is_no_result():
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"], stdout=subprocess.PIPE, text=True)
    with pytest.raises(SystemExit):
        loads.ending(process)


def _times(load, status):
    columns = zip(load.begun, load.asked, load.sent, load.ended, load.status, strict=True)
    return [row[:4] for row in columns if row[4] == status]


def _files(body: bytes) -> list[bytes]:
    parts = body.split(b"--facemix-benchmark")[1:-1]
    return [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts]
