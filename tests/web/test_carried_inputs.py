"""Detail, what is kept, size and placement: read from every kind of request, and refused where they do not fit."""

import json
import zipfile
from io import BytesIO

import pytest
from fake_mixer import FakeMixer, fake_directions
from web_client import OTHER, PHOTO, files, problem, running

from facemix.errors import RequestInvalid
from facemix.mixing.recipe import Edits, ModelIdentity, OntoBlurred, OntoPhoto, OntoPlain, Recipe, SampleParent
from facemix.settings import Settings
from facemix.web.animations import animation_input, at_the_size_of
from facemix.web.batches import batch_from_archive
from facemix.web.forms import Form
from facemix.web.grids import grid_input
from facemix.web.inputs_form import mix_from_form, strip_from_form
from facemix.web.inputs_json import mix_from_json, parse, strip_from_json
from facemix.web.many_faces import MOST_PIXELS, check_frames
from facemix.web.schemas_grids import GridBody
from facemix.web.schemas_jobs import AnimationBody
from facemix.web.shared_views import recipe_view

SETTINGS = Settings()
PAIR = {"parents": [{"sample": 1}, {"sample": 2}]}
CARRIED = {"detail": 0.5, "keep": {"hair": 0, "glasses": "mixed"}, "size": 256}
ONTO = {"onto": "photo", "parent": 1}
FORM = {"sample_a": "1", "sample_b": "2"}
AS_FORM = {"detail": "0.5", "keep": "hair=a, glasses=mixed", "size": "256"}
MODEL = {"name": "fake-32", "weights": "ab" * 32, "latent_schema": 1}
RECIPE = {
    "model": MODEL,
    "parents": [{"kind": "sample", "number": number, "weight": 0.5} for number in (1, 2)],
    **CARRIED,
    "placement": ONTO,
}


@pytest.fixture(scope="module")
def client():
    with running(lambda: FakeMixer(attributes=fake_directions())) as made:
        yield made


def body(**members) -> bytes:
    return json.dumps({**PAIR, **members}).encode()


def carried(edits: Edits) -> tuple:
    return edits.detail, edits.keep, edits.size, edits.placement


def test_they_are_read_from_every_kind_of_request():
    wanted = (0.5, {"hair": 0, "glasses": "mixed"}, 256, None)
    asked = [
        mix_from_json(body(**CARRIED), SETTINGS),
        strip_from_json(body(**CARRIED), SETTINGS),
        mix_from_form(Form({**FORM, **AS_FORM})),
        mix_from_form(Form({**FORM, **AS_FORM, "keep": '{"hair": 0, "glasses": "mixed"}', "placement": "crop"})),
        strip_from_form(Form({**FORM, **AS_FORM}), SETTINGS),
        grid_input(parse(GridBody, body(kind="pairs", **CARRIED)), SETTINGS),
        animation_input(parse(AnimationBody, body(**CARRIED)), SETTINGS),
    ]
    assert [carried(one.wanted.edits) for one in asked] == [wanted] * len(asked)
    nothing = [mix_from_json(body(), SETTINGS), mix_from_form(Form(FORM)), strip_from_form(Form(FORM), SETTINGS)]
    assert [one.wanted.edits for one in nothing] == [Edits()] * 3


@pytest.mark.parametrize(
    ("text", "placement"),
    [
        ("photo:a", OntoPhoto()),
        ("blurred:b", OntoBlurred(parent=1)),
        ("plain", OntoPlain()),
        ('{"onto": "plain", "colour": "#e8e4da"}', OntoPlain(colour="#e8e4da")),
        ("null", None),
    ],
)
def test_a_form_says_a_placement_in_words_or_as_json(text, placement):
    assert mix_from_form(Form({**FORM, "placement": text})).wanted.edits.placement == placement


def test_json_says_a_placement_as_a_recipe_does():
    assert mix_from_json(body(placement=ONTO), SETTINGS).wanted.edits.placement == OntoPhoto(parent=1)
    assert mix_from_json(body(placement=None), SETTINGS).wanted.edits.placement is None
    replayed = mix_from_json(json.dumps({"recipe": RECIPE}).encode(), SETTINGS)
    assert replayed.replay.recipe.placement == OntoPhoto(parent=1)


