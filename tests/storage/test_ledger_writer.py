import logging
import threading
from collections import deque
from time import sleep

import pytest
from small_disk import fill, small_disk

from facemix.errors import StorageFull, StorageUnavailable
from facemix.storage import ledger_writer
from facemix.storage.database import Database
from facemix.storage.ledger import Ledger
from facemix.storage.ledger_writer import LedgerState, LedgerWriter

NEVER = 3600.0  # an interval that does not come about: the test says when to write
SOON = 30.0  # a bound, not a duration: nothing here takes that long


class Recorder:
    """A ledger in memory that refuses what `refusals` holds, one per transaction."""

    def __init__(self):
        self.written = []
        self.transactions = []
        self.refusals = deque()

    def append_many(self, rows):
        self.transactions.append(len(rows))
        if self.refusals:
            raise self.refusals.popleft()
        if any(row.status == 0 for row in rows):
            raise ValueError("a row that no database takes")
        self.written += [row.request_id for row in rows]


class Stuck(Recorder):
    """Waits in a transaction until it is released."""

    def __init__(self):
        super().__init__()
        self.entered, self.released = threading.Event(), threading.Event()

    def append_many(self, rows):
        self.entered.set()
        assert self.released.wait(SOON)
        super().append_many(rows)


@pytest.fixture
def writer_of():
    """Makes writers and closes them."""
    made = []

    def make(ledger, **given):
        made.append(LedgerWriter(ledger, **{"interval": NEVER, **given}))
        return made[-1]

    yield make
    for writer in made:
        writer.close(SOON)


def full():
    return StorageFull("full", hint="free space")


def add(writer, row, names):
    for name in names:
        writer.add(row(request_id=name))


def test_rows_are_written_in_order_in_one_transaction(writer_of, row):
    ledger = Recorder()
    writer = writer_of(ledger)
    add(writer, row, "abc")
    assert writer.state() == LedgerState(True, None, waiting=3, written=0, lost=0)
    assert writer.flush(SOON)
    assert (ledger.written, ledger.transactions) == (["a", "b", "c"], [3])
    assert writer.state() == LedgerState(True, None, waiting=0, written=3, lost=0)


def test_the_thread_writes_by_itself(writer_of, row):
    arrived = threading.Event()

    class Telling(Recorder):
        def append_many(self, rows):
            super().append_many(rows)
            arrived.set()

    add(writer_of(Telling(), interval=0.01), row, "a")
    assert arrived.wait(SOON)


def test_many_rows_take_several_transactions(writer_of, row, monkeypatch):
    monkeypatch.setattr(ledger_writer, "MOST_IN_TRANSACTION", 4)
    ledger = Recorder()
    writer = writer_of(ledger)
    add(writer, row, "abcdefghij")
    assert writer.flush(SOON)
    assert (ledger.transactions, "".join(ledger.written)) == ([4, 4, 2], "abcdefghij")


def test_a_refusal_keeps_the_rows_and_is_told_until_it_is_over(writer_of, row, caplog):
    ledger = Recorder()
    ledger.refusals.extend([full(), StorageUnavailable("gone", hint="wait")])
    writer = writer_of(ledger)
    add(writer, row, "ab")
    with caplog.at_level(logging.WARNING):
        assert not writer.flush(SOON)
        assert writer.state() == LedgerState(False, "full", waiting=2, written=0, lost=0)
        add(writer, row, "c")
        assert not writer.flush(SOON)
        assert writer.state().error == "gone"
        assert writer.flush(SOON)
    assert ledger.written == ["a", "b", "c"]
    assert writer.state() == LedgerState(True, None, waiting=0, written=3, lost=0)
    assert [record.message for record in caplog.records] == [
        "the ledger waits in memory: full",
        "the ledger is written again",
    ]


def test_a_refusal_is_tried_again_without_being_asked(writer_of, row):
    ledger = Recorder()
    ledger.refusals.extend([full(), full()])
    arrived = threading.Event()
    ledger.written = type("Told", (list,), {"__iadd__": lambda self, rows: arrived.set() or self})()
    add(writer_of(ledger, interval=0.01), row, "a")
    assert arrived.wait(SOON)


def test_beyond_the_bound_the_oldest_are_dropped_and_counted(writer_of, row):
    ledger = Recorder()
    ledger.refusals.append(full())
    writer = writer_of(ledger, most_waiting=3)
    add(writer, row, "ab")
    assert not writer.flush(SOON)
    add(writer, row, "cdef")
    assert writer.state() == LedgerState(False, "full", waiting=3, written=0, lost=3)
    assert writer.flush(SOON)
    assert ledger.written == ["d", "e", "f"]
    assert writer.state().lost == 3


def test_nothing_waits_for_a_database_that_hangs(writer_of, row):
    ledger = Stuck()
    writer = writer_of(ledger, most_waiting=3)
    add(writer, row, "a")
    assert not writer.flush(0)
    assert ledger.entered.wait(SOON)
    add(writer, row, "bcdef")  # returns while the thread hangs
    assert writer.state() == LedgerState(True, None, waiting=3, written=0, lost=3)
    ledger.released.set()
    assert writer.flush(SOON)
    assert ledger.written == ["a", "e", "f"]


