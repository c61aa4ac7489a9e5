import hashlib
import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from facemix.errors import RecipeInvalid
from facemix.mixing.latents import unpack_latent
from facemix.mixing.recipe import Edits, ModelIdentity, PhotoParent, Recipe, SampleParent, normalise_weights

PLACED = {"left_eye": [40, 50], "right_eye": [80.5, 50], "mouth": [60, 90]}
MODEL = ModelIdentity(name="tiny", weights="0123456789abcdef" * 4)

weights = st.lists(st.floats(0, 1.7e308), min_size=2, max_size=8).filter(lambda values: any(values))


def recipe_of(shares, **changes):
    parents = [PhotoParent(sha256=f"{index:064x}", weight=share) for index, share in enumerate(shares)]
    return Recipe(**({"model": MODEL, "parents": parents} | changes))


@st.composite
def recipes(draw):
    shares = normalise_weights(draw(weights))
    parents = [
        PhotoParent(sha256=f"{draw(st.integers(0, 2**256 - 1)):064x}", face=draw(st.integers(0, 20)), weight=share)
        if draw(st.booleans())
        else SampleParent(number=draw(st.integers(0, 2**31 - 1)), weight=share)
        for share in shares
    ]
    return Recipe(
        model=MODEL,
        parents=parents,
        interpolation=draw(st.sampled_from(["lerp", "slerp"])),
        vividness=draw(st.floats(0, 0.5)),
        seed=draw(st.integers(0, 2**31 - 1)),
    )


@given(recipe=recipes())
def test_a_recipe_survives_its_own_json(recipe):
    text = recipe.to_json()
    again = Recipe.from_json(text)
    assert again == recipe
    assert (again.to_json(), again.hash) == (text, recipe.hash)
    assert recipe.hash == hashlib.sha256(text.encode()).hexdigest()


def test_the_canonical_json_is_written_in_one_way():
    recipe = recipe_of(
        [0.25, 0.75],
        seed=3,
        attributes={"smile": 0.5, "age": -1, "light": 0},
        regions={"hair": [1, 0], "eyes": [-0.0, 1]},
        colour=[1, 0],
        variation={"number": 4, "radius": 0.5},
        detail=1,
        keep={"glasses": "mixed", "hair": 0},
        placement={"onto": "photo"},
    )
    pretty = json.dumps(dict(reversed(json.loads(recipe.to_json()).items())), indent=2)
    assert Recipe.from_json(pretty).to_json() == recipe.to_json()
    assert recipe.to_json() == (
        '{"attributes":{"age":-1.0,"smile":0.5},"colour":[1.0,0.0],"detail":1.0,"interpolation":"lerp",'
        '"keep":{"glasses":"mixed","hair":0},"model":{"latent_schema":1,"name":"tiny","weights":"'
        + MODEL.weights
        + '"},"parents":['
        '{"face":0,"kind":"photo","placed":null,"sha256":"' + "0" * 64 + '","weight":0.25},'
        '{"face":0,"kind":"photo","placed":null,"sha256":"' + "0" * 63 + '1","weight":0.75}],'
        '"placement":{"onto":"photo","parent":0},"regions":{"eyes":[0.0,1.0],"hair":[1.0,0.0]},"seed":3,"size":null,'
        '"variation":{"number":4,"radius":0.5},"version":1,"vividness":0.0}'
    )


@pytest.mark.parametrize(
    "absent",
    [
        "vividness",
        "attributes",
        "regions",
        "colour",
        "variation",
        "detail",
        "keep",
        "size",
        "placement",
    ],
)
def test_a_recipe_from_before_a_field_is_one_without_it(absent):
    document = json.loads(recipe_of([0.25, 0.75], seed=3).to_json())
    del document[absent]
    assert Recipe.from_json(json.dumps(document)) == recipe_of([0.25, 0.75], seed=3)


def test_an_attribute_that_is_not_moved_is_not_written_down():
    assert recipe_of([1.0], attributes={"smile": 0.0, "age": -0.0}) == recipe_of([1.0])


