import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemix.errors import ImageTooLarge, RequestInvalid
from facemix.serving.types import PhotoInput, SampleInput
from facemix.settings import Settings
from facemix.web.forms import Form
from facemix.web.inputs_form import mix_from_form, strip_from_form
from facemix.web.inputs_json import decode_base64, mix_from_json, strip_from_json

SETTINGS = Settings()


def decode(text, most=1000):
    return decode_base64(text, where="parents.0", max_bytes=most)


@given(st.binary(max_size=200))
def test_base64_in_every_spelling(data):
    plain = base64.b64encode(data).decode()
    url_safe = base64.urlsafe_b64encode(data).decode().rstrip("=")
    for text in (
        plain,
        plain.rstrip("="),
        url_safe,
        f"data:image/jpeg;base64,{plain}",
        f" {plain[:5]}\n{plain[5:]} ",
    ):
        assert decode(text) == data


@pytest.mark.parametrize("text", ["?", "a", "ä" * 8, "data:image/png,raw", "=ab=", "aaaa\x00", "http://x/y.png"])
def test_what_is_not_base64_is_refused_with_its_place(text):
    with pytest.raises(RequestInvalid) as caught:
        decode(text)
    assert caught.value.where == "parents.0"


def test_addresses_are_not_fetched_and_the_hint_says_so():
    with pytest.raises(RequestInvalid, match="base64") as caught:
        decode("https://example.org/me.jpg")
    assert "fetches no addresses" in caught.value.hint


def test_size_is_checked_before_decoding():
    decode(base64.b64encode(b"x" * 1000).decode())
    with pytest.raises(ImageTooLarge) as caught:
        decode("?" * 1400)  # not base64 either, which is found only by decoding
    assert caught.value.where == "parents.0"


def test_form_to_parents():
    wanted = mix_from_form(Form({"weight": "0.3", "face_a_index": "2", "sample_b": "7"}, {"face_a": b"x"}))
    assert wanted.parents == (
        PhotoInput(data=b"x", where="face_a", face=2, weight=0.7),
        SampleInput(number=7, where="sample_b", weight=0.3),
    )


@pytest.mark.parametrize("weight", [0.0, 0.1, 0.3, 1 / 3, 0.999, 1.0])
def test_form_weights_sum_to_one_and_keep_the_ends(weight):
    wanted = mix_from_form(Form({"weight": repr(weight), "sample_a": "1", "sample_b": "2"}))
    first, second = (parent.weight for parent in wanted.parents)
    assert second == weight
    assert first + second == pytest.approx(1, abs=1e-12)
    assert (first == 0) == (weight == 1)


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"weight": "nan"}, "weight"),
        ({"weight": "inf"}, "weight"),
        ({"weight": "1e999"}, "weight"),
        ({"weight": "1.01"}, "weight"),
        ({"weight": "-0.1"}, "weight"),
        ({"weight": "0,5"}, "weight"),
        ({"weight": "half"}, "weight"),
        ({"sample_a": "-1"}, "sample_a"),
        ({"sample_a": "9" * 400}, "sample_a"),
        ({"sample_a": "1.5"}, "sample_a"),
        ({"seed": "2147483648"}, "seed"),
        ({"face_a_index": "x"}, "face_a_index"),
        ({"interpolation": "cubic"}, "interpolation"),
        ({"vividness": "0.51"}, "vividness"),
        ({"vividness": "-0.1"}, "vividness"),
        ({"vividness": "nan"}, "vividness"),
        ({"vividness": "0,25"}, "vividness"),
    ],
)
def test_form_fields_out_of_range(fields, where):
    with pytest.raises(RequestInvalid) as caught:
        mix_from_form(Form({"sample_a": "1", "sample_b": "2", **fields}))
    assert caught.value.where == where


def test_each_slot_takes_exactly_one_source():
    with pytest.raises(RequestInvalid, match="both given") as caught:
        mix_from_form(Form({"sample_a": "1", "sample_b": "2"}, {"face_b": b"x"}))
    assert caught.value.where == "face_b"
    with pytest.raises(RequestInvalid, match="no photo A") as caught:
        mix_from_form(Form({"sample_b": "2"}))
    assert caught.value.where == "face_a"


def test_json_weights_are_scaled_or_equal():
    wanted = mix_from_json(b'{"parents": [{"sample": 1, "weight": 2}, {"sample": 2, "weight": 6}]}', SETTINGS)
    assert [parent.weight for parent in wanted.parents] == [0.25, 0.75]
    wanted = mix_from_json(b'{"parents": [{"sample": 1}, {"sample": 2}, {"sample": 3}]}', SETTINGS)
    assert [parent.weight for parent in wanted.parents] == [1 / 3] * 3
    assert [parent.where for parent in wanted.parents] == ["parents.0", "parents.1", "parents.2"]


