"""The client against a real server."""

import io
import json
import zipfile
from datetime import UTC, datetime

import numpy as np
import pytest
from files import jpeg, png
from PIL import Image, ImageSequence
from portraits import cat, crowd, head, other

from facemix.client import ApiError, FaceId, JobFailed, Latent, Photo, RecipeId, Sample

PLACED = ((135.0, 120.0), (270.5, 120.0), (203.0, 210.0))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    (folder / "a.png").write_bytes(png(head()))
    (folder / "b.jpg").write_bytes(jpeg(other()))
    return folder


def opened(picture) -> np.ndarray:
    with Image.open(io.BytesIO(picture.data)) as image:
        return np.asarray(image.convert("RGB"))


def test_a_mix_of_everything_that_may_be_a_parent(client, photos, tmp_path):
    (face,) = client.faces(photos / "a.png")
    portable = client.mix([photos / "b.jpg", Sample(2)], portable=True).recipe
    latent = portable["parents"][0]
    saved = client.save_recipe(portable, expires_in=60)
    parents = [
        photos / "a.png",
        (photos / "b.jpg").read_bytes(),
        Photo(png(crowd()), face=1),
        Sample(3),
        face.parent,
        Latent(portable["model"], latent["z"]),
        portable,
        RecipeId(saved.id),
    ]
    result = client.mix(parents, weights=[1, 1, 1, 1, 1, 1, 1, 1], attributes={"smile": 1}, seed=3)
    assert [parent["kind"] for parent in result.recipe["parents"]] == [
        "photo",
        "photo",
        "photo",
        "sample",
        "photo",
        "latent",
        "latent",
        "latent",
    ]
    assert result.recipe["parents"][7]["origin"] == saved.id
    assert result.recipe["attributes"] == {"smile": 1.0}
    assert result.recipe["parents"][2]["face"] == 1
    assert result.save(tmp_path / "mix.png").read_bytes() == result.data
    with pytest.raises(ValueError, match=r"mix\.jpg"):
        result.save(tmp_path / "mix.jpg")
    assert opened(result).shape == (32, 32, 3)
    client.delete_recipe(saved.id, saved.delete_token)


def test_edits_and_weights_reach_the_server(client):
    result = client.mix(
        [Sample(1), Sample(2)],
        weights=(0.3, 0.7),
        image_format="image/webp",
        vividness=0.2,
        prompt="smiling, blurp",
        regions={"eyes": (1, 0)},
        colour=(0, 1),
        variation={"number": 4, "radius": 0.3},
        detail=0.5,
        keep={"hair": 1, "background": "mixed"},
        size=200,
    )
    recipe = result.recipe
    assert [parent["weight"] for parent in recipe["parents"]] == [0.3, 0.7]
    assert (recipe["regions"], recipe["colour"], recipe["vividness"]) == ({"eyes": [1, 0]}, [0, 1], 0.2)
    assert recipe["attributes"] == {"smile": 1.0}
    assert (recipe["detail"], recipe["keep"], recipe["size"]) == (0.5, {"hair": 1, "background": "mixed"}, 200)
    assert result.notes[0].code == "unknown_words"
    assert result.media_type == "image/webp"
    assert result.model.startswith("tiny@")


def test_only_a_mix_is_put_onto_something(client):
    placement = {"onto": "plain", "colour": "#e8e4da"}
    assert client.mix([Sample(1)], placement=placement).recipe["placement"] == placement
    with pytest.raises(ApiError, match="a placement was given for a grid") as refusal:
        client.grid("pairs", [Sample(1), Sample(2)], placement=placement)
    assert (refusal.value.status, refusal.value.where) == (422, "placement")


def test_a_recipe_is_drawn_again(client, photos):
    made = client.mix([photos / "a.png", photos / "b.jpg"], weights=[1, 3], attributes={"age": -1})
    again = client.replay(made.recipe, photos=[photos / "b.jpg", photos / "a.png"])
    np.testing.assert_array_equal(opened(again), opened(made))
    assert again.recipe == made.recipe
    portable = client.replay(made.recipe, photos=[photos / "a.png", photos / "b.jpg"], portable=True).recipe
    np.testing.assert_array_equal(opened(client.replay(portable)), opened(made))
    with pytest.raises(ApiError) as refusal:
        client.replay(made.recipe)
    assert (refusal.value.status, refusal.value.code) == (422, "request_invalid")
    assert refusal.value.where == "recipe.parents.0"
    assert refusal.value.hint
    assert refusal.value.request_id


def test_faces_are_found_kept_and_forgotten(client):
    large, small = client.faces(png(crowd()))
    assert (large.index, small.index) == (0, 1)
    assert small.warnings[0].code == "face_small"
    assert large.expires_at > datetime.now(UTC)
    assert opened(large.crop).shape == (32, 32, 3)
    client.delete_face(large)
    client.delete_face(FaceId(small.id))
    with pytest.raises(ApiError) as refusal:
        client.mix([large.parent])
    assert (refusal.value.status, refusal.value.code, refusal.value.where) == (404, "face_gone", "parents.0")


def test_a_face_is_placed_by_hand(client):
    with pytest.raises(ApiError, match="no face was found"):
        client.faces(jpeg(cat()))
    (face,) = client.faces(jpeg(cat()), placed=PLACED)
    assert face.landmarks["right_eye"] == {"x": 270.5, "y": 120.0}
    by_id = client.mix([face.parent])
    assert by_id.recipe["parents"][0]["placed"]["mouth"] == [203.0, 210.0]
    by_photo = client.mix([Photo(jpeg(cat()), placed=PLACED)])
    np.testing.assert_array_equal(opened(by_photo), opened(by_id))