def test_flushing_does_not_count_a_round_that_began_before_it(writer_of, row):
    entered = threading.Event()

    class WaitsForFlush(Recorder):
        def append_many(self, rows):
            entered.set()
            while not writer._rounds_wanted:
                sleep(0.001)
            super().append_many(rows)

    ledger = WaitsForFlush()
    ledger.refusals.append(full())
    writer = writer_of(ledger, interval=0.01)
    add(writer, row, "a")
    assert entered.wait(SOON)
    add(writer, row, "b")
    assert writer.flush(SOON)
    assert ledger.written == ["a", "b"]


def test_closing_a_writer_that_hangs_gives_up(row, caplog):
    ledger = Stuck()
    writer = LedgerWriter(ledger, interval=NEVER)
    add(writer, row, "a")
    writer.flush(0)
    assert ledger.entered.wait(SOON)
    add(writer, row, "bc")
    assert writer.close(0.01) == LedgerState(True, None, waiting=0, written=0, lost=3)
    assert "loses 3 rows" in caplog.text
    ledger.released.set()
    writer._thread.join(SOON)
    assert writer.state() == LedgerState(True, None, waiting=0, written=0, lost=3)


def test_closing_writes_what_waits_and_takes_no_more(row):
    ledger = Recorder()
    writer = LedgerWriter(ledger, interval=NEVER)
    add(writer, row, "ab")
    assert writer.close(SOON) == LedgerState(True, None, waiting=0, written=2, lost=0)
    add(writer, row, "c")
    assert not writer._thread.is_alive()
    assert writer.close(SOON) == LedgerState(True, None, waiting=0, written=2, lost=1)
    assert writer.flush(SOON)
    assert ledger.written == ["a", "b"]


def test_closing_before_a_database_that_refuses_tries_once(row):
    ledger = Recorder()
    ledger.refusals.extend([full()] * 9)
    writer = LedgerWriter(ledger, interval=NEVER)
    add(writer, row, "ab")
    assert writer.close(SOON) == LedgerState(False, "full", waiting=0, written=0, lost=2)
    assert ledger.transactions == [2]


def test_a_row_that_no_database_takes_does_not_hold_up_the_others(writer_of, row, caplog):
    ledger = Recorder()
    writer = writer_of(ledger)
    for number in range(20):
        writer.add(row(request_id=str(number), status=0 if number in (7, 8) else 200))
    assert writer.flush(SOON)
    assert ledger.written == [str(number) for number in range(20) if number not in (7, 8)]
    assert writer.state() == LedgerState(True, None, waiting=0, written=18, lost=2)
    assert caplog.text.count("drops a row") == 2


def test_threads_lose_nothing(writer_of, row):
    ledger = Recorder()
    writer = writer_of(ledger, interval=0.001)
    threads = [threading.Thread(target=add, args=(writer, row, [str(one)] * 200)) for one in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.flush(SOON)
    assert sorted(ledger.written) == sorted(str(one) for one in range(4) for _ in range(200))


def test_the_row_that_a_real_database_refuses_is_dropped_alone(database, writer_of, row):
    ledger = Ledger(database)
    writer = writer_of(ledger)
    for number in range(5):
        writer.add(row(bytes_in=2**70 if number == 2 else number))
    assert writer.flush(SOON)
    assert writer.state() == LedgerState(True, None, waiting=0, written=4, lost=1)
    assert ledger.count() == 4


def waits_then_recovers(writer, ledger, row, free):
    """The rows of a database that refuses wait; after `free` all of them are written."""
    before = writer.state()
    add(writer, row, ["x" * 2000] * 500)
    assert not writer.flush(SOON)
    during = writer.state()
    assert not during.ok
    assert (during.waiting, during.lost) == (500, 0)
    free()
    assert writer.flush(SOON)
    assert writer.state() == LedgerState(True, None, waiting=0, written=before.written + 500, lost=0)
    assert ledger.count() == before.written + 500
    return during.error


def test_a_full_sqlite_file(sqlite_url, writer_of, row):
    with Database.open(sqlite_url) as database:
        database.upgrade()

        def limit(pages):
            with database.writing() as connection:  # one connection: the writer's is the one of the pool
                connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

        limit(20)
        ledger = Ledger(database)
        assert "full" in waits_then_recovers(writer_of(ledger), ledger, row, lambda: limit(10_000))


def test_a_full_disk(tmp_path, writer_of, row):
    with small_disk(tmp_path / "disk", 4) as disk, Database.open(f"sqlite:///{disk}/facemix.sqlite3") as database:
        database.upgrade()
        filler = fill(disk)
        ledger = Ledger(database)
        writer = writer_of(ledger)
        assert "full" in waits_then_recovers(writer, ledger, row, filler.unlink)
        writer.close(SOON)


def test_a_server_that_goes_and_comes_back(server, writer_of, row):
    name = server.create()
    with Database.open(server.url(name)) as database:
        database.upgrade()
        ledger = Ledger(database)
        writer = writer_of(ledger)
        add(writer, row, "a")
        assert writer.flush(SOON)
        server.shut(name)
        waits_then_recovers(writer, ledger, row, lambda: server.reopen(name))
