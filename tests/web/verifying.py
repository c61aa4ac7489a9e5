"""An application that marks, with its database, for the tests of verification."""

import hashlib
from contextlib import contextmanager
from datetime import UTC, datetime

from marked_faces import faces
from web_client import running

from facemix.governance.audit import AuditLog
from facemix.governance.controls import Controls
from facemix.governance.operators import Operators
from facemix.governance.secrets import open_secrets
from facemix.governance.sessions import Sessions
from facemix.safety.marking import Facts, open_marker
from facemix.settings import Settings
from facemix.storage.database import Database
from facemix.storage.keys import KeyStore
from facemix.storage.ledger import Ledger, LedgerRow
from facemix.web.governed import Governed

HASH = hashlib.sha256(b"a recipe").hexdigest()
AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


@contextmanager
def verifying(folder, **settings):
    """The client, and a result of it, whose recipe the ledger has."""
    settings = {"data_dir": folder, **settings}
    with Database.open(f"sqlite:///{folder}/facemix.sqlite3") as database:
        database.upgrade()
        row = LedgerRow(request_id="r", route="POST /api/v1/mix", status=200, recipe_hash=HASH, at=AT)
        Ledger(database).append_many([row])
        governed = _governed(Settings(**settings), database)
        marker = governed.marker
        result = marker.file(marker.pixels(faces(1)[0], [HASH]), "image/png", Facts(HASH, "facemix-128@01"))
        with running(governed=governed, **settings) as client:
            yield client, result


def _governed(settings, database):
    secrets = open_secrets(settings)
    made = Governed(
        settings,
        database,
        secrets=secrets,
        controls=Controls(database),
        audit=AuditLog(database),
        operators=Operators(database),
        sessions=Sessions(database, hours=1),
        keys=KeyStore(database),
    )
    made.marker = open_marker(settings, secrets)
    return made