def test_a_grid(client):
    grid = client.grid("corners", [Sample(number) for number in range(4)], rows=2, columns=3)
    assert (grid.rows, grid.columns, grid.side, len(grid.cells)) == (2, 3, 32, 6)
    assert opened(grid).shape == (64, 96, 3)
    corner = client.replay(grid.cells[5].recipe)
    assert np.abs(opened(grid)[32:, 64:].astype(int) - opened(corner)).max() <= 1
    varied = client.grid("variations", [Sample(1), Sample(2)], weights=[3, 1], rows=1, columns=2, radius=0.4, first=8)
    assert [cell.recipe["variation"]["number"] for cell in varied.cells] == [8, 9]
    assert varied.cells[0].weights == (0.75, 0.25)


def test_a_film_is_waited_for(client, tmp_path):
    stops = [{"weights": (1, 0)}, {"weights": (0, 1), "attributes": {"smile": 1}}]
    job = client.animate([Sample(1), Sample(2)], stops=stops, seconds=0.5, fps=10, size=128, loop="loop")
    assert job.kind == "animation"
    assert [recipe["attributes"] for recipe in job.recipes] == [{}, {"smile": 1.0}]
    told = []
    assert job.wait(lambda done, total: told.append((done, total)), timeout=60, every=0.05) is job
    assert told[-1] == (5, 5)
    with Image.open(job.save(tmp_path / "film.gif")) as film:
        assert len(list(ImageSequence.Iterator(film))) == 5
    assert client.job(job.id).state == "done"
    job.cancel()
    with pytest.raises(ApiError) as refusal:
        job.refresh()
    assert refusal.value.code == "job_gone"


def test_a_batch_of_a_list_and_of_an_archive(client, photos):
    items = [
        {"parents": [photos / "a.png", Sample(1)], "weights": [3, 1], "name": "first", "prompt": "older"},
        {"parents": [FaceId("nobody")]},
    ]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("pairs.csv", "a,b\na.png,sample:1\n")
        packed.write(photos / "a.png", "a.png")
    for job, count in (
        (client.batch(items), 2),
        (client.batch(archive.getvalue(), image_format="image/webp", portable=True), 1),
    ):
        with zipfile.ZipFile(io.BytesIO(job.wait(timeout=60, every=0.05).result())) as made:
            manifest = json.loads(made.read("manifest.json"))
            assert manifest["made"] == 1
            assert len(manifest["items"]) == count
            name = manifest["items"][0]["file"]
            assert name == ("0001-first.png" if count == 2 else "0001-a-sample1.webp")
            assert made.read(name)


def test_a_job_that_was_cancelled_says_so(client):
    job = client.animate([Sample(1), Sample(2)], seconds=30, fps=20, size=512, media_type="image/webp")
    with pytest.raises(TimeoutError, match="of 600 done"):
        job.wait(timeout=0)
    with pytest.raises(ApiError) as refusal:
        job.result()
    assert refusal.value.code == "job_unfinished"
    job.cancel()
    job.state = "cancelled"
    with pytest.raises(JobFailed, match="cancelled"):
        job.wait()


def test_what_can_be_asked_for(client):
    attributes = client.attributes()
    assert [one.name for one in attributes.attributes] == ["smile", "age"]
    assert any((word.word, word.attribute, word.value) == ("older", "age", 1.0) for word in attributes.words)
    prompt = client.prompt("older, blurp", "smile")
    assert (prompt.attributes, prompt.unknown) == ({"age": 1.0, "smile": -1.0}, ("blurp",))
    regions = client.regions()
    assert [region.name for region in regions] == ["eyes", "nose", "mouth", "skin", "hair", "frame"]
    assert regions[0].mask.data.startswith(b"\x89PNG")
    assert [model.status for model in client.models()].count("live") == 1
    one, other_ = client.sample(3), client.sample(3, seed=1, media_type="image/webp")
    assert opened(one).shape == (32, 32, 3)
    assert (opened(one) != opened(other_)).any()


def test_a_saved_recipe(client):
    saved = client.save_recipe(parents=[Sample(1), Sample(2)], weights=[1, 3], prompt="smiling", expires_in=600)
    assert saved.id in saved.url
    found = client.recipe(saved.id)
    assert found.available
    assert found.expires_at == saved.expires_at
    picture = client.recipe_picture(saved.id)
    np.testing.assert_array_equal(opened(client.replay(saved.id)), opened(picture))
    np.testing.assert_array_equal(opened(client.replay(found.recipe)), opened(picture))
    with pytest.raises(ApiError):
        client.delete_recipe(saved.id, "guessed")
    client.delete_recipe(saved.id, saved.delete_token)
    with pytest.raises(ApiError) as refusal:
        client.recipe(saved.id)
    assert refusal.value.status == 404


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda client: client.mix("anna.jpg"), TypeError),
        (lambda client: client.mix([Sample(1)], weights=[1, 2]), ValueError),
        (lambda client: client.mix([3]), TypeError),
        (lambda client: client.mix(["/nowhere/anna.jpg"]), FileNotFoundError),
    ],
)
def test_what_cannot_be_sent_is_refused_here(client, call, error):
    with pytest.raises(error):
        call(client)


def test_an_explanation_comes_with_its_maps_and_its_record(client, photos):
    found = client.explain([photos / "a.png", Sample(3)], weights=[3, 1], attributes={"smile": 1})
    assert [one["weight"] for one in found.parents] == [0.75, 0.25]
    assert set(found.pictures) == {"parent A", "parent B", "edit smile"}
    assert opened(found.pictures["parent A"]).shape[1] == 256
    assert found.closeness is None  # this model has no index
    assert found.record["recipe_sha256"]
    assert found.recipe["attributes"] == {"smile": 1.0}
    with pytest.raises(ApiError) as refused:
        client.record("chosen-by-me")
    assert refused.value.code == "record_missing"
