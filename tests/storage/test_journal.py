import errno
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from facemix.storage import journal
from facemix.storage.journal import Journal, leftover, line_of, row_of, spooled
from facemix.storage.ledger import LedgerRow

FULL = LedgerRow(
    request_id="r",
    route="POST /api/v1/mix",
    status=202,
    error_code="held_for_review",
    model_id="m@abc",
    key_name="k",
    frames_encoded=2,
    frames_decoded=33,
    device_seconds=0.1,
    milliseconds=12.25,
    bytes_in=2**40,
    bytes_out=7,
    idempotency_key="Grüße \u2028\n",
    weights="ab" * 32,
    recipe_hash="cd" * 32,
    stage_ms='{"look":1.5}',
    cpu_seconds=1 / 3,
    outcome="held",
    reason="guard",
    consent="2026-11",
    price_version=4,
    cost=1e-7,
    record='{"a":"\\ud83d\\ude00"}',
    at=datetime(2030, 5, 17, 12, 0, 0, 123456, tzinfo=UTC),
)


@pytest.fixture
def opened(tmp_path):
    made = Journal.open(tmp_path)
    yield made
    made.close(keep=False)


def left(folder):
    """The rows that can be taken over from a folder."""
    found = []
    for path in spooled(folder):
        with leftover(path) as one:
            found += [] if one is None else list(one.rows())
    return found


def test_a_row_comes_back_as_it_was():
    assert row_of(line_of(FULL)) == FULL
    assert line_of(FULL).count(b"\n") == 1


def test_only_its_owner_may_read_the_file(opened, tmp_path):
    (path,) = spooled(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nobody_takes_what_a_living_process_owns(opened, tmp_path):
    assert opened.append(FULL)
    assert list(opened.rows()) == [FULL]
    assert left(tmp_path) == []
    opened.close(keep=True)
    assert left(tmp_path) == [FULL]


def test_what_is_closed_with_nothing_left_leaves_no_file(opened, tmp_path):
    opened.append(FULL)
    opened.clear()
    assert opened.size == 0
    opened.close(keep=False)
    assert spooled(tmp_path) == []


def test_a_process_that_is_killed_leaves_every_row_and_no_lock(tmp_path):
    program = """
import os, signal, sys
from pathlib import Path
from facemix.storage.journal import Journal
from facemix.storage.ledger import LedgerRow
journal = Journal.open(Path(sys.argv[1]))
for number in range(100):
    assert journal.append(LedgerRow(request_id=str(number), route="GET /", status=200))
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    assert [row.request_id for row in left(tmp_path)] == [str(number) for number in range(100)]


def test_a_torn_line_and_lines_that_are_no_rows_are_passed_over(opened, tmp_path):
    (path,) = spooled(tmp_path)
    opened.append(FULL)
    rubbish = [
        b"{}",
        b"not json",
        b"\x00" * 100,
        b"[" * 50_000,
        line_of(FULL).replace(b'"status":202', b'"status":"202"').strip(),
        line_of(FULL).replace(b'"outcome":"held"', b'"outcome":"stolen"').strip(),
        line_of(FULL).replace(b"+00:00", b"").strip(),
        line_of(FULL).replace(b'"request_id":"r",', b"").strip(),
        b"x" * (3 * journal.MOST_LINE),
    ]
    with path.open("ab") as file:
        file.write(b"\n".join(rubbish) + b"\n" + line_of(FULL) + line_of(FULL)[:-20])
    assert list(opened.rows()) == [FULL, FULL]


def test_a_newer_program_may_have_written_more():
    assert row_of(line_of(FULL)[:-2] + b',"colour":"red"}\n') == FULL


def test_a_full_disk_is_told_and_leaves_no_half_line(opened, monkeypatch):
    opened.append(FULL)
    write = os.write
    monkeypatch.setattr(journal.os, "write", lambda descriptor, data: write(descriptor, data[:50]))
    assert not opened.append(FULL)

    def full(descriptor, data):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(journal.os, "write", full)
    assert not opened.append(FULL)
    monkeypatch.setattr(journal.os, "write", write)
    assert opened.append(FULL)
    assert list(opened.rows()) == [FULL, FULL]


def test_it_does_not_grow_without_end(opened, monkeypatch):
    monkeypatch.setattr(journal, "MOST_BYTES", 2 * len(line_of(FULL)))
    assert [opened.append(FULL) for _ in range(3)] == [True, True, False]
    opened.clear()
    assert opened.append(FULL)


def test_other_files_are_left_alone(tmp_path):
    (tmp_path / "ledger-1-a.rows").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "ledger-2-b.rows")
    (tmp_path / "ledger-3-c.rows").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    for path in spooled(tmp_path):
        with leftover(path) as found:
            assert found is None
    assert len(list(tmp_path.iterdir())) == 4


def test_without_a_folder_there_is_no_journal(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    assert Journal.open(tmp_path / "file" / "spool") is None
    assert "spool cannot be opened" in caplog.text
