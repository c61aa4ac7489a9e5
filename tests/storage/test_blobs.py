import hashlib
import stat

import pytest
from ports import reserved_port
from small_disk import fill, small_disk

from facemix.errors import ConfigError, RecordMissing, RequestInvalid, StorageFull, StorageUnavailable
from facemix.settings import Settings
from facemix.storage.blobs import BlobStore, S3Options, blob_name, default_url, open_blobs

DATA = bytes(range(256))
ABSENT = "faces/" + "0" * 64


@pytest.fixture(params=["local", "memory"])
def store(request, tmp_path):
    return BlobStore.open((tmp_path / "a b%20" / "blobs").as_uri() if request.param == "local" else "memory:///")


def test_bytes_come_back_under_a_name_that_proves_them(store):
    name = store.put("faces/a_1-B", DATA)
    assert name == f"faces/a_1-B/{hashlib.sha256(DATA).hexdigest()}"
    assert store.get(name) == DATA
    assert store.get(store.put("faces", b"")) == b""


def test_equal_bytes_are_one_blob_in_a_group_and_two_in_two(store):
    names = {store.put("a", DATA), store.put("a", DATA), store.put("b", DATA)}
    assert {info.name for info in store.list()} == names
    assert len(names) == 2


def test_a_group_is_listed_with_those_below_it(store):
    wanted = {store.put("a", b"1"), store.put("a/b", b"22")}
    store.put("ab", b"1")
    listed = list(store.list("a"))
    assert {info.name for info in listed} == wanted
    assert {info.size for info in listed} == {1, 2}
    assert all(info.modified.utcoffset().total_seconds() == 0 for info in listed)
    assert list(store.list("nothing")) == []


def test_what_is_deleted_is_gone_and_may_be_deleted_again(store):
    name, other = store.put("a", b"1"), store.put("a", b"2")
    store.delete(name)
    store.delete(name)
    with pytest.raises(RecordMissing):
        store.get(name)
    assert store.get(other) == b"2"


def test_a_group_without_blobs_leaves_no_folder_and_a_wrong_name_takes_none(tmp_path):
    store = BlobStore.open((tmp_path / "blobs").as_uri())
    first, second = store.put("recipes/a", b"1"), store.put("recipes/a", b"2")
    store.delete(first)
    assert store.get(second) == b"2"
    store.delete(second)
    assert not (tmp_path / "blobs" / "recipes" / "a").exists()
    (tmp_path / "empty").mkdir()
    for name in (f"../empty/{'0' * 64}", "../empty/x", f"recipes/../../empty/{'0' * 64}"):
        store.delete(name)
    assert (tmp_path / "empty").exists()


def test_the_name_is_known_before_the_blob_is_stored(store):
    assert blob_name("a/b", DATA) == store.put("a/b", DATA)
    with pytest.raises(RequestInvalid):
        blob_name("..", DATA)


def test_the_settings_name_the_store(tmp_path):
    name = open_blobs(Settings(data_dir=tmp_path / "data")).put("a", DATA)
    assert (tmp_path / "data" / "blobs" / name).read_bytes() == DATA
    open_blobs(Settings(data_dir=tmp_path / "no", blob_url=(tmp_path / "other").as_uri())).put("a", DATA)
    assert (tmp_path / "other" / name).exists()
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("name", [ABSENT, "", "x", "0" * 64, f"../{'0' * 64}", f"a//{'0' * 64}", f"a\0/{'0' * 64}"])
def test_any_other_name_is_missing(store, name):
    with pytest.raises(RecordMissing):
        store.get(name)
    store.delete(name)


@pytest.mark.parametrize("group", ["", "/", "a/", "..", "a/../b", "a b", "ü", "a\n", "\0", "/".join("abcdefghi")])
def test_a_malformed_group_is_refused(store, group):
    with pytest.raises(RequestInvalid, match="cannot name a group"):
        store.put(group, DATA)
    with pytest.raises(RequestInvalid):
        list(store.list(group))


def test_damage_is_noticed(tmp_path):
    store = BlobStore.open(tmp_path.as_uri())
    name = store.put("a", DATA)
    (tmp_path / name).write_bytes(DATA[:-1] + b"x")
    with pytest.raises(StorageUnavailable, match="damaged"):
        store.get(name)


def test_strange_files_in_the_folder_are_not_listed(tmp_path):
    store = BlobStore.open(tmp_path.as_uri())
    name = store.put("a", DATA)
    (tmp_path / "a" / "README").write_text("x")
    assert [info.name for info in store.list()] == [name]


def test_the_default_is_a_folder_in_the_data_folder_for_its_owner_only(tmp_path):
    store = BlobStore.open(default_url(tmp_path / "d e"))
    name = store.put("a", DATA)
    assert (tmp_path / "d e" / "blobs" / name).read_bytes() == DATA
    assert stat.S_IMODE((tmp_path / "d e" / "blobs").stat().st_mode) == 0o700
    assert default_url(tmp_path.__class__("~/x")).endswith("/x/blobs")
    assert "~" not in default_url(tmp_path.__class__("~/x"))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnavailable, match="cannot be made"):
        BlobStore.open((tmp_path / "file" / "blobs").as_uri())


def test_a_full_disk_is_told_apart_and_recovers(tmp_path):
    with small_disk(tmp_path / "disk", 1) as disk:
        store = BlobStore.open(disk.as_uri())
        store.put("a", b"")  # the folder stands
        filler = fill(disk)
        with pytest.raises(StorageFull):
            store.put("a", DATA)
        filler.unlink()
        assert store.get(store.put("a", DATA)) == DATA
        assert len(list(store.list())) == 2


def test_what_the_store_says_when_it_cannot_write_is_no_missing_blob(tmp_path):
    store = BlobStore.open(tmp_path.as_uri())
    (tmp_path / "a").touch()  # where a folder is needed
    with pytest.raises(StorageUnavailable, match="refused"):
        store.put("a", DATA)


@pytest.mark.parametrize("url", ["", "blobs", "http://host/x", "gs://bucket", "file://host/x", "s3:///x", "s3://"])
def test_another_kind_of_url_is_refused(url):
    with pytest.raises(ConfigError):
        BlobStore.open(url)


def test_an_s3_store_that_does_not_answer_is_refused_without_its_keys(unused_port):
    options = S3Options(
        endpoint=f"http://127.0.0.1:{unused_port}", region="eu", access_key_id="me", secret_access_key="hunter2"
    )
    store = BlobStore.open("s3://bucket/prefix", options)
    for use in (lambda: store.put("a", DATA), lambda: store.get(ABSENT), lambda: list(store.list())):
        with pytest.raises(StorageUnavailable) as refused:
            use()
        assert "hunter2" not in f"{refused.value} {refused.value.__cause__}"


@pytest.fixture
def unused_port():
    """Connections to it are refused at once."""
    with reserved_port() as port:
        yield port