def test_the_edits_of_a_recipe_are_all_but_its_parents_and_model():
    edits = Edits(interpolation="slerp", attributes={"age": 1}, colour=[0, 1], regions={"eyes": [1, 0]}, seed=2)
    recipe = recipe_of([0.5, 0.5], **dict(edits))
    assert recipe.edits == edits
    assert (edits.pictures, Edits().pictures) == (3, 1)


def test_what_is_decoded_is_known_beforehand():
    plain, edited = Edits(size=512), Edits(attributes={"age": 1}, regions={"eyes": (1, 0)})
    assert [edits.decoded(2, 5) for edits in (plain, edited)] == [5, 10]
    detailed = edited.model_copy(update={"detail": 0.5})
    assert (detailed.pictures, detailed.decoded(2, 5)) == (3, 17)  # each without its edits, and the parents' own
    assert (detailed.as_decoded(), detailed.as_decoded().decoded(2)) == (edited, 2)


def test_a_portable_recipe_has_latents_in_the_place_of_photographs():
    z = np.arange(16, dtype=np.float32).reshape(2, 8) / 3
    parents = [PhotoParent(sha256="0" * 64, weight=0.25), SampleParent(number=7, weight=0.75)]
    recipe = recipe_of([], parents=parents, attributes={"age": 1})
    portable = recipe.portable(z)
    assert [parent.kind for parent in portable.parents] == ["latent", "sample"]
    np.testing.assert_array_equal(unpack_latent(portable.parents[0].z, 8), z[0])
    assert (portable.weights, portable.edits) == (recipe.weights, recipe.edits)
    assert Recipe.from_json(portable.to_json()) == portable
    assert "0" * 64 not in portable.to_json()


def test_edits_that_are_not_valid_say_where():
    with pytest.raises(RecipeInvalid, match="vividness") as refused:
        Edits.of(vividness=0.7)
    assert refused.value.where == "vividness"


@pytest.mark.parametrize(
    ("wanted", "where", "said"),
    [
        ({"keep": {"hair": -1}}, "keep.hair", "is -1: it is the number of a parent, from 0 to 31, or mixed"),
        ({"keep": {"hair": True}}, "keep.hair", "the number of a parent"),
        ({"keep": {"hair": "both"}}, "keep.hair", "the number of a parent"),
        ({"keep": {"hair": None}}, "keep.hair", "the number of a parent"),
        ({"keep": {"nose": 0}}, "keep.nose", "'hair', 'glasses' or 'background'"),
        ({"regions": {"chin": [1]}}, "regions.chin", "'eyes'"),
        ({"placement": {"onto": "plain", "colour": "red"}}, "placement.colour", "write it as #rrggbb"),
        ({"placement": {"onto": "plain", "colour": "#E8E4DA"}}, "placement.colour", "small letters"),
        ({"placement": {"onto": "plain", "parent": 0}}, "placement.parent", "is not known"),
        ({"placement": {"onto": "photo", "parent": 32}}, "placement.parent", "less than 32"),
        ({"placement": {"onto": "photo", "photo": 1}}, "placement.photo", "is not known"),
        ({"placement": {"onto": "sky"}}, "placement", "photo, blurred, plain"),
        ({"placement": {}}, "placement", "photo, blurred, plain"),
        ({"detail": 1.01}, "detail", "is 1.01; it has to be at most 1"),
        ({"detail": True}, "detail", "is true; it has to be a number"),
        ({"size": 95}, "size", "is 95; it has to be at least 96"),
        ({"size": 1025}, "size", "is 1025; it has to be at most 1024"),
        ({"size": True}, "size", "is true; it has to be a whole number"),
    ],
)
def test_what_is_wrong_with_what_is_carried_is_said_by_its_place_in_plain_words(wanted, where, said):
    with pytest.raises(RecipeInvalid) as refused:
        Edits.of(**wanted)
    assert refused.value.where == where
    assert re.match(rf"{re.escape(where)}(: | is )", refused.value.message)
    assert refused.value.message.count(where) == 1
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("wanted", "where"),
    [
        ({"keep": {"glasses": 2}}, "keep.glasses"),
        ({"placement": {"onto": "photo", "parent": 2}}, "placement.parent"),
        ({"placement": {"onto": "blurred", "parent": 9}}, "placement.parent"),
    ],
)
def test_what_names_a_parent_names_one_that_there_is(wanted, where):
    edits = Edits.of(**wanted)
    with pytest.raises(RecipeInvalid, match="and there are 2") as refused:
        edits.check_parents(2)
    assert refused.value.where == where
    edits.check_parents(10)
    with pytest.raises(ValidationError, match=f"{where}: it names parent"):
        recipe_of([0.5, 0.5], **wanted)