WRONG = [
    ({"detail": 1.5}, "detail"),
    ({"detail": "1"}, "detail"),
    ({"keep": {"hair": -1}}, "keep.hair"),
    ({"keep": {"hair": "0"}}, "keep.hair"),
    ({"keep": {"nose": 0}}, "keep.nose"),
    ({"keep": [0]}, "keep"),
    ({"size": 32}, "size"),
    ({"size": "512"}, "size"),
    ({"placement": "photo:a"}, "placement"),
    ({"placement": {"onto": "sky"}}, "placement"),
    ({"placement": {"onto": "plain", "colour": "red"}}, "placement.colour"),
    ({"placement": {"onto": "photo", "parent": "0"}}, "placement.parent"),
]


@pytest.mark.parametrize(("members", "where"), WRONG)
def test_json_that_does_not_fit_is_refused_by_its_place(members, where):
    with pytest.raises(RequestInvalid) as caught:
        mix_from_json(body(**members), SETTINGS)
    assert caught.value.where == where
    assert caught.value.message.startswith((f"{where}: ", f"{where} is "))
    with pytest.raises(RequestInvalid) as caught:
        mix_from_json(json.dumps({"recipe": {**RECIPE, **members}}).encode(), SETTINGS)
    assert caught.value.where == f"recipe.{where}"


@pytest.mark.parametrize(
    ("fields", "where", "said"),
    [
        ({"detail": "2"}, "detail", "at most 1"),
        ({"detail": "nan"}, "detail", "detail"),
        ({"detail": "0,5"}, "detail", "number"),
        ({"keep": "hat=a"}, "keep", "hair, glasses, background"),
        ({"keep": "hair=a, hair=b"}, "keep", "given twice"),
        ({"keep": '{"hair": 99}'}, "keep.hair", "the number of a parent"),
        ({"keep": "{"}, "keep", "JSON"),
        ({"size": "x"}, "size", "a whole number"),
        ({"size": "2000"}, "size", "1024"),
        ({"placement": "the sea"}, "placement", "photo:a, blurred:a"),
        ({"placement": '{"onto": "plain", "colour": "red"}'}, "placement.colour", "#rrggbb"),
    ],
)
def test_fields_of_a_form_that_do_not_fit_are_refused(fields, where, said):
    with pytest.raises(RequestInvalid, match=said) as caught:
        mix_from_form(Form({**FORM, **fields}))
    assert caught.value.where == where


@pytest.mark.parametrize("path", ["/api/v1/mix", "/api/v1/strip"])
def test_they_reach_the_recipe_by_json_and_by_form(client, path):
    by_json = client.post(path, json={**PAIR, **CARRIED}).json()["recipe"]
    by_form = client.post(path, data={**FORM, **AS_FORM}, files={"face_a": ("", b"")}).json()["recipe"]
    assert by_json == by_form
    assert {name: by_json[name] for name in CARRIED} == CARRIED
    assert by_json["placement"] is None


def test_a_mix_is_put_onto_something_and_a_recipe_says_so(client):
    answer = client.post("/api/v1/mix", files=files(face_a=PHOTO, face_b=OTHER), data={"placement": "blurred:b"})
    recipe = answer.json()["recipe"]
    assert recipe["placement"] == {"onto": "blurred", "parent": 1}
    again = client.post("/api/v1/mix", files=files(photo_0=OTHER, photo_1=PHOTO), data={"recipe": json.dumps(recipe)})
    assert again.json()["recipe"] == recipe
    both = client.post("/api/v1/mix", files=files(photo_0=PHOTO), data={"recipe": json.dumps(recipe), "detail": "1"})
    problem(both, 422, "request_invalid", "detail")


def test_a_parent_that_there_is_not_is_refused_by_its_place(client):
    nobodys = {**PAIR, "detail": 1, "keep": {"hair": 2}}
    problem(client.post("/api/v1/mix", json=nobodys), 422, "recipe_invalid", "keep.hair")
    answer = client.post("/api/v1/mix", json={**PAIR, "placement": {"onto": "photo", "parent": 2}})
    problem(answer, 422, "recipe_invalid", "placement.parent")


