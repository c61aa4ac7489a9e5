import pytest
from web_client import problem, running

from facemix.storage import keys
from facemix.storage.database import Database
from facemix.storage.keys import KeyStore
from facemix.web import scopes
from facemix.web.accounts import Accounts


def test_every_address_of_the_interface_has_a_scope(client):
    paths = [path for path in client.get("/openapi.json").json()["paths"] if path.startswith("/api/v1/")]
    assert len(paths) > 15
    assert [path for path in paths if not scopes.wanted_for(path)] == []


def test_the_words_are_those_that_keys_can_have():
    assert scopes.SCOPES == keys.SCOPES
    assert set().union(*scopes.TABLE.values()) == set(keys.SCOPES)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/", ("mix",)),
        ("/api/v1/mix", ("mix",)),
        ("/api/v1/faces/abc", ("faces",)),
        ("/api/v1/recipes/abc/picture", ("recipes",)),
        ("/r/abc/delete", ("recipes",)),
        ("/api/v1/models", scopes.SCOPES),
        ("/api/v1/mixing", ()),
        ("/api/v1", ()),
        ("/api/v1/", ()),
        ("", ()),
        ("//api/v1/mix", ()),
    ],
)
def test_the_beginning_of_a_path_says_what_is_wanted(path, wanted):
    assert scopes.wanted_for(path) == wanted


def test_a_key_is_refused_what_it_is_not_good_for_before_any_work(tmp_path):
    with Database.open(f"sqlite:///{tmp_path}/facemix.db") as database:
        database.upgrade()
        some = {"Authorization": f"Bearer {KeyStore(database).create('some', scopes=['faces', 'usage'])}"}
        every = {"Authorization": f"Bearer {KeyStore(database).create('every')}"}
        with running(accounts=Accounts(database)) as client:
            wrong = client.post("/api/v1/mix", headers=some, content=b"not read")
            body = problem(wrong, 403, "scope_missing")
            assert (body["details"]["scopes"], body["details"]["wanted"]) == (["faces", "usage"], ["mix"])
            assert "some is good for faces, usage" in body["detail"]
            assert client.get("/api/v1/faces", headers=some).status_code == 200
            assert client.get("/api/v1/model", headers=some).status_code == 200
            problem(client.get("/api/v1/nothing", headers=some), 403, "scope_missing")
            problem(client.get("/api/v1/nothing", headers=every), 404, "not_found")
            assert client.get("/api/v1/samples/1", headers=every).status_code == 200
            assert client.get("/api/v1/samples/1", headers=some).status_code == 403
            assert client.get("/healthz", headers=some).status_code == 200