TWO = '{"sample": 1}, {"sample": 2}'


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ("", None),
        ("{", None),
        ("[]", None),
        ("null", None),
        ('{"parents": []}', "parents"),
        ('{"parents": "ab"}', "parents"),
        ('{"parents": [{"sample": 1}, {}]}', "parents.1"),
        ('{"parents": [{"sample": 1}, {"sample": 1, "image": "AAAA"}]}', "parents.1"),
        ('{"parents": [{"sample": 1}, {"sample": 1, "face": 0}]}', "parents.1"),
        ('{"parents": [{"sample": 1}, {"sample": true}]}', "parents.1.sample"),
        ('{"parents": [{"sample": 1}, {"sample": "2"}]}', "parents.1.sample"),
        ('{"parents": [{"sample": 1}, {"sample": 1, "weight": NaN}]}', "parents.1.weight"),
        ('{"parents": [{"sample": 1}, {"sample": 1, "weight": Infinity}]}', "parents.1.weight"),
        ('{"parents": [{"sample": 1}, {"sample": 1, "weight": 1e400}]}', "parents.1.weight"),
        ('{"parents": [{"sample": 1}, {"sample": 1, "weight": -1}]}', "parents.1.weight"),
        ('{"parents": [{"sample": 1, "weight": 0}, {"sample": 1, "weight": 0}]}', "parents"),
        ('{"parents": [{"sample": 1, "weight": 1}, {"sample": 1}]}', "parents"),
        ('{"parents": [{"sample": 1}, {"sample": ' + "9" * 400 + "}]}", "parents.1.sample"),
        ('{"parents": [{"sample": 1}, {"sample": ' + "9" * 5000 + "}]}", None),
        ('{"parents": [{"sample": 1}, {"image": "\\ud800"}]}', None),
        ('{"parents": [{"sample": 1}, {"image": 7}]}', "parents.1.image"),
        ('{"parents": [{"sample": 1}, {"image": "*"}]}', "parents.1"),
        ('{"parents": [' + TWO + '], "colour": 1}', "colour"),
        ('{"parents": [' + TWO + '], "interpolation": "x"}', "interpolation"),
        ('{"parents": [' + TWO + '], "vividness": 0.51}', "vividness"),
        ('{"parents": [' + TWO + '], "vividness": NaN}', "vividness"),
        ('{"parents": [' + TWO + '], "vividness": "0.25"}', "vividness"),
        ('{"parents": [' + TWO + '], "image_format": "image/gif"}', "image_format"),
        ('{"parents": [' + ",".join(['{"sample": 1}'] * 9) + "]}", "parents"),
        ("[" * 100_000, None),
        ('{"parents": [' + TWO + '], "colour": [' + ",".join(["1"] * 33) + "]}", "colour"),
        ('{"parents": [' + TWO + '], "regions": {"eyes": [' + ",".join(['""'] * 5000) + "]}}", "regions.eyes"),
        ('{"parents": [' + TWO + '], "variation": {"number": "5", "radius": 1}}', "variation.number"),
        ('{"parents": [' + TWO + '], "variation": {"number": 5, "radius": true}}', "variation.radius"),
        ('{"parents": [{"image": "AAAA", "placed": {"left_eye": [1, "2"]}}]}', "parents.0.placed.left_eye.1"),
        ('{"recipe": 5}', "recipe"),
        ('{"recipe": null}', "recipe"),
        ('{"recipe": "../../etc/passwd"}', "recipe"),
        ('{"parents": [{"sample": 1}, {"recipe": "no id"}]}', "parents.1.recipe"),
        ("{" + ",".join(f'"a{index}": 1' for index in range(5000)) + "}", None),
        ('{"a":' * 5000, None),
    ],
)
def test_json_that_does_not_fit(body, where):
    with pytest.raises(RequestInvalid) as caught:
        mix_from_json(body.encode(), SETTINGS)
    assert caught.value.where == where
    assert caught.value.message.startswith(where or "") or where in ("parents", "colour", "parents.1")
    assert not caught.value.message.startswith("Input")
    assert len(caught.value.message) < 1000