class Untouched(FakeMixer):
    """Whose work nobody is to ask for."""

    async def frames(self, parents, specs, *, deadline=None):
        raise AssertionError("it was drawn")

    mix = strip = latent = find_faces = frames


@pytest.mark.parametrize(
    ("path", "members", "where"),
    [
        ("strip", {"placement": ONTO}, "placement"),
        ("grids", {"kind": "pairs", "placement": ONTO}, "placement"),
        ("animations", {"placement": {"onto": "plain"}}, "placement"),
        ("explain", {"placement": ONTO}, "placement"),
    ],
)
def test_only_a_single_mix_is_put_onto_something(path, members, where):
    with running(lambda: Untouched(attributes=fake_directions())) as client:
        answer = client.post(f"/api/v1/{path}", json={**PAIR, **members})
    told = problem(answer, 422, "request_invalid", where)
    assert "placement" in told["hint"] + told["detail"]


def test_so_it_is_in_a_form_in_a_batch_and_in_a_recipe():
    with running(lambda: Untouched(attributes=fake_directions())) as client:
        form = {**FORM, "placement": "photo:a"}
        problem(
            client.post("/api/v1/strip", data=form, files={"face_a": ("", b"")}), 422, "request_invalid", "placement"
        )
        problem(
            client.post("/api/v1/explain", data=form, files={"face_a": ("", b"")}), 422, "request_invalid", "placement"
        )
        batch = client.post("/api/v1/batches", json={"items": [PAIR, {**PAIR, "placement": ONTO}]})
        problem(batch, 422, "request_invalid", "items.1.placement")
        explained = client.post("/api/v1/explain", json={"recipe": RECIPE})
        problem(explained, 422, "request_invalid", "recipe.placement")


