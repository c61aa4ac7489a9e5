import numpy as np
import pytest

from facemix.governance.audit import AuditLog
from facemix.settings import load_settings
from facemix.web.run import open_database

CONSENT = "asked by letter of 3 May, signed"
NOBODY = (0, "nobody is in the gallery\n", "")


class MeanColour:
    """A face is its mean colour, in units of 255."""

    name = "colour@1"

    def embed(self, crops):
        return (crops.reshape(len(crops), -1, 3).mean(1) / 255).astype(np.float32)


@pytest.fixture
def guard(run, monkeypatch):
    monkeypatch.setattr("facemix.faces.embedder.load_embedder", MeanColour)
    return lambda *arguments: run("guard", *arguments)


def added(guard, *photos):
    status, out, err = guard("add", *photos, "--label", "the mayor", "--consent", CONSENT)
    assert (status, err) == (0, "")
    return out.strip()


def test_a_person_is_added_listed_found_and_removed(guard, photos):
    found = added(guard, photos / "a.png")
    status, out, _ = guard("list")
    assert status == 0
    assert out.startswith(f"{found}: the mayor, added ")
    assert CONSENT in out
    status, out, _ = guard("test", photos / "a.png")
    assert (status, out) == (0, f"face 0: 0.000 from {found} (the mayor), a match\n")
    assert guard("remove", found) == (0, "", "")
    assert guard("list") == NOBODY
    assert guard("test", photos / "a.png")[1] == "face 0: the gallery is empty\n"


def test_who_is_far_from_everybody_is_no_match(guard, photos, monkeypatch):
    monkeypatch.setenv("FACEMIX_GUARD_DISTANCE", "0.1")
    added(guard, photos / "a.png")
    monkeypatch.setattr(MeanColour, "embed", lambda self, crops: np.ones((len(crops), 3), np.float32))
    assert guard("test", photos / "a.png")[1].endswith(", no match\n")


def test_both_actions_are_in_the_audit_log(guard, photos):
    found = added(guard, photos / "a.png", photos / "b.jpg")
    guard("remove", found)
    with open_database(load_settings()) as database:
        rows = [(row.actor, row.action, row.subject) for row in AuditLog(database).list(limit=10)]
    assert sorted(rows) == [("command line", "guard.enroll", found), ("command line", "guard.remove", found)]


@pytest.mark.parametrize(("photo", "status", "said"), [("crowd.png", 2, "2 faces"), ("cat.jpg", 4, "face")])
def test_a_photograph_without_one_face_adds_nobody(guard, photos, photo, status, said):
    found, _, err = guard("add", photos / photo, "--label", "the mayor", "--consent", CONSENT)
    assert found == status
    assert said in err
    assert photo in err
    assert guard("list") == NOBODY


def test_without_words_about_consent_nobody_is_added(guard, photos):
    status, _, err = guard("add", photos / "a.png", "--label", "the mayor", "--consent", "yes")
    assert status == 2
    assert "who agreed" in err
    assert guard("list") == NOBODY


def test_an_id_that_begins_with_a_hyphen_goes_behind_two_of_them(guard, photos, monkeypatch):
    old = "-Ab3dE6gH9jK2mN5"
    monkeypatch.setattr("facemix.safety.gallery.new_id", lambda: old)
    assert added(guard, photos / "a.png") == old
    status, _, err = guard("remove", old)
    assert status == 2
    assert "write -- before" in err
    assert guard("remove", "--", old) == (0, "", "")
    assert guard("list") == NOBODY


def test_removing_nobody_says_so(guard):
    status, _, err = guard("remove", "0123456789abcdef")
    assert status == 2
    assert "nobody" in err


def test_without_the_extra_the_way_to_it_is_said(guard, photos, monkeypatch):
    monkeypatch.setattr("facemix.faces.embedder.load_embedder", lambda: None)
    status, _, err = guard("add", photos / "a.png", "--label", "the mayor", "--consent", CONSENT)
    assert status == 6
    assert "facemix[identity]" in err


def test_the_checks_of_results_are_fitted_beside_the_weights(run, tmp_path):
    from tiny import tiny_checkpoint

    folder = tiny_checkpoint(tmp_path / "checkpoint")
    status, out, _ = run("fit-checks", folder, "--draws", "96")
    assert status == 0
    assert (folder / "result_checks.json").is_file()
    assert out.startswith(f"{folder}/result_checks.json: residual ")
