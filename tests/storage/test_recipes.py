import re
from datetime import timedelta

import pytest

from facemix.errors import RecordMissing, RequestInvalid, StorageFull, StorageUnavailable
from facemix.storage import recipes as module
from facemix.storage.blobs import BlobStore
from facemix.storage.recipes import RecipeStore, StoredRecipe

TEXT = '{"parents":["ü","\\u0000"]}'
WEIGHTS = "ab" * 32
PICTURE = b"\x89PNG" + bytes(range(256))
CENTURY = timedelta(days=36500)


class Blobs(BlobStore):
    """In memory; `failing` fails the calls of that name, before or after they have done what they should."""

    def __init__(self) -> None:
        super().__init__(BlobStore.open("memory:///")._store)
        self.failing: dict[str, Exception] = {}
        self.too_late = False

    def put(self, group, data):
        name = super().put(group, data) if self.too_late or "put" not in self.failing else None
        if "put" in self.failing:
            raise self.failing["put"]
        return name

    def delete(self, name):
        if "delete" in self.failing:
            raise self.failing["delete"]
        super().delete(name)

    def names(self):
        return [info.name for info in self.list()]


@pytest.fixture
def blobs():
    return Blobs()


@pytest.fixture
def recipes(database, blobs):
    return RecipeStore(database, blobs)


def ids(database):
    with database.reading() as connection:
        return {identity for (identity,) in connection.exec_driver_sql("SELECT id FROM recipes")}


def test_a_recipe_comes_back_as_it_was_saved(recipes, noon):
    later = noon + timedelta(days=30)
    saved = recipes.save(TEXT, model_weights=WEIGHTS, expires_at=later, now=noon)
    assert re.fullmatch(r"[A-Za-z0-9_-]{16}", saved.id)
    assert recipes.get(saved.id, now=noon) == StoredRecipe(saved.id, TEXT, WEIGHTS, noon, later, False)


def test_equal_recipes_get_links_of_their_own(recipes):
    first, second = (recipes.save(TEXT, model_weights=WEIGHTS, expires_at=None) for _ in range(2))
    assert first.id != second.id
    recipes.delete(first.id, first.delete_token)
    assert recipes.get(second.id).expires_at is None


def test_the_delete_token_is_stored_nowhere(recipes, database):
    saved = recipes.save(TEXT, model_weights=WEIGHTS, expires_at=None)
    with database.reading() as connection:
        (row,) = connection.exec_driver_sql("SELECT * FROM recipes").all()
    assert saved.delete_token not in " ".join(str(value) for value in row)


@pytest.mark.parametrize("identity", ["A" * 16, "", "a" * 15, "a" * 17, f"{'a' * 15}\0", f"{'a' * 15}\ud800"])
def test_an_unknown_id_is_missing_whatever_it_looks_like(recipes, identity):
    with pytest.raises(RecordMissing):
        recipes.get(identity)
    with pytest.raises(RecordMissing):
        recipes.delete(identity, "token")


def test_it_is_deleted_only_with_its_own_token(recipes):
    mine, other = (recipes.save(TEXT, model_weights=WEIGHTS, expires_at=None) for _ in range(2))
    for token in ("", "\0", "\ud800", other.delete_token, mine.delete_token[:-1]):
        with pytest.raises(RecordMissing, match="delete token"):
            recipes.delete(mine.id, token)
    recipes.get(mine.id)
    recipes.delete(mine.id, mine.delete_token)
    with pytest.raises(RecordMissing):
        recipes.get(mine.id)
    with pytest.raises(RecordMissing):
        recipes.delete(mine.id, mine.delete_token)


def test_it_is_gone_the_moment_it_expires_and_swept_later(recipes, noon, database):
    second = timedelta(seconds=1)
    short = recipes.save(TEXT, model_weights=WEIGHTS, expires_at=noon, now=noon - second)
    long = recipes.save(TEXT, model_weights=WEIGHTS, expires_at=noon + second, now=noon - second)
    ever = recipes.save(TEXT, model_weights=WEIGHTS, expires_at=None, now=noon - second)
    recipes.get(short.id, now=noon - timedelta(microseconds=1))
    with pytest.raises(RecordMissing):
        recipes.get(short.id, now=noon)
    assert recipes.sweep(now=noon) == 1
    assert recipes.sweep(now=noon) == 0
    assert ids(database) == {long.id, ever.id}


