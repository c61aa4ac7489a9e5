"""The queue, the audit log and the archive for a post-mortem, from the command line."""

import io
import json
import os
import re
import shutil
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from facemix.governance.audit import AuditLog
from facemix.governance.review import Reviews
from facemix.serving import doctor
from facemix.settings import load_settings
from facemix.storage.database import Database
from facemix.storage.governance_tables import audit as audit_table
from facemix.web.run import open_database

PICTURE = b"\x89PNG planted-mark of a held picture"


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory):
    """A database file with all tables and no rows: migrating takes longer than copying."""
    path = tmp_path_factory.mktemp("upgraded") / "facemix.sqlite3"
    with Database.open(f"sqlite:///{path}") as database:
        database.upgrade()
    return path


@pytest.fixture
def queue(run, upgraded):
    """The queue of the installation that `run` speaks to."""
    shutil.copy(upgraded, Path(os.environ["FACEMIX_DATA_DIR"]) / upgraded.name)
    with open_database(load_settings()) as database:
        yield Reviews.open(load_settings(), database)


@pytest.fixture
def held(queue):
    return queue.hold("r-1", "guard", "near\nfacemix: forged", picture=PICTURE, media_type="image/png")[0]


def log(queue):
    return AuditLog(queue._database)


def test_an_empty_queue(run):
    assert run("review", "list") == (0, "0 waiting, 0 overdue\n", "")


def test_list_names_what_waits_and_what_is_late(run, queue, held):
    early = datetime.now(UTC) - timedelta(hours=25)
    late, _ = queue.hold("r-2", "margin", "", picture=PICTURE, media_type="image/png", now=early)
    status, out, _ = run("review", "list")
    lines = out.splitlines()
    assert (status, [line[:16] for line in lines[:2]]) == (0, [late.id, held.id])
    assert lines[0].endswith(", OVERDUE")
    assert "guard" in lines[1]
    assert lines[2] == "2 waiting, 1 overdue"
    assert run("review", "list", "--state", "approved")[1] == "2 waiting, 1 overdue\n"
    assert run("review", "list", "--state", "all", "--most", "1")[1].startswith(late.id)
    assert run("review", "list", "--state", "x")[0] == 2


def test_show_says_whose_likeness_and_takes_nobody_for_a_saved_face(run, queue):
    review, _ = queue.hold("r-1", "guard", "near", subject="kV0tW3qfX8mZ1aBc")
    _, out, _ = run("review", "show", review.id)
    assert "protected person kV0tW3qfX8mZ1aBc" in out
    assert "saved recipe" not in out


def test_show_tells_all_but_the_picture(run, held, tmp_path):
    status, out, _ = run("review", "show", held.id)
    assert status == 0
    assert "pending, version 1, trigger guard" in out
    assert "reasons to reject: likeness, " in out
    assert "facemix: review.hold" in out
    assert "\nfacemix: forged" not in out
    assert list(tmp_path.iterdir()) == []


def test_the_picture_is_written_only_when_asked_for_and_that_is_noted(run, queue, held, tmp_path):
    target = tmp_path / "look.png"
    assert run("review", "show", held.id, "--picture", target)[0] == 0
    assert target.read_bytes() == PICTURE
    assert (log(queue).list(1)[0].actor, log(queue).list(1)[0].action) == ("command line", "review.look")


def test_the_whole_way(run, queue, held):
    assert "claimed by command line, version 2" in run("review", "claim", held.id, "--seen", 1)[1]
    assert "pending, version 3" in run("review", "release", held.id, "--seen", 2)[1]
    assert "escalated, version 4" in run("review", "escalate", held.id, "--seen", 3, "--reason", "unsure")[1]
    done = run("review", "reject", held.id, "--seen", 4, "--reason", "likeness", "--text", "the mayor")
    assert "rejected by command line, version 5" in done[1]
    found = queue.get(held.id)
    assert (found.state, found.text, found.has_picture) == ("rejected", "the mayor", False)
    assert {row.actor for row in log(queue).list(4)} == {"command line"}


def test_approve(run, queue, held):
    assert run("review", "approve", held.id, "--seen", 1, "--reason", "fine")[0] == 0
    assert queue.get(held.id).state == "approved"


