import numpy as np
import pytest
from sqlalchemy import select, update

from facemix.errors import RecordMissing, RequestInvalid
from facemix.governance.audit import AuditLog
from facemix.governance.secrets import Secrets
from facemix.safety.gallery import MOST_LABEL, MOST_POINTS, Gallery
from facemix.storage.governance_tables import audit, protected

CONSENT = "asked by letter of 3 May, signed"


def points(count=2, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 128)).astype(np.float32)


def test_whoever_is_enrolled_is_listed_and_can_be_compared_with(gallery):
    given = points(3)
    found = gallery.enroll(given, " the  mayor ", CONSENT, "ada", embedder="net@1")
    (person,) = gallery.list()
    assert (person.id, person.label, person.consent, person.embedder) == (found, "the mayor", CONSENT, "net@1")
    assert len(found) == 16
    assert gallery.ids() == {found}
    assert (gallery.points(gallery.ids(), "net@1")[found] == given).all()


def test_the_database_holds_no_point_that_can_be_read(gallery, database):
    given = points(1)
    found = gallery.enroll(given, "the mayor", CONSENT, "ada", embedder="net@1")
    with database.reading() as connection:
        sealed = connection.execute(select(protected.c.points)).scalar_one()
    assert given.astype("<f4").tobytes()[:16] not in sealed
    other = Gallery(database, Secrets(b"t" * 32))
    assert other.points(other.ids(), "net@1") == {}
    assert found in gallery.points(gallery.ids(), "net@1")


def test_points_that_were_put_into_another_row_are_not_believed(gallery, database):
    first = gallery.enroll(points(seed=1), "first", CONSENT, "ada", embedder="net@1")
    second = gallery.enroll(points(seed=2), "second", CONSENT, "ada", embedder="net@1")
    with database.writing() as connection:
        stolen = connection.execute(select(protected.c.points).where(protected.c.id == first)).scalar_one()
        connection.execute(update(protected).where(protected.c.id == second).values(points=stolen))
    assert set(gallery.points(gallery.ids(), "net@1")) == {first}


def test_points_of_another_embedder_are_not_compared_with(gallery):
    gallery.enroll(points(), "the mayor", CONSENT, "ada", embedder="net@1")
    assert gallery.points(gallery.ids(), "net@2") == {}


def test_removal_leaves_nothing_but_that_it_happened(gallery, database):
    found = gallery.enroll(points(), "the mayor", CONSENT, "ada", embedder="net@1")
    gallery.remove(found, "bob")
    assert gallery.list() == []
    assert gallery.ids() == frozenset()
    with database.reading() as connection:
        rows = connection.execute(select(audit.c.actor, audit.c.action, audit.c.subject).order_by(audit.c.number)).all()
        everything = str(connection.execute(select(audit)).all())
    assert rows == [("ada", "guard.enroll", found), ("bob", "guard.remove", found)]
    assert "mayor" not in everything
    assert "letter" not in everything
    assert AuditLog(database).verify().broken is None


def test_nobody_is_removed_twice_and_no_row_says_so(gallery, database):
    with pytest.raises(RecordMissing, match="nobody"):
        gallery.remove("0123456789abcdef", "bob")
    assert AuditLog(database).verify().rows == 0


@pytest.mark.parametrize(
    ("label", "consent", "given", "where"),
    [
        (" ", CONSENT, points(), "label"),
        ("x" * (MOST_LABEL + 1), CONSENT, points(), "label"),
        ("mayor", "yes", points(), "consent"),
        ("mayor", "", points(), "consent"),
        ("mayor", CONSENT, points(0), "photos"),
        ("mayor", CONSENT, points(MOST_POINTS + 1), "photos"),
        ("mayor", CONSENT, np.full((1, 128), np.nan, np.float32), "photos"),
    ],
)
def test_what_is_no_entry_is_refused(gallery, label, consent, given, where):
    with pytest.raises(RequestInvalid) as refused:
        gallery.enroll(given, label, consent, "ada", embedder="net@1")
    assert refused.value.where == where
    assert gallery.list() == []
