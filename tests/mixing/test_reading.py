import json
from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Discriminator, Tag, ValidationError

from facemix.errors import RequestInvalid
from facemix.mixing.reading import MOST_ERRORS, SAVED_TAG, WHOLE_TAG, check_values, errors_of, place
from facemix.mixing.recipe import MOST_PARENTS, REGIONS, Parent, Recipe


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    recipe: Annotated[
        Annotated[str, Tag(SAVED_TAG)] | Annotated[Recipe, Tag(WHOLE_TAG)], Discriminator(lambda _: WHOLE_TAG)
    ]
    parents: list[Parent] = []


def refused(model, document) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        model.model_validate_json(json.dumps(document))
    return caught.value


@pytest.mark.parametrize("kind", [str, str.encode])
def test_values_are_counted_before_they_are_parsed(kind):
    text = '{"a": [1, 2, {"b": [[], 4]}]}'  # four brackets, three commas, six values and two empty ones
    check_values(kind(text), 8)
    with pytest.raises(RequestInvalid, match="about 8 values") as caught:
        check_values(kind(text), 7, where="recipe")
    assert caught.value.where == "recipe"


def test_the_largest_request_that_is_valid_is_read():
    latent = {"kind": "latent", "z": "AAAA", "origin": None, "weight": 1.0}
    shares = [1.0] * MOST_PARENTS
    recipe = {
        "version": 1,
        "model": {"name": "a", "weights": "b", "latent_schema": 1},
        "parents": [latent] * MOST_PARENTS,
        "attributes": dict.fromkeys(map(str, range(64)), 1),
        "regions": dict.fromkeys(REGIONS, shares),
        "colour": shares,
        "variation": {"number": 1, "radius": 1},
        "interpolation": "lerp",
        "vividness": 0,
        "detail": 1,
        "keep": {"hair": 0, "glasses": 0, "background": 0},
        "size": 512,
        "placement": {"onto": "photo", "parent": 0},
        "seed": 0,
    }
    edits = {name: recipe[name] for name in ("attributes", "regions", "colour", "keep", "placement")}
    stop = {"weights": shares, "attributes": recipe["attributes"]}
    parents = [{"recipe": recipe, "weight": 1}] * MOST_PARENTS
    check_values(json.dumps({"parents": parents, **edits, "stops": [stop] * 32, "prompt": "a," * 1000}))


def test_places_are_those_of_the_writer():
    inner = {"kind": "sample", "sample": 1, "number": "x", "weight": 1}
    error = refused(Body, {"recipe": {"parents": [inner]}, "parents": [inner]})
    places = {place(one["loc"]) for one in errors_of(error)}
    assert {"recipe.model", "recipe.parents.0.number", "recipe.parents.0.sample"} <= places
    assert "parents.0.sample.number" in places  # not in a recipe: it may be a member's name
    assert "parents.0.number" in {
        place(one["loc"]) for one in errors_of(refused(Recipe, {"parents": [inner]}), recipe=True)
    }


def test_a_place_has_none_of_the_words_that_only_pydantic_uses():
    recipe = {
        "placement": {"onto": "photo", "photo": 1, "parent": "x"},
        "keep": {"[key]": 0, "hair": "x"},
        "attributes": {"Smile": 1, "[key]": "x"},
        "parents": [],
    }
    places = {place(one["loc"]) for one in errors_of(refused(Body, {"recipe": recipe}))}
    assert {
        "recipe.placement.photo",
        "recipe.placement.parent",
        "recipe.keep.hair",
        "recipe.attributes.Smile",
    } <= places
    assert "recipe.keep.[key]" in places  # somebody has written that one
    assert not any("constrained" in one or one.endswith("[key].[key]") for one in places)


def test_so_many_errors_that_nobody_reads_them_are_not_listed():
    few, many = ({"recipe": {}, **dict.fromkeys(map(str, range(count)), 1)} for count in (9, MOST_ERRORS))
    assert len(errors_of(refused(Body, few))) > 9
    assert errors_of(refused(Body, many)) == []
