import asyncio
import threading

import pytest
from anyio import to_thread

from facemix.errors import ConfigError, RecordMissing, StorageFull, StorageUnavailable
from facemix.mixing.recipe import ModelIdentity, Recipe, SampleParent
from facemix.settings import MEBIBYTE, Settings
from facemix.storage.database_shelf import DatabaseShelf
from facemix.storage.memory_shelf import MemoryShelf
from facemix.web.ray_replica import shared
from facemix.web.shelf import AT_ONCE, AsyncShelf
from facemix.web.stores import Stores


def rows(database):
    with database.reading() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM shelf").scalar_one()


def test_by_default_what_expires_is_kept_in_memory_and_nowhere_else(database, tmp_path):
    stores = Stores.open(Settings(data_dir=tmp_path / "data"), database)
    kept = asyncio.run(stores.shelf.put("face", b"latent", owner=None, seconds=60))
    assert asyncio.run(stores.shelf.get("face", kept.id, owner=None)) == kept
    assert rows(database) == 0
    assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == []


def test_in_the_database_where_the_operator_says_so(database, tmp_path):
    settings = Settings(data_dir=tmp_path / "data", keep="database")
    kept = asyncio.run(Stores.open(settings, database).shelf.put("face", b"latent", owner=None, seconds=60))
    # As another process sees it.
    assert asyncio.run(Stores.open(settings, database).shelf.get("face", kept.id, owner=None)) == kept
    assert rows(database) == 1


def test_several_replicas_take_the_database_whatever_the_setting_says():
    assert shared(Settings()).keep == shared(Settings(keep="database")).keep == "database"
    assert shared(Settings(port=9000)).port == 9000


def test_the_memory_is_bounded_as_the_setting_says():
    stores = Stores.in_memory(Settings(keep_bytes=MEBIBYTE))

    async def fill():
        for _ in range(100):
            await stores.shelf.put("face", bytes(100_000), owner=None, seconds=60)
        with pytest.raises(StorageFull):
            await stores.shelf.put("face", bytes(MEBIBYTE), owner=None, seconds=60)

    asyncio.run(fill())
    assert 900_000 < stores.shelf.shelf.held_bytes <= MEBIBYTE


def test_recipes_are_saved_with_their_pictures_in_the_blob_store(database, tmp_path):
    stores = Stores.open(Settings(data_dir=tmp_path / "data"), database)
    saved = stores.recipes.save("{}", model_weights="0" * 64, expires_at=None, picture=b"png")
    (file,) = [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()]
    assert file.read_bytes() == b"png"
    assert asyncio.run(stores.saved.picture(saved.id)) == b"png"
    stores.recipes.delete(saved.id, saved.delete_token)
    assert not file.exists()


def test_without_a_database_no_recipe_can_be_saved():
    stores = Stores.in_memory(Settings())
    assert stores.recipes is None
    with pytest.raises(StorageUnavailable):
        asyncio.run(stores.saved.get("a" * 16))


def test_a_blob_store_that_cannot_be_is_refused_at_the_start(database, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnavailable):
        Stores.open(Settings(data_dir=tmp_path / "file"), database)
    with pytest.raises(ConfigError):
        Stores.open(Settings(blob_url="ftp://host"), database)


# --- the shelf as coroutines -------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "database"])
def shelf(request):
    if request.param == "memory":
        return AsyncShelf(MemoryShelf(MEBIBYTE))
    return AsyncShelf(DatabaseShelf(request.getfixturevalue("database"), MEBIBYTE))


def test_every_method_does_what_it_does_otherwise(shelf):
    async def go():
        kept = await shelf.put("job", b"1", owner="alice", seconds=60, note="queued")
        assert await shelf.put_new("job", kept.id, b"", owner=None, seconds=60) is None
        other = await shelf.put_new("job", "mine", b"2", owner="alice", seconds=60, note="x")
        assert await shelf.update("job", kept.id, owner="alice", data=b"3", note="done", was="queued")
        assert not await shelf.update("job", kept.id, owner="alice", note="late", was="queued")
        found = await shelf.get("job", kept.id, owner="alice")
        assert (found.data, found.note) == (b"3", "done")
        page, after = await shelf.list("job", owner="alice", limit=1)
        assert page == [other]
        assert await shelf.list("job", owner="alice", limit=1, after=after) == ([found], None)
        with pytest.raises(RecordMissing):
            await shelf.delete("job", "mine", owner="alice", was="y")
        await shelf.delete("job", "mine", owner="alice", was="x")
        with pytest.raises(RecordMissing):
            await shelf.get("job", "mine", owner="alice")
        assert await shelf.sweep() == 0

    asyncio.run(go())


