"""The writer with a spool: nothing that was added is lost or doubled, whatever the database does."""

import threading

import pytest

from facemix.errors import StorageUnavailable
from facemix.storage.database import Database
from facemix.storage.journal import Journal, spooled
from facemix.storage.ledger import Ledger, bounded
from facemix.storage.ledger_writer import LedgerWriter
from facemix.storage.tables import ledger

NEVER, SOON = 3600.0, 30.0


class Moody:
    """A ledger that refuses while `refuses` is set, and a row called ``bad`` always."""

    def __init__(self, real):
        self.real, self.refuses = real, False

    def append_many(self, rows):
        if self.refuses:
            raise StorageUnavailable("gone", hint="wait")
        if any(row.request_id == "bad" for row in rows):
            raise ValueError("no database takes it")
        self.real.append_many(rows)


@pytest.fixture
def moody(tmp_path):
    with Database.open(f"sqlite:///{tmp_path}/facemix.sqlite3") as opened:
        opened.upgrade()
        yield Moody(Ledger(opened))


@pytest.fixture
def spool(tmp_path):
    return tmp_path / "spool"


def ids(moody):
    with moody.real._database.reading() as connection:
        return sorted(connection.execute(ledger.select()).mappings(), key=lambda row: row["id"])


def names(moody):
    return [row["request_id"] for row in ids(moody)]


def test_what_is_written_leaves_the_spool(moody, spool, row):
    writer = LedgerWriter(moody, interval=NEVER, spool=spool)
    for number in range(3):
        writer.add(row(request_id=str(number)))
    (path,) = spooled(spool)
    assert path.read_bytes().count(b"\n") == 3
    assert writer.flush(SOON)
    assert path.read_bytes() == b""
    assert writer.close().lost == 0
    assert spooled(spool) == []
    assert names(moody) == ["0", "1", "2"]


def test_what_the_database_refused_until_the_end_is_there_after_the_next_start(moody, spool, row):
    moody.refuses = True
    writer = LedgerWriter(moody, interval=NEVER, spool=spool)
    writer.add(row(request_id="one"))
    assert writer.close().lost == 0
    moody.refuses = False
    following = LedgerWriter(moody, interval=0.01, spool=spool)
    assert following.flush(SOON)
    following.close()
    assert names(moody) == ["one"]
    assert spooled(spool) == []


def test_rows_that_were_written_before_the_end_are_not_doubled(moody, spool, row):
    dead = Journal.open(spool)
    rows = [row(request_id=str(number)) for number in range(5)]
    for one in rows:
        dead.append(one)
    dead.close(keep=True)
    moody.real.append_many(rows[:3])
    LedgerWriter(moody, interval=NEVER, spool=spool).close(SOON)
    assert names(moody) == ["0", "1", "2", "3", "4"]


def test_a_bad_row_in_the_spool_costs_no_other(moody, spool, row):
    dead = Journal.open(spool)
    for name in ("one", "bad", "two"):
        dead.append(row(request_id=name))
    dead.close(keep=True)
    LedgerWriter(moody, interval=NEVER, spool=spool).close(SOON)
    assert names(moody) == ["one", "two"]
    assert spooled(spool) == []


def test_several_that_start_at_once_write_every_row_once(moody, spool, row):
    for number in range(4):
        dead = Journal.open(spool)
        for other in range(25):
            dead.append(row(request_id=f"{number}-{other}"))
        dead.close(keep=True)
    writers = [LedgerWriter(moody, interval=0.01, spool=spool) for _ in range(3)]
    for writer in writers:
        writer.flush(SOON)
    closing = [threading.Thread(target=writer.close, args=(SOON,)) for writer in writers]
    for thread in closing:
        thread.start()
    for thread in closing:
        thread.join()
    assert len(names(moody)) == len(set(names(moody))) == 100
    assert spooled(spool) == []


def test_what_does_not_fit_into_memory_is_read_from_the_spool(moody, spool, row):
    moody.refuses = True
    writer = LedgerWriter(moody, interval=NEVER, spool=spool, most_waiting=3)
    for number in range(10):
        writer.add(row(request_id=str(number)))
    assert not writer.flush(SOON)
    assert (writer.state().waiting, writer.state().lost) == (10, 0)
    moody.refuses = False
    assert writer.flush(SOON)
    assert sorted(names(moody)) == [str(number) for number in range(10)]
    state = writer.close(SOON)
    assert (state.ok, state.waiting, state.lost, state.written) == (True, 0, 0, 10)
    assert spooled(spool) == []


def test_without_room_on_the_disk_rows_are_kept_in_memory_and_counted(moody, spool, row, monkeypatch):
    writer = LedgerWriter(moody, interval=NEVER, spool=spool)
    monkeypatch.setattr(Journal, "append", lambda self, row: False)
    writer.add(row(request_id="one"))
    assert writer.state().unspooled == 1
    assert writer.flush(SOON)
    assert names(moody) == ["one"]
    moody.refuses = True
    writer.add(row(request_id="two"))
    state = writer.close(SOON)
    assert (state.lost, state.unspooled) == (1, 2)


def test_whoever_wants_to_know_hears_what_is_written(moody, spool, row):
    heard = []
    writer = LedgerWriter(moody, interval=NEVER, spool=spool, written=heard.extend)
    writer.add(row(request_id="one"))
    assert heard == []
    writer.flush(SOON)
    assert [one.request_id for one in heard] == ["one"]
    writer.close(SOON)


def test_records_in_memory_are_bounded(moody, row, monkeypatch):
    monkeypatch.setattr("facemix.storage.ledger_writer.MOST_RECORDS", 100)
    moody.refuses = True
    writer = LedgerWriter(moody, interval=NEVER)
    for _ in range(5):
        writer.add(row(record="x" * 40))
    assert (writer.state().waiting, writer.state().lost) == (2, 3)
    moody.refuses = False
    assert writer.flush(SOON)
    writer.add(row(record="x" * 90))
    assert writer.state().waiting == 1  # what is written holds nothing any more
    writer.close(SOON)


def test_texts_of_a_row_are_bounded_and_fit_for_every_database(row):
    made = bounded(row(idempotency_key="k" * 999, reason="a\0b\ud800", record="r" * 99_999, stage_ms="s" * 9999))
    assert len(made.idempotency_key) == 255
    assert made.reason == "ab?"
    assert len(made.record) < 100
    assert "99999" in made.record
    assert made.stage_ms is None
    assert bounded(row(record="{}")).record == "{}"
