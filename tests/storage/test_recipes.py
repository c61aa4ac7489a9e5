import re
from datetime import timedelta

import pytest

from facemix.errors import RecordMissing, RequestInvalid
from facemix.storage import recipes as module
from facemix.storage.recipes import RecipeStore, StoredRecipe

TEXT = '{"parents":["ü","\\u0000"]}'
WEIGHTS = "ab" * 32


@pytest.fixture
def recipes(database):
    return RecipeStore(database)


def test_a_recipe_comes_back_as_it_was_saved(recipes, noon):
    later = noon + timedelta(days=30)
    saved = recipes.save(TEXT, model_weights=WEIGHTS, expires_at=later, now=noon)
    assert re.fullmatch(r"[A-Za-z0-9_-]{16}", saved.id)
    assert recipes.get(saved.id, now=noon) == StoredRecipe(saved.id, TEXT, WEIGHTS, noon, later)


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
    with database.reading() as connection:
        left = {identity for (identity,) in connection.exec_driver_sql("SELECT id FROM recipes")}
    assert left == {long.id, ever.id}


def test_a_recipe_that_is_too_long_is_refused_with_its_length(recipes):
    longest = "ü" * (module.MOST_BYTES // 2)
    recipes.save(longest, model_weights=WEIGHTS, expires_at=None)
    with pytest.raises(RequestInvalid, match="65537 bytes"):
        recipes.save(f"{longest}x", model_weights=WEIGHTS, expires_at=None)