def test_a_recipe_that_is_too_long_is_refused_with_its_length(recipes):
    longest = "ü" * (module.MOST_BYTES // 2)
    recipes.save(longest, model_weights=WEIGHTS, expires_at=None)
    with pytest.raises(RequestInvalid, match="262145 bytes"):
        recipes.save(f"{longest}x", model_weights=WEIGHTS, expires_at=None)


# --- pictures ----------------------------------------------------------------------------------------------


def test_a_picture_comes_back_with_its_recipe_and_goes_with_it(recipes, blobs, noon):
    later = noon + timedelta(days=30)
    saved = recipes.save(TEXT, model_weights=WEIGHTS, expires_at=later, picture=PICTURE, now=noon)
    assert recipes.get(saved.id, now=noon) == StoredRecipe(saved.id, TEXT, WEIGHTS, noon, later, True)
    assert recipes.picture(saved.id, now=noon) == PICTURE
    (name,) = blobs.names()
    assert name.startswith(f"recipes/{saved.id}/")
    with pytest.raises(RecordMissing):
        recipes.picture(saved.id, now=later)
    recipes.delete(saved.id, saved.delete_token)
    assert blobs.names() == []
    with pytest.raises(RecordMissing):
        recipes.picture(saved.id, now=noon)


def test_a_recipe_with_a_picture_may_live_for_ever(recipes, noon):
    saved = recipes.save(TEXT, model_weights=WEIGHTS, expires_at=None, picture=PICTURE, now=noon)
    assert recipes.get(saved.id, now=noon + CENTURY).expires_at is None
    assert recipes.sweep(now=noon + CENTURY) == 0


def test_equal_pictures_of_two_recipes_are_two(recipes):
    first, second = (recipes.save(TEXT, model_weights=WEIGHTS, expires_at=None, picture=PICTURE) for _ in range(2))
    recipes.delete(first.id, first.delete_token)
    assert recipes.picture(second.id) == PICTURE


def test_a_recipe_without_a_picture_says_so(recipes):
    saved = recipes.save(TEXT, model_weights=WEIGHTS, expires_at=None)
    with pytest.raises(RecordMissing, match="no picture"):
        recipes.picture(saved.id)
    for identity in ("A" * 16, "../../../etc", "\0"):
        with pytest.raises(RecordMissing, match="no recipe"):
            recipes.picture(identity)


def test_a_wrong_token_deletes_no_picture(recipes, blobs):
    saved = recipes.save(TEXT, model_weights=WEIGHTS, expires_at=None, picture=PICTURE)
    with pytest.raises(RecordMissing, match="delete token"):
        recipes.delete(saved.id, "guessed")
    assert recipes.picture(saved.id) == PICTURE
    assert len(blobs.names()) == 1


def test_a_picture_that_is_too_large_is_refused_and_nothing_is_saved(recipes, blobs, database):
    with pytest.raises(RequestInvalid, match="picture takes"):
        recipes.save(TEXT, model_weights=WEIGHTS, expires_at=None, picture=bytes(module.MOST_PICTURE_BYTES + 1))
    assert blobs.names() == []
    assert ids(database) == set()


@pytest.mark.parametrize("too_late", [False, True])
@pytest.mark.parametrize("error", [StorageFull("full", hint=""), KeyboardInterrupt()])
def test_what_was_not_saved_whole_is_swept_picture_and_all(recipes, blobs, database, noon, error, too_late):
    """A store that refuses, or a process that dies, with or without the bytes having arrived."""
    blobs.failing["put"], blobs.too_late = error, too_late
    with pytest.raises(type(error)):
        recipes.save(TEXT, model_weights=WEIGHTS, expires_at=None, picture=PICTURE, now=noon)
    assert len(blobs.names()) == too_late
    assert recipes.sweep(now=noon + module.UNFINISHED) == 1
    assert blobs.names() == []
    assert ids(database) == set()


def test_a_save_that_a_sweep_has_overtaken_is_refused(recipes, blobs, noon, monkeypatch):
    def slow(group, data):
        recipes.sweep(now=noon + module.UNFINISHED)

    monkeypatch.setattr(blobs, "put", slow)
    with pytest.raises(StorageUnavailable, match="too long"):
        recipes.save(TEXT, model_weights=WEIGHTS, expires_at=None, picture=PICTURE, now=noon)


def test_a_picture_that_cannot_be_deleted_keeps_its_recipe(recipes, blobs):
    saved = recipes.save(TEXT, model_weights=WEIGHTS, expires_at=None, picture=PICTURE)
    blobs.failing["delete"] = StorageUnavailable("down", hint="")
    with pytest.raises(StorageUnavailable):
        recipes.delete(saved.id, saved.delete_token)
    assert recipes.picture(saved.id) == PICTURE
    blobs.failing.clear()
    recipes.delete(saved.id, saved.delete_token)
    assert blobs.names() == []


def test_a_delete_that_was_cut_short_can_be_repeated(recipes, blobs):
    saved = recipes.save(TEXT, model_weights=WEIGHTS, expires_at=None, picture=PICTURE)
    blobs.delete(blobs.names()[0])  # and then the process died
    with pytest.raises(RecordMissing, match="no picture"):
        recipes.picture(saved.id)
    recipes.delete(saved.id, saved.delete_token)
    with pytest.raises(RecordMissing):
        recipes.get(saved.id)


def test_a_sweep_takes_the_pictures_over_batches(recipes, blobs, database, noon, monkeypatch):
    monkeypatch.setattr(module, "SWEEP_BATCH", 3)
    later = noon + timedelta(seconds=1)
    for number in range(7):
        recipes.save(TEXT, model_weights=WEIGHTS, expires_at=later, picture=bytes([number]), now=noon)
        recipes.save(TEXT, model_weights=WEIGHTS, expires_at=later, now=noon)
    ever = recipes.save(TEXT, model_weights=WEIGHTS, expires_at=None, picture=PICTURE, now=noon)
    assert recipes.sweep(now=noon) == 0
    assert recipes.sweep(now=later) == 14
    assert ids(database) == {ever.id}
    assert [name.split("/")[1] for name in blobs.names()] == [ever.id]


def test_a_picture_that_cannot_be_swept_holds_up_no_other(recipes, blobs, database, noon, monkeypatch):
    monkeypatch.setattr(module, "SWEEP_BATCH", 2)
    saved = [
        recipes.save(TEXT, model_weights=WEIGHTS, expires_at=noon, picture=bytes([number]), now=noon)
        for number in range(5)
    ]
    stuck, delete = f"recipes/{saved[2].id}/", blobs.delete

    def delete_all_but_one(name):
        if name.startswith(stuck):
            raise StorageUnavailable("not this one", hint="")
        delete(name)

    with monkeypatch.context() as patch:
        patch.setattr(blobs, "delete", delete_all_but_one)
        with pytest.raises(StorageUnavailable, match="not this one"):
            recipes.sweep(now=noon)
    assert ids(database) == {saved[2].id}
    assert recipes.sweep(now=noon) == 1
    assert blobs.names() == []