def test_who_comes_late_changes_nothing(run, queue, held):
    queue.approve(held.id, 1, actor="ann", reason="fine")
    status, out, err = run("review", "reject", held.id, "--seen", 1, "--reason", "likeness")
    assert (status, out) == (2, "")
    assert "approved by ann" in err
    assert queue.get(held.id).state == "approved"


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "x"),
        ("claim", "0" * 16, "--seen", "1"),
        ("approve", "ID", "--seen", "1"),
        ("approve", "ID", "--reason", "fine"),
        ("approve", "ID", "--seen", "0", "--reason", "fine"),
        ("approve", "ID", "--seen", "1", "--reason", "likeness"),
        ("reject", "ID", "--seen", "1", "--reason", "other"),
    ],
)
def test_what_is_mistyped_changes_nothing(run, queue, held, arguments):
    status, out, err = run("review", *(held.id if part == "ID" else part for part in arguments))
    assert (status, out) == (2, "")
    assert err.startswith("facemix: ")
    assert queue.get(held.id) == held


def test_sweep_closes_what_is_late(run, queue):
    early = datetime.now(UTC) - timedelta(hours=73)
    late, _ = queue.hold("r", "guard", "", picture=PICTURE, media_type="image/png", now=early)
    assert run("review", "sweep") == (0, "1 reviews were closed, emptied or forgotten\n", "")
    assert queue.get(late.id).state == "expired"


# --- audit -------------------------------------------------------------------------------------------------


def test_audit_lists_and_verifies(run, queue, held):
    run("review", "claim", held.id, "--seen", 1)
    status, out, _ = run("audit", "list", "--most", 2)
    assert status == 0
    assert re.match(rf"2 [\d: -]+ UTC command line: review.claim {held.id} {{", out.splitlines()[0])
    assert run("audit", "list", "--before", 2)[1].splitlines()[0].startswith("1 ")
    newest = log(queue).list(1)[0].hash
    assert run("audit", "verify") == (0, f"2 rows are right; the newest is 2:{newest}\n", "")
    assert run("audit", "verify", "--kept", f"2:{newest}")[0] == 0


def test_a_broken_log_ends_with_a_status_of_its_own(run, queue, held):
    run("review", "claim", held.id, "--seen", 1)
    kept = f"2:{log(queue).list(1)[0].hash}"
    with queue._database.writing() as connection:
        connection.execute(audit_table.delete().where(audit_table.c.number == 2))
    assert run("audit", "verify")[0] == 0, "a log that was cut off is whole in itself"
    status, out, err = run("audit", "verify", "--kept", kept)
    assert (status, err) == (1, "facemix: the audit log is broken: row 2 does not have the hash that was kept\n")
    assert "1 rows are right" in out
    with queue._database.writing() as connection:
        connection.execute(audit_table.update().values(actor="nobody"))
    status, out, err = run("audit", "verify")
    assert (status, out[:16]) == (1, "0 rows are right")
    assert "row 1 was changed" in err


@pytest.mark.parametrize("kept", ["x", "1:abc", "0:" + "a" * 64, "1:" + "G" * 64])
def test_what_was_kept_is_a_number_and_a_hash(run, kept):
    assert run("audit", "verify", "--kept", kept)[0] == 2


# --- incident ----------------------------------------------------------------------------------------------


def test_an_incident_is_gathered_without_a_picture_or_the_secret(run, queue, held, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "examine", lambda settings: [doctor.Finding("model", "fail", "gone", "look for it")])
    target = tmp_path / "out" / "incident.zip"
    target.parent.mkdir()
    status, out, _ = run("incident", "--out", target)
    assert status == 0
    assert str(target) in out
    secret = (Path(os.environ["FACEMIX_DATA_DIR"]) / "installation.secret").read_bytes().strip()
    with zipfile.ZipFile(io.BytesIO(target.read_bytes())) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            assert b"planted-mark" not in content
            assert secret not in content
        finding = {"check": "model", "verdict": "fail", "message": "gone", "hint": "look for it"}
        assert json.loads(archive.read("doctor.json")) == [finding]
        assert json.loads(archive.read("reviews.jsonl").splitlines()[0])["id"] == held.id
    assert [path.name for path in target.parent.iterdir()] == ["incident.zip"]


@pytest.mark.parametrize(
    "options",
    [
        ("--since", "yesterday"),
        ("--since", "2999-01-01"),
        ("--since", "2026-01-01", "--hours", "3"),
        ("--hours", "0"),
        ("--hours", "1e300"),
        ("--since", "0001-01-01T00:00+14:00"),
    ],
)
def test_times_that_mean_nothing_are_refused(run, tmp_path, options):
    assert run("incident", "--out", tmp_path / "x.zip", *options)[0] == 2
    assert list(tmp_path.iterdir()) == []


def test_only_an_archive_is_written(run, tmp_path):
    assert run("incident", "--out", tmp_path / "x.txt")[0] == 2