class Slow:
    """A shelf whose calls wait until they are told to go on."""

    waits = True

    def __init__(self) -> None:
        self.inside, self.most, self.lock, self.go_on = 0, 0, threading.Lock(), threading.Event()

    def sweep(self):
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.go_on.wait(60)
        with self.lock:
            self.inside -= 1
        return threading.current_thread() is not threading.main_thread()


def test_a_database_that_hangs_holds_neither_the_event_loop_nor_the_threads_of_others():
    slow = Slow()

    async def go():
        shelf = AsyncShelf(slow)
        calls = [asyncio.ensure_future(shelf.sweep()) for _ in range(50)]
        while slow.inside < AT_ONCE:
            await asyncio.sleep(0.001)
        assert await to_thread.run_sync(lambda: "at once") == "at once"
        slow.go_on.set()
        assert all(await asyncio.gather(*calls))

    asyncio.run(asyncio.wait_for(go(), 60))
    assert slow.most == AT_ONCE


def test_those_who_leave_a_database_that_hangs_take_no_further_thread():
    slow = Slow()

    async def go():
        shelf = AsyncShelf(slow)
        for _ in range(20):
            call = asyncio.ensure_future(shelf.sweep())
            await asyncio.sleep(0.005)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        while slow.inside < AT_ONCE:
            await asyncio.sleep(0.001)
        slow.go_on.set()

    asyncio.run(asyncio.wait_for(go(), 60))
    assert slow.most == AT_ONCE


@pytest.mark.parametrize("method", ["put", "put_new"])
def test_what_was_put_for_somebody_who_has_left_is_taken_away(database, monkeypatch, method):
    begun, go_on = threading.Event(), threading.Event()
    behind = DatabaseShelf(database, MEBIBYTE)
    really = behind.put_new

    def put_new(*args, **options):
        begun.set()
        assert go_on.wait(60)
        return really(*args, **options)

    monkeypatch.setattr(behind, "put_new", put_new)

    async def go():
        shelf = AsyncShelf(behind)
        named = ("mine",) if method == "put_new" else ()
        call = asyncio.ensure_future(getattr(shelf, method)("face", *named, b"latent", owner=None, seconds=60))
        await to_thread.run_sync(begun.wait)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        go_on.set()
        seen = 0
        while seen < 3:  # there is nothing, and there stays nothing
            await asyncio.sleep(0.02)
            seen = 0 if rows(database) or shelf._threads._calls else seen + 1

    asyncio.run(asyncio.wait_for(go(), 60))


@pytest.mark.parametrize("leaving", [True, False])
def test_a_recipe_that_was_saved_for_somebody_who_has_left_is_deleted(database, tmp_path, monkeypatch, leaving):
    stores = Stores.open(Settings(data_dir=tmp_path / "data"), database)
    begun, go_on = threading.Event(), threading.Event()
    save = stores.recipes.save

    def slowly(*args, **options):
        begun.set()
        assert go_on.wait(60)
        return save(*args, **options)

    monkeypatch.setattr(stores.recipes, "save", slowly)
    recipe = Recipe(model=ModelIdentity(name="tiny", weights="ab" * 32), parents=(SampleParent(number=1, weight=1.0),))

    def left():
        with database.reading() as connection:
            count = connection.exec_driver_sql("SELECT count(*) FROM recipes").scalar_one()
        return count, len([path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()])

    async def go():
        call = asyncio.ensure_future(stores.saved.save(recipe, b"png", seconds=None))
        await to_thread.run_sync(begun.wait)
        if leaving:
            call.cancel()
        go_on.set()
        await asyncio.gather(call, return_exceptions=leaving)
        while stores.saved._threads._calls:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(go(), 60))
    assert left() == ((0, 0) if leaving else (1, 1))
