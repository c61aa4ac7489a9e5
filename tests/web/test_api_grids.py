"""Grids of mixes: what stands in each cell, and what is refused."""

import base64
import json

import numpy as np
import pytest
from fake_mixer import CROP, FakeMixer, fake_directions
from files import png
from looking import here
from made_directions import made_directions
from one_thread import one_thread  # noqa: F401 (pytest finds it here)
from portraits import head
from tiny import tiny_checkpoint
from web_client import CAT, OTHER, PHOTO, files, opened, problem, running

from facemix.faces.centerface import CenterFace
from facemix.faces.finder import FaceFinder
from facemix.serving.engine import Engine
from facemix.serving.mixer import Mixer
from facemix.vae.checkpoint import read_card
from facemix.web.parents import frames_of

GRIDS, MIX = "/api/v1/grids", "/api/v1/mix"
B64, B64_OTHER = (base64.b64encode(photo).decode() for photo in (PHOTO, OTHER))
SAMPLES = [{"sample": number} for number in range(1, 5)]


def grid(client, kind, parents, **body):
    """The answer as JSON, and the pictures of its cells, (rows, columns, S, S, 3)."""
    answer = client.post(GRIDS, json={"kind": kind, "parents": parents, "image_format": "image/png", **body})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return found, cells_of(found)


def cells_of(found):
    sheet = found["sheet"]
    assert (sheet["rows"], sheet["columns"]) == (found["rows"], found["columns"])
    assert sheet["count"] == len(found["cells"]) == found["rows"] * found["columns"]
    assert len(found["row_labels"]) == found["rows"]
    assert len(found["column_labels"]) == found["columns"]
    places = [(cell["row"], cell["column"]) for cell in found["cells"]]
    assert places == [(row, column) for row in range(found["rows"]) for column in range(found["columns"])]
    pixels = opened(base64.b64decode(sheet["base64"]))
    height, width = sheet["frame_height"], sheet["frame_width"]
    return pixels.reshape(found["rows"], height, found["columns"], width, 3).swapaxes(1, 2)


def weights_of(found):
    """(rows, columns, parents)"""
    return np.array([cell["weights"] for cell in found["cells"]]).reshape(found["rows"], found["columns"], -1)


def drawn_again(client, recipe, **photos):
    if photos:
        answer = client.post(MIX, data={"recipe": json.dumps(recipe)}, files=files(**photos))
    else:
        answer = client.post(MIX, json={"recipe": recipe})
    assert answer.status_code == 200, answer.text
    assert answer.json()["recipe"] == recipe
    return opened(base64.b64decode(answer.json()["image"]["base64"]))


# --- what stands where -------------------------------------------------------------------------------------


def test_weights_have_a_row_for_each_further_parent_and_rising_shares(client):
    found, cells = grid(client, "weights", SAMPLES[:3], columns=3)
    assert weights_of(found).tolist() == [[[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0]], [[1, 0, 0], [0.5, 0, 0.5], [0, 0, 1]]]
    assert (found["row_labels"], found["column_labels"]) == (["B", "C"], ["0 %", "50 %", "100 %"])
    drawn = [FakeMixer().draw(number, 0) for number in (1, 2, 3)]
    for row in (0, 1):
        np.testing.assert_array_equal(cells[row, 0], drawn[0])
        np.testing.assert_array_equal(cells[row, 2], drawn[1 + row])


def test_pairs_are_every_parent_with_every_other(client):
    found, cells = grid(client, "pairs", SAMPLES[:3])
    expected = (np.eye(3)[:, None] + np.eye(3)[None]) / 2
    assert weights_of(found).tolist() == expected.tolist()
    np.testing.assert_array_equal(cells, cells.swapaxes(0, 1))
    for place in range(3):
        np.testing.assert_array_equal(cells[place, place], FakeMixer().draw(place + 1, 0))


def test_corners_are_the_parents_and_what_lies_between_is_bilinear(client):
    found, cells = grid(client, "corners", SAMPLES, rows=2, columns=3)
    weights = weights_of(found)
    assert weights[0].tolist() == [[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 1, 0, 0]]
    assert weights[1].tolist() == [[0, 0, 1, 0], [0, 0, 0.5, 0.5], [0, 0, 0, 1]]
    corners = cells[[0, 0, 1, 1], [0, 2, 0, 2]]
    np.testing.assert_array_equal(corners, [FakeMixer().draw(number, 0) for number in (1, 2, 3, 4)])


