import numpy as np
import pytest

from facemix.errors import ModelMismatch, RecipeInvalid
from facemix.mixing.recipe import LatentParent, ModelIdentity, PhotoParent, PlacedPoints, Recipe, SampleParent
from facemix.serving.replay import check_model, check_recipe, parents_of
from facemix.serving.types import LatentInput, PhotoInput, SampleInput

MODEL = ModelIdentity(name="tiny", weights="ab" * 32)
PLACED = PlacedPoints(left_eye=(1, 2), right_eye=(3, 2), mouth=(2, 4))


def recipe(*parents) -> Recipe:
    return Recipe(model=MODEL, parents=parents)


def test_parents_come_back_in_their_order_with_their_weights():
    z = np.arange(4, dtype=np.float32)
    latent = LatentParent.from_latent(z, weight=0.25)
    found = parents_of(
        recipe(
            PhotoParent(sha256="cd" * 32, face=2, weight=0.25),
            SampleParent(number=7, weight=0.25),
            latent,
            PhotoParent(sha256="ef" * 32, placed=PLACED, weight=0.25),
        ),
        {"ef" * 32: b"placed", "cd" * 32: b"found", "00" * 32: b"another"},
        latent_size=4,
        where="recipe",
    )
    assert found[0] == PhotoInput(b"found", "recipe.parents.0", 2, 0.25)
    assert found[1] == SampleInput(7, "recipe.parents.1", 0.25)
    assert isinstance(found[2], LatentInput)
    np.testing.assert_array_equal(found[2].z, z)
    assert found[2].parent == latent
    assert found[3] == PhotoInput(b"placed", "recipe.parents.3", None, 0.25, PLACED)


def test_a_photo_that_is_missing_and_a_damaged_latent_are_named():
    sample = SampleParent(number=1, weight=0.5)
    with pytest.raises(RecipeInvalid, match="cdcd") as refusal:
        parents_of(recipe(sample, PhotoParent(sha256="cd" * 32, weight=0.5)), {}, latent_size=4, where="r.json")
    assert refusal.value.where == "r.json.parents.1"
    short = LatentParent.from_latent(np.zeros(3, np.float32), weight=0.5)
    with pytest.raises(RecipeInvalid, match="12 bytes") as refusal:
        parents_of(recipe(short, sample), {}, latent_size=4, where="r.json")
    assert refusal.value.where == "r.json.parents.0"


def test_another_model_is_refused_with_both_names():
    check_model(MODEL, ModelIdentity(name="renamed", weights="ab" * 32), where=None)
    with pytest.raises(ModelMismatch, match=r"tiny@abab.*other@cdcd") as refusal:
        check_model(MODEL, ModelIdentity(name="other", weights="cd" * 32), where="r.json")
    assert refusal.value.where == "r.json"


def test_a_recipe_of_another_model_is_made_anew_only_if_that_is_asked_for_and_all_its_photographs_are_there():
    live = ModelIdentity(name="tiny", weights="cd" * 32)
    photos = recipe(PhotoParent(sha256="cd" * 32, weight=0.5), PhotoParent(sha256="ef" * 32, weight=0.5))
    check_recipe(photos, MODEL, where="recipe")
    with pytest.raises(ModelMismatch, match="live"):
        check_recipe(photos, live, where="recipe")
    check_recipe(photos, live, where="recipe", reencode=True)
    for other in (
        SampleParent(number=1, weight=0.5),
        LatentParent.from_latent(np.zeros(4, np.float32), weight=0.5),
    ):
        mixed = recipe(PhotoParent(sha256="cd" * 32, weight=0.5), other)
        with pytest.raises(ModelMismatch, match=f"parent 1 is a {other.kind}") as refused:
            check_recipe(mixed, live, where="recipe", reencode=True)
        assert refused.value.where == "recipe"
        check_recipe(mixed, MODEL, where="recipe", reencode=True)