RECIPE = {
    "model": {"name": "tiny", "weights": "ab" * 32, "latent_schema": 1},
    "parents": [{"kind": "sample", "number": n, "weight": 0.5} for n in (1, 2)],
}


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"seed": "5"}, "seed"),
        ({"seed": True}, "seed"),
        ({"variation": {"number": "5", "radius": 0.5}}, "variation.number"),
        ({"parents": [{"kind": "sample", "number": 1, "weight": "1"}]}, "parents.0.weight"),
        ({"parents": [{"kind": "sample", "sample": 1, "number": 1, "weight": 1}]}, "parents.0.sample"),
        ({"parents": [{"kind": "drawing", "weight": 1}]}, "parents.0"),
        ({"parents": [{"kind": "sample", "number": 1, "weight": 0.9999999}]}, "parents"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_said_by_its_place(changes, where):
    recipe = {**RECIPE, **changes}
    asked = {
        f"recipe.{where}": lambda: mix_from_json(json.dumps({"recipe": recipe}).encode(), SETTINGS),
        f"parents.1.recipe.{where}": lambda: mix_from_json(
            json.dumps({"parents": [{"sample": 1}, {"recipe": recipe}]}).encode(), SETTINGS
        ),
    }
    for place, ask in asked.items():
        with pytest.raises(RequestInvalid) as caught:
            ask()
        assert caught.value.where == place
        assert caught.value.message.startswith((f"{place}: ", f"{place} is ", f"{place} has "))


def test_a_recipe_or_a_mix_is_told_from_one_parse():
    replay = mix_from_json(json.dumps({"recipe": RECIPE}).encode(), SETTINGS).replay
    assert replay.recipe.weights == (0.5, 0.5)
    assert mix_from_json(b'{"recipe": "kV0tW3qfX8mZ1aBc"}', SETTINGS).replay.recipe == "kV0tW3qfX8mZ1aBc"
    inner = mix_from_json(json.dumps({"parents": [{"recipe": RECIPE}]}).encode(), SETTINGS)
    assert inner.parents[0].recipe.weights == (0.5, 0.5)
    with pytest.raises(RequestInvalid) as caught:
        mix_from_json(json.dumps({"recipe": RECIPE, "parents": [{"sample": 1}]}).encode(), SETTINGS)
    assert caught.value.where == "recipe"


@pytest.mark.parametrize(
    "body",
    [
        b'{"parents": [{"sample": 1}], "colour": [' + b'"",' * 30_000 + b"1]}",
        b'{"x": [' + b"{}," * 30_000 + b"1]}",
        b'{"recipe": [' + b"[]," * 30_000 + b"1]}",
        b"[" * 30_001,
    ],
)
def test_json_of_endless_values_is_refused_before_it_is_parsed(body, monkeypatch):
    monkeypatch.setattr("facemix.web.inputs_json._MIX_OR_REPLAY", None)
    monkeypatch.setattr("facemix.web.inputs_json.StripBody", None)
    for read in (mix_from_json, strip_from_json):
        with pytest.raises(RequestInvalid, match="holds about"):
            read(body, SETTINGS)


def test_an_empty_image_is_left_to_the_decoder_to_refuse():
    wanted = mix_from_json(b'{"parents": [{"sample": 1}, {"image": ""}]}', SETTINGS)
    assert (wanted.parents[1].data, wanted.parents[1].where) == (b"", "parents.1")


@given(st.binary(max_size=100))
def test_random_json_is_refused_and_nothing_else(noise):
    with pytest.raises(RequestInvalid):
        mix_from_json(noise, SETTINGS)


def test_vividness_is_read_from_every_kind_of_request():
    form = Form({"sample_a": "1", "sample_b": "2", "vividness": "0.25"})
    body = ('{"parents": [' + TWO + '], "vividness": 0.25}').encode()
    wanted = mix_from_form(form), strip_from_form(form, SETTINGS), mix_from_json(body, SETTINGS)
    assert [one.wanted.edits.vividness for one in (*wanted, strip_from_json(body, SETTINGS))] == [0.25] * 4
    assert mix_from_form(Form({"sample_a": "1", "sample_b": "2"})).wanted.edits.vividness == 0
    assert mix_from_json(('{"parents": [' + TWO + "]}").encode(), SETTINGS).wanted.edits.vividness == 0


def test_strip_steps():
    body = ('{"parents": [' + TWO + "]}").encode()
    assert strip_from_json(body, SETTINGS).steps == SETTINGS.strip_steps
    assert strip_from_json(body, Settings(strip_steps=99, max_steps=9)).steps == 9
    form = Form({"sample_a": "1", "sample_b": "2"})
    assert strip_from_form(form, SETTINGS).steps == SETTINGS.strip_steps
    for steps in ("2", "66", "x", "1e3"):
        with pytest.raises(RequestInvalid) as caught:
            strip_from_form(Form({**form.fields, "steps": steps}), SETTINGS)
        assert caught.value.where == "steps"
    with pytest.raises(RequestInvalid):
        strip_from_json(b'{"parents": [{"sample": 1}, {"sample": 2}, {"sample": 3}]}', SETTINGS)