def test_variations_are_neighbours_of_the_mix_by_number(client):
    parents = [{"sample": 1, "weight": 3}, {"sample": 2, "weight": 1}]
    found, cells = grid(client, "variations", parents, rows=2, columns=3, radius=0.5, first=7)
    recipes = [cell["recipe"] for cell in found["cells"]]
    assert [recipe["variation"] for recipe in recipes] == [{"number": 7 + at, "radius": 0.5} for at in range(6)]
    assert {tuple(cell["weights"]) for cell in found["cells"]} == {(0.75, 0.25)}
    assert found["row_labels"] == ["7", "10"]
    assert found["column_labels"] == ["+0", "+1", "+2"]
    assert len({cell.tobytes() for row in cells for cell in row}) == 6


@pytest.mark.parametrize(
    ("body", "rows", "columns"),
    [
        ({"kind": "weights", "parents": SAMPLES[:3]}, 2, 5),
        ({"kind": "pairs", "parents": SAMPLES[:2]}, 2, 2),
        ({"kind": "corners", "parents": SAMPLES}, 5, 5),
        ({"kind": "variations", "parents": SAMPLES[:1]}, 3, 3),
    ],
)
def test_every_kind_has_a_size_of_its_own(client, body, rows, columns):
    found = client.post(GRIDS, json=body).json()
    assert (found["kind"], found["rows"], found["columns"]) == (body["kind"], rows, columns)
    assert found["sheet"]["media_type"] == "image/webp"


def test_every_cell_is_the_mix_of_its_recipe():
    edits = {
        "prompt": "older",
        "attributes": {"smile": -1},
        "regions": {"eyes": [1, 0]},
        "colour": [0, 2],
        "vividness": 0.25,
    }
    parents = [{"image": B64}, {"image": B64_OTHER}]
    with running(lambda: FakeMixer(attributes=fake_directions())) as client:
        for kind in ("weights", "pairs", "variations"):
            found, cells = grid(client, kind, parents, **edits)
            for cell in found["cells"]:
                assert cell["recipe"]["attributes"] == {"age": 1, "smile": -1}
                assert cell["weights"] == [parent["weight"] for parent in cell["recipe"]["parents"]]
                again = drawn_again(client, cell["recipe"], photo_0=PHOTO, photo_1=OTHER)
                np.testing.assert_array_equal(again, cells[cell["row"], cell["column"]])


def test_portable_recipes_need_no_photo(client):
    found, cells = grid(client, "weights", [{"image": B64}, {"sample": 4}], columns=2, portable=True)
    for cell in found["cells"]:
        assert [parent["kind"] for parent in cell["recipe"]["parents"]] == ["latent", "sample"]
        np.testing.assert_array_equal(drawn_again(client, cell["recipe"]), cells[cell["row"], cell["column"]])
    assert [(face["source"], face["index"]) for face in found["faces"]] == [("photo", 0), ("sample", None)]
    assert found["faces"][0]["box"] is not None


def test_faces_are_described_once_and_words_are_explained():
    with running(lambda: FakeMixer(attributes=fake_directions())) as client:
        found, _ = grid(client, "weights", [{"image": B64}, {"sample": 2}], prompt="oldr")
    assert [face["where"] for face in found["faces"]] == ["parents.0", "parents.1"]
    assert [note["code"] for note in found["notes"]] == ["unknown_words"]


def test_a_kept_face_can_be_in_a_grid(client):
    face = client.post("/api/v1/faces", files=files(image=PHOTO)).json()["faces"][0]["id"]
    by_id = grid(client, "pairs", [{"face_id": face}, {"sample": 2}])
    by_photo = grid(client, "pairs", [{"image": B64}, {"sample": 2}])
    np.testing.assert_array_equal(by_id[1], by_photo[1])
    assert by_id[0]["cells"] == by_photo[0]["cells"]


@pytest.mark.parametrize("kind", ["png", "webp", "jpeg"])
def test_accept_gives_one_sheet_with_labels(client, kind):
    body = {"kind": "weights", "parents": SAMPLES[:3], "columns": 4}
    answer = client.post(GRIDS, json=body, headers={"Accept": f"image/{kind}"})
    assert answer.headers["content-type"] == f"image/{kind}"
    assert answer.headers["x-facemix-model"] == "fake-32@abababababab"
    assert "Accept" in answer.headers["vary"]
    assert "write;dur=" in answer.headers["server-timing"]
    height, width = opened(answer.content).shape[:2]
    assert height > 2 * CROP
    assert width > 4 * CROP


