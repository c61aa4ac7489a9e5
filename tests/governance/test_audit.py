"""The audit log's chain: what is changed, taken out, put in or put elsewhere is found, and where."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, select, update

from facemix.errors import RequestInvalid
from facemix.governance.audit import GENESIS, AuditLog
from facemix.storage.database import Database
from facemix.storage.governance_tables import audit as table


@pytest.fixture
def chain(audit, noon):
    """Five rows."""
    for number in range(1, 6):
        audit.append("ann", "review.approve", f"s{number}", {"version": number}, now=noon + timedelta(minutes=number))
    assert audit.verify().broken is None
    return audit


def tamper(database, *statements):
    with database.writing() as connection:
        for statement in statements:
            connection.execute(statement)


def row(database, number):
    with database.reading() as connection:
        return dict(connection.execute(select(table).where(table.c.number == number)).mappings().one())


def test_an_empty_log_is_whole(audit):
    check = audit.verify()
    assert (check.rows, check.newest, check.broken) == (0, GENESIS, None)


def test_rows_come_back_as_they_were_written(chain, noon):
    newest, before = chain.list(2)
    assert (newest.number, newest.actor, newest.action, newest.subject) == (5, "ann", "review.approve", "s5")
    assert (newest.details, newest.at) == ({"version": 5}, noon + timedelta(minutes=5))
    assert newest.previous == before.hash
    assert [one.number for one in chain.list(10, before=3)] == [2, 1]
    assert chain.list(1, before=2)[0].previous == GENESIS
    assert [one.number for one in chain.about("s3", since=noon)] == [3]
    assert chain.about("s3", since=noon + timedelta(minutes=4)) == []


@pytest.mark.parametrize(
    "values",
    [
        {"actor": "bob"},
        {"action": "review.reject"},
        {"subject": "s9"},
        {"subject": None},
        {"details": '{"version":9}'},
        {"hash": "0" * 64},
    ],
)
def test_a_row_that_was_changed_is_named(chain, database, values):
    tamper(database, update(table).where(table.c.number == 3).values(**values))
    check = chain.verify()
    assert (check.rows, check.broken) == (2, "row 3 was changed")
    assert check.newest == row(database, 2)["hash"]


def test_a_time_that_was_changed_is_named(chain, database, noon):
    tamper(database, update(table).where(table.c.number == 3).values(at=noon))
    assert chain.verify().broken == "row 3 was changed"


def test_a_row_changed_with_its_own_hash_breaks_the_next(chain, database, noon):
    """Whoever writes a row anew has to write all rows after it anew, too."""
    other = AuditLog(database)
    forged = row(database, 3)
    tamper(database, delete(table).where(table.c.number >= 3))
    made = other.append("bob", forged["action"], forged["subject"], {"version": 3}, now=forged["at"])
    tamper(
        database,
        insert(table).values({**forged, "number": 4, "previous": forged["hash"]}),
    )
    assert made.number == 3
    assert chain.verify().broken == "row 4 does not name the row before it"


@pytest.mark.parametrize(
    ("number", "broken"), [(1, "row 1 is missing: row 2 follows"), (3, "row 3 is missing: row 4 follows")]
)
def test_a_row_that_was_taken_out_is_missed(chain, database, number, broken):
    tamper(database, delete(table).where(table.c.number == number))
    assert chain.verify().broken == broken


def test_a_row_that_was_taken_out_is_missed_though_the_rest_move_up(chain, database):
    tamper(database, delete(table).where(table.c.number == 3))
    for number in (4, 5):
        tamper(database, update(table).where(table.c.number == number).values(number=number - 1))
    assert chain.verify().broken == "row 3 does not name the row before it"


def test_a_row_that_was_put_in_is_found(chain, database):
    copy = row(database, 2)
    for number in (5, 4, 3):
        tamper(database, update(table).where(table.c.number == number).values(number=number + 1))
    tamper(database, insert(table).values({**copy, "number": 3, "previous": copy["hash"]}))
    assert chain.verify().broken == "row 3 was changed"


def test_rows_in_another_order_are_found(chain, database):
    for before, after in ((3, 99), (4, 3), (99, 4)):
        tamper(database, update(table).where(table.c.number == before).values(number=after))
    assert chain.verify().broken == "row 3 does not name the row before it"


def test_the_end_cut_off_is_told_by_the_hash_that_was_kept(chain, database):
    """Nothing in the log itself can tell that."""
    kept = chain.verify().newest
    tamper(database, delete(table).where(table.c.number >= 4))
    check = chain.verify()
    assert check.broken is None
    assert check.newest != kept


def test_a_row_and_what_it_tells_come_to_be_together(audit, database):
    def act():
        with database.writing() as connection:
            audit.append_in(connection, "ann", "review.approve")
            raise RequestInvalid("no", hint="no")

    with pytest.raises(RequestInvalid):
        act()
    assert audit.list() == []


def test_threads_and_processes_add_to_one_chain(database, tmp_path):
    """Each has a database object of its own, as processes have."""
    start = threading.Barrier(4)

    def add(name):
        with Database.open(database.engine.url) as mine:
            log = AuditLog(mine)
            start.wait()
            for number in range(10):
                log.append(name, "review.look", str(number))

    threads = [threading.Thread(target=add, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = AuditLog(database)
    check = log.verify()
    assert (check.rows, check.broken) == (40, None)
    rows = log.list(40)
    assert [one.number for one in rows] == list(range(40, 0, -1))
    assert [one.subject for one in reversed(rows) if one.actor == "t2"] == [str(number) for number in range(10)]