def test_what_is_kept_is_written_in_one_order():
    assert list(Edits(keep={"background": "mixed", "hair": 1}).keep) == ["hair", "background"]


def test_equal_recipes_have_equal_hashes():
    assert recipe_of([0, 1]) == recipe_of([0.0, 1.0]) == recipe_of([-0.0, 1.0])
    assert recipe_of([0, 1]).hash == recipe_of([0.0, 1.0]).hash == recipe_of([-0.0, 1.0]).hash
    assert len({recipe_of([0, 1], vividness=none).hash for none in (0, 0.0, -0.0)}) == 1


def test_whatever_changes_the_face_changes_the_hash():
    other = MODEL.model_copy(update={"weights": "f" * 64})
    variants = [
        recipe_of([0.5, 0.5]),
        recipe_of([0.4, 0.6]),
        recipe_of([0.5, 0.5], seed=1),
        recipe_of([0.5, 0.5], interpolation="slerp"),
        recipe_of([0.5, 0.5], vividness=0.25),
        recipe_of([0.5, 0.5], attributes={"age": 1}),
        recipe_of([0.5, 0.5], attributes={"age": -1}),
        recipe_of([0.5, 0.5], regions={"eyes": [1, 0]}),
        recipe_of([0.5, 0.5], regions={"nose": [1, 0]}),
        recipe_of([0.5, 0.5], colour=[1, 0]),
        recipe_of([0.5, 0.5], variation={"number": 1, "radius": 0.5}),
        recipe_of([0.5, 0.5], variation={"number": 1, "radius": 0.6}),
        recipe_of([0.5, 0.5], detail=0.5),
        recipe_of([0.5, 0.5], detail=1),
        recipe_of([0.5, 0.5], keep={"hair": 0}),
        recipe_of([0.5, 0.5], keep={"hair": "mixed"}),
        recipe_of([0.5, 0.5], keep={"glasses": 0}),
        recipe_of([0.5, 0.5], size=512),
        recipe_of([0.5, 0.5], placement={"onto": "photo"}),
        recipe_of([0.5, 0.5], placement={"onto": "photo", "parent": 1}),
        recipe_of([0.5, 0.5], placement={"onto": "blurred"}),
        recipe_of([0.5, 0.5], placement={"onto": "plain"}),
        recipe_of([0.5, 0.5], model=other),
        recipe_of([0.5, 0.5, 0.0]),
        recipe_of([], parents=[SampleParent(number=n, weight=0.5) for n in (0, 1)]),
        recipe_of([], parents=[PhotoParent(sha256=f"{n:064x}", face=n, weight=0.5) for n in (0, 1)]),
    ]
    assert len({recipe.hash for recipe in variants}) == len(variants)


def test_weights_are_those_of_the_parents():
    assert recipe_of([0.2, 0.3, 0.5]).weights == (0.2, 0.3, 0.5)


def test_a_recipe_does_not_change():
    with pytest.raises(ValidationError):
        recipe_of([0.5, 0.5]).seed = 4


