from enum import Enum
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from facemix.mixing.misfits import WORDS, remedy, sentence


class Ground(Enum):
    PLAIN = "plain"
    PHOTO = "photo"


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Given(BaseModel):
    model_config = ConfigDict(extra="forbid")

    above: float = Field(1, gt=0, lt=5)
    within: float = Field(0, ge=-3, le=0.5, allow_inf_nan=False)
    whole: int = Field(0, lt=2**31)
    few: list[int] = Field([1], min_length=1, max_length=2)
    pair: tuple[float, float] = (0, 0)
    text: str = Field("ab", min_length=2, max_length=3, pattern="^[a-z]+$")
    plain: bool = False
    named: dict[str, int] = Field(default_factory=dict)
    one_of: Literal["lerp", "slerp"] = "lerp"
    ground: Ground = Ground.PLAIN
    inner: Cat | None = None
    animal: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    own: str = ""

    @field_validator("own")
    @classmethod
    def _own(cls, given: str) -> str:
        if given:
            raise ValueError("leave it empty")
        return given


def errors(model, given):
    read = model.model_validate_json if isinstance(given, bytes) else model.model_validate
    with pytest.raises(ValidationError) as caught:
        read(given)
    return caught.value.errors(include_url=False)


LAX = [
    ({"above": 0}, "greater_than", "above is 0; it has to be more than 0"),
    ({"above": "5"}, "less_than", "above is 5; it has to be less than 5"),
    ({"within": -3.5}, "greater_than_equal", "within is -3.5; it has to be at least -3"),
    ({"within": 0.7}, "less_than_equal", "within is 0.7; it has to be at most 0.5"),
    ({"within": float("inf")}, "finite_number", "within is inf; it has to be finite"),
    ({"whole": 2**31}, "less_than", "whole is 2147483648; it has to be less than 2147483648"),
    ({"whole": "x"}, "int_parsing", "whole is 'x'; it has to be a whole number"),
    ({"whole": 1.5}, "int_from_float", "whole is 1.5; it has to be a whole number"),
    ({"whole": None}, "int_type", "whole is null; it has to be a whole number"),
    ({"within": "x" * 50}, "float_parsing", f"within is '{'x' * 40}'...; it has to be a number"),
    ({"within": []}, "float_type", "within is a list; it has to be a number"),
    ({"few": []}, "too_short", "few has 0 entries; it needs at least 1"),
    ({"few": [1, 2, 3]}, "too_long", "few has 3 entries; it takes at most 2"),
    ({"few": 1}, "list_type", "few is 1; it has to be a list"),
    ({"pair": 1}, "tuple_type", "pair is 1; it has to be a list"),
    ({"pair": [1]}, "missing", "pair.1 is missing"),
    ({"text": "a"}, "string_too_short", "text has 1 character; it needs at least 2"),
    ({"text": "abcd"}, "string_too_long", "text has 4 characters; it takes at most 3"),
    ({"text": "A\n"}, "string_pattern_mismatch", "text is 'A\\n'; it has to be of the form ^[a-z]+$"),
    ({"text": {"a": 1}}, "string_type", "text is an object; it has to be a text"),
    ({"plain": "x"}, "bool_parsing", "plain is 'x'; it has to be true or false"),
    ({"plain": 0.5}, "bool_type", "plain is 0.5; it has to be true or false"),
    ({"named": True}, "dict_type", "named is true; it has to be an object"),
    ({"one_of": "cubic"}, "literal_error", "one_of is 'cubic'; it has to be 'lerp' or 'slerp'"),
    ({"ground": "sky"}, "enum", "ground is 'sky'; it has to be 'plain' or 'photo'"),
    ({"inner": {}}, "missing", "inner.kind is missing"),
    ({"inner": 3}, "model_type", "inner is 3; it has to be an object"),
    (
        {"animal": {"kind": "cow"}},
        "union_tag_invalid",
        "animal has 'cow' as its 'kind'; it has to be one of 'cat', 'dog'",
    ),
    ({"animal": {}}, "union_tag_not_found", "animal does not say its 'kind'"),
    ({"colour": 1}, "extra_forbidden", "colour is not known"),
    ({"own": "x"}, "value_error", "own is 'x': leave it empty"),
    ({"named": {"a": "{x}"}}, "int_parsing", "named.a is '{x}'; it has to be a whole number"),
]


@pytest.mark.parametrize(("given", "kind", "said"), LAX)
def test_each_kind_is_a_sentence_with_the_value_and_what_is_taken(given, kind, said):
    (error,) = errors(Given, given)
    assert error["type"] == kind
    assert sentence(error) == said


def test_what_is_wrong_with_all_of_it_is_said_of_the_whole():
    (error,) = errors(Given, b"[]")
    assert sentence(error) == "the body is a list; it has to be an object"
    (error,) = errors(Given, b'{"a')
    assert sentence(error, whole="it").startswith("it is no JSON: EOF")
    assert '{"a' not in sentence(error)


def test_every_kind_of_the_table_is_one_of_pydantics_and_is_tried_here():
    tried = {kind for _, kind, _ in LAX} | {"json_invalid", "model_attributes_type"}
    assert set(WORDS) <= tried


def test_a_kind_that_has_no_words_keeps_its_own():
    error = {"type": "date_type", "loc": ("query", "day"), "msg": "Input should be a valid date", "input": 3}
    assert sentence(error, field="day") == "day is 3: Input should be a valid date"
    assert sentence({**error, "input": None}, field="day") == "day: Input should be a valid date"


def test_only_where_the_sentence_does_not_tell_it_is_said_what_to_do():
    (unknown,), (missing,), (wrong,) = (errors(Given, one) for one in ({"sise": 1}, {"inner": {}}, {"above": 9}))
    assert "leave it out" in remedy(unknown)
    assert remedy(missing)
    assert remedy(wrong) == ""