def test_frames_are_not_too_large_together():
    check_frames(Edits(size=1024), MOST_PIXELS // 1024**2, "a strip")
    check_frames(Edits(), 10**6, "a strip")  # as many as the operator allows, as large as the model draws them
    longest = Settings.model_fields["max_steps"].metadata[-1].le
    check_frames(Edits(detail=1), longest, "a strip")  # the longest strip, as large as it is without a word
    for edits, count in ((Edits(size=1024), 65), (Edits(detail=0.5), longest + 1), (Edits(detail=1, size=1024), 65)):
        with pytest.raises(RequestInvalid, match="frames of") as caught:
            check_frames(edits, count, "a strip")
        assert caught.value.where == "size"
        largest = int(caught.value.hint.rpartition(" ")[2])
        check_frames(edits.model_copy(update={"size": largest}), count, "a strip")
    grid = {"kind": "corners", "parents": PAIR["parents"] * 2, "rows": 9, "columns": 9, "size": 1024}
    with pytest.raises(RequestInvalid, match="81 frames of 1024 x 1024"):
        grid_input(parse(GridBody, json.dumps(grid).encode()), Settings(max_cells=81))


KEPT = {"keep": {"hair": 0}}


@pytest.mark.parametrize(
    ("path", "members", "where"),
    [
        ("mix", KEPT, "keep"),
        ("mix", {**KEPT, "detail": 0}, "keep"),
        ("strip", KEPT, "keep"),
        ("grids", {"kind": "pairs", **KEPT}, "keep"),
        ("animations", KEPT, "keep"),
        ("explain", KEPT, "keep"),
        ("recipes", KEPT, "keep"),
        ("batches", {"parents": None, "items": [PAIR, {**PAIR, **KEPT}]}, "items.1.keep"),
    ],
)
def test_what_is_kept_whole_needs_detail(path, members, where):
    asked = {name: value for name, value in {**PAIR, **members}.items() if value is not None}
    with running(lambda: Untouched(attributes=fake_directions())) as client:
        told = problem(client.post(f"/api/v1/{path}", json=asked), 422, "request_invalid", where)
    assert "detail" in told["hint"]


@pytest.mark.parametrize("path", ["mix", "strip", "explain"])
def test_so_it_does_in_a_form(path):
    with running(lambda: Untouched(attributes=fake_directions())) as client:
        answer = client.post(f"/api/v1/{path}", data={**FORM, "keep": "hair=a"}, files={"face_a": ("", b"")})
    problem(answer, 422, "request_invalid", "keep")


def test_a_recipe_that_keeps_something_without_detail_is_drawn_again(client):
    recipe = {**RECIPE, **KEPT, "detail": 0.0, "placement": None}
    again = client.post("/api/v1/mix", json={"recipe": recipe})
    assert again.status_code == 200, again.text
    assert again.json()["recipe"]["keep"] == KEPT["keep"]


def test_a_film_with_detail_is_drawn_at_its_own_size_and_one_without_as_ever():
    plain = animation_input(parse(AnimationBody, body(size=512)), SETTINGS)
    assert (plain.size, plain.wanted.edits) == (512, Edits())
    sharp = animation_input(parse(AnimationBody, body(detail=1)), SETTINGS)
    assert (sharp.size, sharp.wanted.edits) == (256, Edits(detail=1, size=256))
    assert at_the_size_of(384, Edits(detail=0.5)).size == 384


def test_a_table_has_columns_for_them():
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        table = "a,b,detail,keep:hair,keep:glasses,size\nsample:1,sample:2,0.5,a,mixed,256\nsample:1,sample:2,,,,\n"
        table += "sample:1,sample:2,2,,,\nsample:1,sample:2,,nobody,,\nsample:1,sample:2,,a,,\n"
        archive.writestr("pairs.csv", table)
    items = batch_from_archive(packed.getvalue(), SETTINGS, "image/png", False).items
    assert carried(items[0].read().wanted.edits) == (0.5, CARRIED["keep"], 256, None)
    assert items[1].read().wanted.edits == Edits()
    for item, where in zip(items[2:], ("detail", "keep", "keep"), strict=True):
        with pytest.raises(RequestInvalid) as caught:
            item.read()
        assert caught.value.where == where
    with zipfile.ZipFile(packed := BytesIO(), "w") as archive:
        archive.writestr("pairs.csv", "a,b,keep:nose\nsample:1,sample:2,a\n")
    with pytest.raises(RequestInvalid, match="keep:nose"):
        batch_from_archive(packed.getvalue(), SETTINGS, "image/png", False)


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ({}, []),
        ({"detail": 0.5}, [("Detail of the photos", "50 %")]),
        ({"keep": {"hair": 1}}, [("Whose hair", "that of face 2")]),
        ({"keep": {"glasses": "mixed"}}, [("Whose glasses", "that of all, mixed")]),
        ({"size": 512}, [("Size", "at most 512 pixels")]),
        ({"placement": ONTO}, [("Put onto", "the photo of face 2")]),
        ({"placement": {"onto": "blurred"}}, [("Put onto", "the blurred photo of face 1")]),
        ({"placement": {"onto": "plain", "colour": "#e8e4da"}}, [("Put onto", "the colour #e8e4da")]),
    ],
)
def test_the_page_of_a_link_says_them(edits, said):
    parents = [SampleParent(number=number, weight=0.5) for number in (1, 2)]
    recipe = Recipe(model=ModelIdentity(**MODEL), parents=parents, **edits)
    assert recipe_view(recipe, live=None, origins=[], titles={}).edits == said


def test_the_description_lists_the_fields_of_a_form(client):
    paths = client.get("/openapi.json").json()["paths"]

    def fields(path):
        return paths[path]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]

    for path in ("/api/v1/mix", "/api/v1/strip"):
        assert {"detail", "keep", "size"} <= set(fields(path))
    assert "placement" in fields("/api/v1/mix")
    assert "placement" not in fields("/api/v1/strip")
    examples = paths["/api/v1/mix"]["post"]["responses"]["409"]["content"]["application/problem+json"]["examples"]
    assert {"model_mismatch", "photograph_missing"} <= set(examples)