@pytest.mark.parametrize("shares", [(0.5, 0.4), (0.7, 0.7), (1.5, -0.5), (math.nan, 1.0), (0.9,), (1 / 33,) * 33])
def test_weights_that_make_no_mix_are_refused(shares):
    with pytest.raises(ValidationError):
        recipe_of(shares)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("colour",), "blue", "colour"),
        (("colour",), [0.5, 0.4], "sum to 0.9"),
        (("colour",), [1.0], "colour: 1 weights were given for 2 parents"),
        (("regions",), {"chin": [0.5, 0.5]}, "regions.chin"),
        (("regions",), {"eyes": [0.2, 0.3, 0.5]}, "regions.eyes: 3 weights were given for 2 parents"),
        (("regions",), {"eyes": [0.5, 0.6]}, "sum to 1.1"),
        (("regions",), {"eyes": [-0.5, 1.5]}, "regions.eyes"),
        (("attributes",), {"Smile": 1}, "attributes.Smile"),
        (("attributes",), {"smile": 3.1}, "attributes.smile"),
        (("attributes",), {"smile": math.nan}, "attributes.smile"),
        (("variation",), {"number": 1, "radius": 0}, "variation.radius"),
        (("variation",), {"number": 1, "radius": 1.1}, "variation.radius"),
        (("variation",), {"number": -1, "radius": 0.5}, "variation.number"),
        (("beauty",), 1, "beauty"),
        (("version",), 2, "version"),
        (("interpolation",), "cubic", "interpolation"),
        (("vividness",), -0.01, "vividness"),
        (("vividness",), 0.51, "vividness"),
        (("vividness",), math.nan, "vividness"),
        (("vividness",), "0.25", "vividness"),
        (("vividness",), False, "vividness"),
        (("detail",), -0.01, "detail"),
        (("detail",), math.nan, "detail"),
        (("detail",), "1", "detail"),
        (("keep",), {"hair": "0"}, "keep.hair"),
        (("keep",), {"hair": 2}, "keep.hair: it names parent 2 (c), and there are 2"),
        (("keep",), [0], "keep"),
        (("size",), 512.5, "size"),
        (("size",), "512", "size"),
        (("placement",), {"onto": "plain", "colour": 0}, "placement.colour"),
        (("placement",), {"onto": "photo", "parent": "0"}, "placement.parent"),
        (("placement",), {"onto": "photo", "parent": 2}, "placement.parent: it names parent 2 (c)"),
        (("placement",), "photo", "placement"),
        (("seed",), -1, "seed"),
        (("seed",), 2**31, "seed"),
        (("model", "weights"), "abc", "model.weights"),
        (("model", "licence"), "mine", "model.licence"),
        (("parents",), [], "parents"),
        (("parents", 0, "kind"), "drawing", "parents.0"),
        (("parents", 0, "sha256"), "A" * 64, "parents.0.sha256"),
        (("parents", 0, "face"), -1, "parents.0.face"),
        (("parents", 0, "number"), 1, "parents.0.number"),
        (("parents", 0, "weight"), "heavy", "parents.0.weight"),
        (("parents", 0, "weight"), 0.1, "the weights sum to 0.6, not to 1"),
        (("parents", 0, "weight"), 0.4999999, "the weights sum to 0.9999999, not to 1"),
        (("parents", 0, "weight"), "0.5", "parents.0.weight"),
        (("parents", 0, "weight"), True, "parents.0.weight"),
        (("parents", 0, "face"), "0", "parents.0.face"),
        (("parents", 0, "placed"), {**PLACED, "mouth": ["60", 90]}, "parents.0.placed.mouth.0"),
        (("parents", 0), {"kind": "sample", "number": "5", "weight": 0.5}, "parents.0.number"),
        (("parents", 0), {"kind": "sample", "sample": 5, "number": 5, "weight": 0.5}, "parents.0.sample"),
        (("parents", 0), {"kind": "latent", "z": "AAAA", "origin": 5, "weight": 0.5}, "parents.0.origin"),
        (("seed",), "5", "seed"),
        (("seed",), True, "seed"),
        (("seed",), 5.0, "seed"),
        (("variation",), {"number": "1", "radius": 0.5}, "variation.number"),
        (("variation",), {"number": 1, "radius": True}, "variation.radius"),
        (("model", "latent_schema"), "1", "model.latent_schema"),
        (("regions",), {"eyes": ["0.5", 0.5]}, "regions.eyes.0"),
    ],
)
def test_a_recipe_that_is_not_valid_is_refused_by_place(path, value, said):
    document = json.loads(recipe_of([0.5, 0.5]).to_json())
    *places, last = path
    inner = document
    for place in places:
        inner = inner[place]
    inner[last] = value
    with pytest.raises(RecipeInvalid) as refused:
        Recipe.from_json(json.dumps(document))
    assert said in refused.value.message
    assert refused.value.message.startswith(refused.value.where.removeprefix("recipe.").replace("recipe", "the recipe"))
    assert "docs/recipe.md" in refused.value.hint