def test_what_a_grid_takes_is_accounted_for(client, monkeypatch):
    asked = []
    monkeypatch.setattr("facemix.web.api_grids.frames_of", lambda *given: asked.append(frames_of(*given)) or asked[-1])
    answer = client.post(GRIDS, json={"kind": "pairs", "parents": [{"image": B64}, *SAMPLES[:2]], "colour": [1, 0, 0]})
    # One to encode; a picture and one for the colours of each of A, B, C, AB, AC and BC, which stand there twice.
    assert asked == [1 + 6 * 2]
    assert "decode;dur=" in answer.headers["server-timing"]


def test_a_grid_is_refused_when_it_does_not_fit_and_gives_its_place_back():
    with running(max_queue=8) as client:
        body = {"kind": "corners", "parents": SAMPLES, "rows": 2, "columns": 4}
        with client.app.state.facemix.admission.ticket(1):
            assert int(client.post(GRIDS, json=body).headers["retry-after"]) > 0
        for _ in range(2):
            bad = {**body, "parents": [*SAMPLES[:3], {"image": base64.b64encode(CAT).decode()}]}
            problem(client.post(GRIDS, json=bad), 422, "face_not_found", "parents.3")
            assert client.post(GRIDS, json=body).status_code == 200


# --- the real mixer ----------------------------------------------------------------------------------------


def test_every_cell_is_the_mix_of_its_recipe_by_the_model(tmp_path):
    folder = tiny_checkpoint(tmp_path)
    made_directions(read_card(folder)).save(folder)

    def mixer():
        return Mixer(Engine(folder, device="cpu"), here(FaceFinder(CenterFace(threads=1))))

    photo = png(head())
    parents = [{"image": base64.b64encode(photo).decode()}, {"sample": 3}, {"sample": 9}]
    edits = {"attributes": {"smile": 2}, "regions": {"mouth": [0, 1, 0]}, "colour": [0, 0, 1], "seed": 5}
    with running(mixer) as client:
        plain, plain_cells = grid(client, "weights", parents, columns=3)
        edited, edited_cells = grid(client, "variations", parents, rows=2, columns=2, **edits)
        portable, portable_cells = grid(client, "pairs", parents, portable=True)
        checked = [(plain, plain_cells, {"photo_0": photo}), (edited, edited_cells, {"photo_0": photo})]
        for found, cells, photos in (*checked, (portable, portable_cells, {})):
            assert abs(cells[0, 0].astype(int) - cells[-1, -1]).mean() > 3
            for cell in found["cells"]:
                again = drawn_again(client, cell["recipe"], **photos).astype(int)
                # The latents are equal bit for bit, but a convolution over many pictures may add up in another order.
                difference = abs(again - cells[cell["row"], cell["column"]])
                assert difference.max() <= 2
                assert (difference > 0).mean() < 0.01


