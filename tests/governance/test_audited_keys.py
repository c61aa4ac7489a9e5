import pytest

from facemix.errors import RecordMissing, RequestInvalid
from facemix.governance.audit import AuditLog
from facemix.governance.keys import AuditedKeys


def test_what_is_done_to_a_key_is_written_down_without_its_secret(database):
    keys = AuditedKeys(database, "anna")
    secrets = [keys.add("a", 60, scopes=["mix"], days=3, budget_day=1.5), keys.renew("a")]
    keys.end("a")
    rows = list(reversed(AuditLog(database).list()))
    assert [(row.actor, row.action, row.subject) for row in rows] == [
        ("anna", "key.add", "a"),
        ("anna", "key.rotate", "a"),
        ("anna", "key.revoke", "a"),
    ]
    assert rows[0].details == {"per_minute": 60, "scopes": ["mix"], "days": 3, "budget_day": 1.5}
    assert not any(secret in str(rows) for secret in secrets)


def test_what_is_refused_is_not_written_down(database):
    keys = AuditedKeys(database, "anna")
    keys.add("a")
    with pytest.raises(RequestInvalid):
        keys.add("a")
    with pytest.raises(RequestInvalid):
        keys.add("b", scopes=["everything"])
    for change in (keys.renew, keys.end):
        with pytest.raises(RecordMissing):
            change("nobody")
    assert [row.action for row in AuditLog(database).list()] == ["key.add"]