def test_where_says_the_place_in_the_recipe():
    document = json.loads(recipe_of([0.5, 0.5]).to_json())
    document["parents"][1]["weight"] = "0.5"
    with pytest.raises(RecipeInvalid) as refused:
        Recipe.from_json(json.dumps(document))
    assert refused.value.where == "recipe.parents.1.weight"


def test_a_face_that_was_placed_by_hand_is_number_0():
    document = json.loads(recipe_of([0.5, 0.5]).to_json())
    document["parents"][0]["placed"] = PLACED
    assert Recipe.from_json(json.dumps(document)).parents[0].placed.mouth == (60, 90)
    document["parents"][0]["face"] = 3
    with pytest.raises(RecipeInvalid, match=r"parents\.0: a face that was placed by hand is the only one"):
        Recipe.from_json(json.dumps(document))


@given(values=weights)
def test_weights_that_make_a_recipe_are_mixed_as_they_are(values):
    shares = recipe_of(normalise_weights(values)).weights
    nearly = (shares[0] * (1 - 9e-10), *shares[1:])
    assert normalise_weights(recipe_of(nearly).weights) == nearly


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000])
def test_what_is_no_recipe_at_all_is_refused(text):
    with pytest.raises(RecipeInvalid, match="the recipe: "):
        Recipe.from_json(text)


def test_latents_are_told_apart_by_weights_and_schema_and_not_by_name():
    assert MODEL.same_latents_as(MODEL.model_copy(update={"name": "renamed"}))
    assert not MODEL.same_latents_as(MODEL.model_copy(update={"weights": "f" * 64}))
    assert not MODEL.same_latents_as(MODEL.model_copy(update={"latent_schema": 2}))
    assert str(MODEL) == "tiny@0123456789ab"


@given(values=weights)
def test_normalised_weights_make_a_recipe_and_keep_their_proportions(values):
    shares = normalise_weights(values)
    assert math.fsum(shares) == pytest.approx(1.0, abs=1e-9)
    assert recipe_of(shares).weights == shares
    largest = values.index(max(values))
    for value, share in zip(values, shares, strict=True):
        # Both sides are ratios to the largest: those to the sum would overflow here.
        assert share / shares[largest] == pytest.approx(value / values[largest], rel=1e-9, abs=1e-300)


@given(values=weights)
def test_normalising_twice_changes_nothing_more(values):
    shares = normalise_weights(values)
    assert normalise_weights(shares) == shares


@given(share=st.floats(0, 1))
def test_the_positions_of_a_slider_are_kept_bit_for_bit(share):
    assert normalise_weights([1 - share, share]) == (1 - share, share)


def test_the_ends_of_a_slider_are_exact():
    assert normalise_weights([7, 0]) == (1.0, 0.0)
    assert normalise_weights([0, 1e-300]) == (0.0, 1.0)
    assert math.copysign(1, normalise_weights([-0.0, 1.0])[0]) == 1


def test_weights_just_above_one_are_brought_back():
    shares = normalise_weights([1.0000000005, 0.0])
    assert shares == (1.0, 0.0)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.5, -0.1], "weight 1 is -0.1"),
        ([math.nan, 1], "weight 0 is nan"),
        ([1, math.inf], "weight 1 is inf"),
        ([0, 0, 0], "the 3 weights sum to 0"),
        ([], "the 0 weights sum to 0"),
    ],
)
def test_weights_without_a_meaning_are_refused(values, said):
    with pytest.raises(RecipeInvalid, match=said) as refused:
        normalise_weights(values, where="weights")
    assert refused.value.where == "weights"
