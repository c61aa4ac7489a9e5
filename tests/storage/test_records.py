"""Records are read back for whoever they belong to, the newest first."""

import pytest

from facemix.storage.ledger import Ledger
from facemix.storage.records import Records


@pytest.fixture
def records(database, row):
    Ledger(database).append_many(
        [
            row(id="1", request_id="chosen", key_name="anna", record='{"n": 1}'),
            row(id="2", request_id="chosen", key_name="anna", record='{"n": 2}'),
            row(id="3", request_id="chosen", key_name="anna"),
            row(id="4", request_id="chosen", key_name="mika", record='{"n": 4}'),
            row(id="5", request_id="open", record='{"n": 5}'),
            row(id="6", request_id="bare"),
        ]
    )
    return Records(database)


@pytest.mark.parametrize(
    ("identity", "owner", "found"),
    [
        ("chosen", "anna", '{"n": 2}'),
        ("chosen", "mika", '{"n": 4}'),
        ("chosen", None, None),
        ("chosen", "somebody", None),
        ("open", None, '{"n": 5}'),
        ("open", "anna", None),
        ("bare", None, None),
        ("unknown", "anna", None),
    ],
)
def test_a_record_belongs_to_its_key(records, identity, owner, found):
    assert records.find(identity, owner) == found