# --- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"kind": "corners", "parents": SAMPLES[:3]}, "parents"),
        ({"kind": "corners", "parents": [*SAMPLES, {"sample": 9}]}, "parents"),
        ({"kind": "weights", "parents": SAMPLES[:1]}, "parents"),
        ({"kind": "pairs", "parents": SAMPLES[:1]}, "parents"),
        ({"kind": "pairs", "parents": []}, "parents"),
        ({"kind": "pairs"}, "parents"),
        ({"kind": "pairs", "parents": [{"sample": 1}] * 9}, "parents"),  # more faces than in a mix
        ({"kind": "pairs", "parents": [{"sample": 1}] * 33}, "parents"),
        ({"kind": "corners", "parents": SAMPLES, "rows": 9, "columns": 8}, "columns"),
        ({"kind": "corners", "parents": SAMPLES, "rows": 33}, "rows"),
        ({"kind": "corners", "parents": SAMPLES, "rows": 10**30}, "rows"),
        ({"kind": "corners", "parents": SAMPLES, "rows": 2.5}, "rows"),
        ({"kind": "corners", "parents": SAMPLES, "rows": "3"}, "rows"),
        ({"kind": "corners", "parents": SAMPLES, "rows": 0}, "rows"),
        ({"kind": "corners", "parents": SAMPLES, "rows": 1}, "rows"),
        ({"kind": "corners", "parents": SAMPLES, "columns": 1}, "columns"),
        ({"kind": "weights", "parents": SAMPLES, "columns": 1}, "columns"),
        ({"kind": "weights", "parents": SAMPLES, "columns": -3}, "columns"),
        ({"kind": "weights", "parents": SAMPLES, "rows": 3}, "rows"),
        ({"kind": "weights", "parents": SAMPLES, "radius": 0.5}, "radius"),
        ({"kind": "pairs", "parents": SAMPLES, "columns": 4}, "columns"),
        ({"kind": "pairs", "parents": SAMPLES, "first": 0}, "first"),
        ({"kind": "variations", "parents": SAMPLES, "radius": 0}, "radius"),
        ({"kind": "variations", "parents": SAMPLES, "radius": 1.5}, "radius"),
        ({"kind": "variations", "parents": SAMPLES, "first": 2**31 - 4}, "first"),
        ({"kind": "variations", "parents": SAMPLES, "first": -1}, "first"),
        ({"kind": "variations", "parents": SAMPLES, "variation": {"number": 1, "radius": 0.5}}, "variation"),
        ({"kind": "tiles", "parents": SAMPLES}, "kind"),
        ({"parents": SAMPLES}, "kind"),
        ({"kind": "pairs", "parents": SAMPLES, "steps": 3}, "steps"),
        ({"kind": "pairs", "parents": [{"sample": 1}, {"photo": "x"}]}, "parents.1.photo"),
        ({"kind": "pairs", "parents": [{"sample": 1}, {"image": "http://faces.example/a.jpg"}]}, "parents.1"),
        ({"kind": "pairs", "parents": [{"sample": 1, "weight": 1}, {"sample": 2}]}, "parents"),
        ({"kind": "variations", "parents": [{"sample": 1, "weight": 1e7}]}, "parents.0.weight"),
        ({"kind": "pairs", "parents": SAMPLES[:2], "attributes": {"age": 4}}, "attributes.age"),
        ({"kind": "pairs", "parents": SAMPLES[:2], "prompt": "a" * 10_000}, "prompt"),
        ({"kind": "pairs", "parents": SAMPLES[:2], "image_format": "image/gif"}, "image_format"),
        ({"kind": "pairs", "parents": SAMPLES[:2], "portable": 1}, "portable"),
        ([], None),
    ],
)
def test_grids_that_cannot_be_drawn_are_refused(client, body, where):
    problem(client.post(GRIDS, json=body), 422, "request_invalid", where)


@pytest.mark.parametrize(
    ("edits", "where"),
    [
        ({"regions": {"eyes": [1, 0, 0]}}, "regions.eyes"),
        ({"regions": {"eyes": [0, 0]}}, "regions.eyes"),
        ({"colour": [1]}, "colour"),
        ({"attributes": {"beauty": 1}}, "attributes"),
    ],
)
def test_edits_that_fit_no_cell_are_refused(edits, where):
    with running(lambda: FakeMixer(attributes=fake_directions())) as client:
        answer = client.post(GRIDS, json={"kind": "pairs", "parents": SAMPLES[:2], **edits})
        problem(answer, 422, "recipe_invalid", where)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("name", ["radius", "vividness", "rows"])
def test_numbers_that_are_none_are_refused(client, number, name):
    content = f'{{"kind": "variations", "parents": [{{"sample": 1}}], "{name}": {number}}}'
    answer = client.post(GRIDS, content=content, headers={"Content-Type": "application/json"})
    problem(answer, 422, "request_invalid", name)


def test_a_model_without_directions_moves_no_attributes(client):
    body = {"kind": "pairs", "parents": SAMPLES[:2], "prompt": "older"}
    problem(client.post(GRIDS, json=body), 409, "attributes_missing", "prompt")


def test_faces_that_are_gone_are_refused(client):
    body = {"kind": "pairs", "parents": [{"sample": 1}, {"face_id": "x" * 22}]}
    problem(client.post(GRIDS, json=body), 404, "face_gone", "parents.1")


def test_only_json_is_read_and_only_pictures_or_json_are_given(client):
    problem(client.post(GRIDS, files=files(face_a=PHOTO)), 415, "media_type_unsupported")
    problem(client.post(GRIDS, json={}, headers={"Accept": "text/html"}), 406, "not_acceptable")


def test_the_operator_says_how_many_cells_there_may_be():
    body = {"kind": "corners", "parents": SAMPLES, "rows": 3, "columns": 3}
    with running(max_cells=8) as client:
        assert "at most 8" in problem(client.post(GRIDS, json=body), 422, "request_invalid", "columns")["hint"]
        assert client.post(GRIDS, json={**body, "columns": 2}).status_code == 200
