"""Whatever leaves is judged first, bears label and mark, and is signed; by whichever way it leaves."""

import base64
import io
import json
import re
import zipfile

import numpy as np
import pytest
from fake_mixer import FakeMixer
from PIL import Image, ImageSequence
from releasing import (
    PARENTS,
    PHOTOS,
    SIDE,
    XMP,
    LargeMixer,
    Left,
    embedded,
    hash_of_recipe,
    is_labelled,
    large,
    releasing,
)
from signing import camera
from web_client import opened, problem

from facemix.governance.controls import KillSwitch
from facemix.governance.receipts import Receipts
from facemix.safety import terms
from facemix.safety.guard import Match
from facemix.storage.database import Database
from facemix.storage.tables import ledger
from facemix.web import judging
from facemix.web.release import sample_recipe

MIX = "/api/v1/mix"
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FORM = {"files": {"face_a": PHOTOS[0]}, "data": {"sample_b": "3", "weight": "0.4", "consent": terms.VERSION}}
FILM = {"seconds": 0.5, "fps": 4, "size": 2 * SIDE}
DATA_URI = re.compile(r"data:(image/\w+);base64,([A-Za-z0-9+/=]+)")
FOUND = Match("somebody", 0.4, 0)


# --- the ways ----------------------------------------------------------------------------------------------


def mixed(here):
    made = here.post(MIX).json()
    named = hash_of_recipe(made["recipe"])
    yield embedded(made["image"], named)
    for media_type in ("image/png", "image/jpeg", "image/webp"):
        yield Left(here.post(MIX, headers={"Accept": media_type}).content, media_type, named)


def stripped(here):
    made = here.post("/api/v1/strip", {"steps": 5}).json()
    yield embedded(made["frames"], hash_of_recipe(made["recipe"]), 5)


def gridded(here):
    made = here.post("/api/v1/grids", {"kind": "weights"}).json()
    named = hash_of_recipe(made["cells"][len(made["cells"]) // 2]["recipe"])
    yield embedded(made["sheet"], named, len(made["cells"]))
    pairs = here.post("/api/v1/grids", {"kind": "pairs"}).json()  # some of its cells are one frame
    yield embedded(
        pairs["sheet"], hash_of_recipe(pairs["cells"][len(pairs["cells"]) // 2]["recipe"]), len(pairs["cells"])
    )
    for media_type in ("image/png", "image/jpeg", "image/webp"):
        sheet = here.post("/api/v1/grids", {"kind": "weights"}, headers={"Accept": media_type}).content
        yield Left(sheet, media_type, named, 0)


def saved(here):
    identity = here.post("/api/v1/recipes").json()["id"]
    named = hash_of_recipe(here.client.get(f"/api/v1/recipes/{identity}").json()["recipe"])
    yield Left(here.client.get(f"/api/v1/recipes/{identity}/picture").content, "image/png", named)
    yield Left(here.client.get(f"/r/{identity}/preview.png").content, "image/png", named, 0)


def sampled(here):
    model = here.client.app.state.facemix.loaded.model
    for kind in ("png", "jpeg", "webp"):
        content = here.client.get(f"/api/v1/samples/4?format={kind}").content
        yield Left(content, f"image/{kind}", sample_recipe(model, 4, 0).hash)


def filled_in(here):
    page = here.client.post("/", **FORM).text
    parents = [PARENTS[0] | {"weight": 0.6}, {"sample": 3, "weight": 0.4}]
    by_page = {"parents": parents, "detail": 1}  # the page asks for it by itself
    named = hash_of_recipe(here.post(MIX, by_page).json()["recipe"])
    model = here.client.app.state.facemix.loaded.model
    shown = [(kind, base64.b64decode(data)) for kind, data in DATA_URI.findall(page)]
    photo, sample, *results = shown
    assert here.signature(Left(photo[1], photo[0], "")) is None, "the crop of a person's own photograph"
    yield Left(sample[1], sample[0], sample_recipe(model, 3, 0).hash)
    assert results
    for kind, data in results:
        yield Left(data, kind, named)


def animated(here, *media_types):
    for media_type in media_types or ("image/gif", "image/webp", "video/mp4"):
        body = {**FILM, "media_type": media_type}
        named = here.post("/api/v1/animations", body).json()["recipes"][1]
        yield Left(here.result(here.job("/api/v1/animations", body)), media_type, hash_of_recipe(named), 0)


def batched(here):
    job = here.job("/api/v1/batches", {"parents": None, "items": [{"parents": PARENTS}] * 2, "image_format": None})
    with zipfile.ZipFile(io.BytesIO(here.result(job))) as made:
        for item in json.loads(made.read("manifest.json"))["items"]:
            yield Left(made.read(item["file"]), "image/png", hash_of_recipe(item["recipe"]))


def explained(here):
    made = here.post("/api/v1/explain", {"variation": {"number": 2, "radius": 0.5}}).json()
    assert len(made["parents"] + made["edits"]) == 3
    for one in made["parents"] + made["edits"]:
        yield embedded(one["picture"], hash_of_recipe(made["recipe"]), 0)


WAYS = {
    "POST /api/v1/mix": mixed,
    "POST /api/v1/strip": stripped,
    "POST /api/v1/grids": gridded,
    "GET /api/v1/recipes/{identity}/picture": saved,
    "GET /r/{identity}/preview.png": saved,
    "GET /api/v1/samples/{number}": sampled,
    "POST /": filled_in,
    "GET /api/v1/jobs/{identity}/result": (animated, batched),
    "POST /api/v1/explain": explained,
}
# Pictures of nothing that was mixed, and those that are looked at elsewhere in this file.
NO_RESULTS = {
    "POST /api/v1/faces": "crops of a person's own photograph",
    "GET /api/v1/regions": "masks",
    "GET /api/v1/reviews/{token}/picture": "held, as it would have left",
    "GET /console/review/{identity}/picture": "the same",
    "GET /models/{identity}/{name}": "published with the model",
}
PAGES = {
    "/": "without a form filled in",
    **dict.fromkeys(("/about", "/docs", "/gallery", "/privacy", "/problems/{code}", "/terms"), "text"),
    **dict.fromkeys(("/held/{token}", "/r/{identity}", "/r/{identity}/delete", "/report", "/verify"), "text"),
    **dict.fromkeys(("/model", "/models", "/models/terms", "/models/{identity}"), "published with the model"),
    **dict.fromkeys(("/metrics", "/openapi.json"), "for machines"),
}
POSTED_PAGES = {"/held/{token}/appeal", "/r/{identity}/delete", "/report", "/verify"}


def routes(app):
    waiting = list(app.routes)
    while waiting:
        one = waiting.pop()
        waiting += getattr(one, "routes", None) or getattr(getattr(one, "original_router", None), "routes", None) or []
        if hasattr(one, "path") and getattr(one, "methods", None):
            yield from ((method, one.path) for method in one.methods - {"HEAD"})


def shows_pictures(document, operation):
    """Whether an answer of it is a picture, or has one inside."""

    def named(schema, known):
        for name in set(re.findall(r'#/components/schemas/(\w+)"', json.dumps(schema))) - known:
            known.add(name)
            named(document["components"]["schemas"][name], known)
        return known

    contents = [content for answer in operation["responses"].values() for content in answer.get("content", {}).items()]
    return any(
        kind.startswith(("image/", "video/", "application/octet-stream"))
        or named(content.get("schema", {}), set()) & {"EmbeddedImage", "FrameSheet"}
        for kind, content in contents
    )


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    with releasing(tmp_path_factory.mktemp("here")) as made:
        yield made


def test_every_address_that_shows_a_result_is_looked_at(here):
    document = here.client.get("/openapi.json").json()
    described = document["paths"]
    showing = {
        f"{method.upper()} {path}"
        for path, methods in described.items()
        for method, operation in methods.items()
        if shows_pictures(document, operation)
    }
    # Of what the document leaves out only pages of text are known to show none.
    for method, path in routes(here.client.app):
        text = path in {"GET": PAGES, "POST": POSTED_PAGES}.get(method, ())
        text = text or (path.startswith("/console") and "picture" not in path)
        if path not in described and not text:
            showing.add(f"{method} {path}")
    assert showing == set(WAYS) | set(NO_RESULTS)


EVERY_WAY = (mixed, stripped, gridded, saved, sampled, filled_in, animated, batched, explained)


@pytest.mark.parametrize("way", EVERY_WAY, ids=lambda way: way.__name__)
def test_what_leaves_is_labelled_marked_and_signed(here, way):
    looked_at = 0
    for left in way(here):
        signed = here.signature(left)
        assert signed is not None, left.media_type
        assert (signed.state, signed.facts.recipe_hash) == ("ours", left.recipe_hash), left.media_type
        assert XMP in left.data
        frames = frames_of(left)
        assert all(is_labelled(frame) for frame in frames), left.media_type
        # What is no frame has its face in it, among other things.
        for pixels in frames if len(frames) else [] if left.media_type == "video/mp4" else [left.pixels]:
            assert here.mark(pixels, left.recipe_hash).recipe_hash == left.recipe_hash, left.media_type
        looked_at += 1
    assert looked_at


def frames_of(left):
    """The frames that can be told apart, `SIDE` pixels large."""
    if left.squares:
        return left.frames()
    if left.media_type == "video/mp4":
        return []
    with Image.open(io.BytesIO(left.data)) as film:
        if not getattr(film, "is_animated", False):
            return []
        return [np.asarray(one.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX))
                for one in ImageSequence.Iterator(film)]  # fmt: skip


def test_the_ledger_has_the_recipes_that_marks_name(tmp_path):
    named = set()
    with releasing(tmp_path) as here:
        for way in (mixed, stripped, gridded, saved, sampled, explained):
            named |= {left.recipe_hash for left in way(here)}
        named |= {left.recipe_hash for left in animated(here, "image/webp")}
    assert named <= {row["recipe_hash"] for row in rows(tmp_path)}


def rows(folder):
    with Database.open(f"sqlite:///{folder / 'facemix.sqlite3'}") as database, database.reading() as connection:
        return [dict(row) for row in connection.execute(ledger.select()).mappings()]


def test_the_crops_of_a_face_report_are_left_as_they_are(here):
    found = here.client.post("/api/v1/faces", files={"image": PHOTOS[0]}).json()["faces"][0]
    crop = embedded(found["crop"], "")
    assert here.signature(crop) is None
    assert XMP not in crop.data
    assert here.mark(crop.pixels) is None


# --- switched off ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("off", ["label", "mark", "credentials"])
def test_each_of_them_can_be_switched_off(tmp_path, off):
    with releasing(tmp_path, **{off: False}) as here:
        lefts = [left for way in (mixed, stripped, saved, sampled) for left in way(here)]
        lefts += animated(here, "image/gif", "image/webp")
        for left in lefts:
            if off == "credentials":
                assert XMP not in left.data
                assert b"c2pa" not in left.data
            else:
                assert here.signature(left).state == "ours"
            for frame in frames_of(left):
                assert is_labelled(frame) == (off != "label")
                assert here.is_marked(frame) == (off != "mark")


def test_with_all_switched_off_the_pixels_are_the_model_s_own(tmp_path):
    with releasing(tmp_path, label=False, mark=False, credentials=False) as here:
        picture = here.client.get("/api/v1/samples/4?format=png").content
        assert np.array_equal(opened(picture), large(FakeMixer().draw(4, 0)))


def test_a_sample_that_was_kept_before_a_switch_is_not_taken_for_the_same(tmp_path):
    tags = []
    for label in (True, False):
        with releasing(tmp_path, label=label) as here:
            answer = here.client.get("/api/v1/samples/4", headers={"If-None-Match": tags[0] if tags else "x"})
            assert answer.status_code == 200
            tags.append(answer.headers["etag"])
            assert here.client.get("/api/v1/samples/4", headers={"If-None-Match": tags[-1]}).status_code == 304


# --- ingredients -------------------------------------------------------------------------------------------


def test_what_a_photograph_says_of_its_making_goes_along(here, tmp_path):
    photo = camera(tmp_path)

    def ingredients(parents):
        content = here.post(MIX, {"parents": parents}, headers={"Accept": "image/png"}).content
        return here.marker.credentials.read(content, "image/png").ingredients

    plain = {"sample": 3}
    assert ingredients(PARENTS) == 0
    assert ingredients([{"image": base64.b64encode(photo).decode()}, plain]) == 1
    face = here.client.post("/api/v1/faces", files={"image": photo}).json()["faces"][0]["id"]
    assert ingredients([{"face_id": face}, plain]) == 1
    assert ingredients([{"face_id": face}, {"face_id": face}]) == 1
    file = here.client.get(f"/api/v1/faces/{face}/latent").json()
    assert here.client.request("DELETE", f"/api/v1/faces/{face}").status_code == 204
    back = here.client.post("/api/v1/latents", json=file).json()["id"]
    assert ingredients([{"face_id": back}, plain]) == 1
    film = next(animated_of(here, [{"face_id": back}, plain]))
    assert here.signature(film).ingredients == 1


def animated_of(here, parents):
    job = here.job("/api/v1/animations", {**FILM, "parents": parents, "media_type": "image/webp"})
    yield Left(here.result(job), "image/webp", "", 0)


# --- held --------------------------------------------------------------------------------------------------


HOLDABLE = {
    "mix": (MIX, {}),
    "strip": ("/api/v1/strip", {"steps": 3}),
    "grid": ("/api/v1/grids", {"kind": "weights"}),
    "explanation": ("/api/v1/explain", {}),
    "saved recipe": ("/api/v1/recipes", {}),
    "animation": ("/api/v1/animations", {**FILM, "media_type": "image/webp"}),
}


@pytest.fixture
def guarded(here):
    here.guard.found = FOUND
    yield here
    here.guard.found = None


def approve(here, *, reject=False):
    """Decides on the newest review."""
    review = max(here.governed.reviews.list(), key=lambda one: one.created_at)
    if reject:
        return here.governed.reviews.reject(review.id, 1, actor="ana", reason="likeness")
    return here.governed.reviews.approve(review.id, 1, actor="ana", reason="fine")


@pytest.mark.parametrize("what", HOLDABLE)
def test_what_is_held_is_answered_without_it_and_given_out_when_approved(guarded, what):
    path, body = HOLDABLE[what]
    # Another recipe each time, so that no test meets the decision of another.
    body = {**body, "seed": 1 + list(HOLDABLE).index(what), "parents": [*PARENTS, {"sample": 1}][-2:]}
    answer = guarded.post(path, body)
    assert answer.status_code == 202
    told = answer.json()
    assert (told["state"], told["code"]) == ("pending", "held_for_review")
    assert told["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["location"] == told["status_url"]
    assert "base64" not in answer.text
    status = told["status_url"].removeprefix("http://facemix.test")
    assert guarded.client.get(status).json()["picture_url"] is None
    assert guarded.client.get(f"{status}/picture").status_code == 404
    approve(guarded)
    ready = guarded.client.get(status).json()
    assert ready["state"] == "approved"
    picture = guarded.client.get(ready["picture_url"].removeprefix("http://facemix.test"))
    left = Left(picture.content, "image/png", "")
    signed = guarded.signature(left)
    assert signed.state == "ours"
    assert is_labelled(left.pixels)
    assert guarded.mark(left.pixels, signed.facts.recipe_hash).recipe_hash == signed.facts.recipe_hash
    again = guarded.post(path, body)
    assert again.json().get("code") is None


def test_a_rejected_mix_is_withheld(guarded):
    body = {"parents": [{"sample": 41}, {"sample": 42}]}
    assert guarded.post(MIX, body).status_code == 202
    approve(guarded, reject=True)
    answer = guarded.client.post(MIX, json=body)
    assert answer.status_code == 422
    assert answer.json()["code"] == "result_withheld"


def test_the_form_leads_to_the_page_of_what_is_held(guarded):
    answer = guarded.client.post("/", **FORM, headers=HTML)
    assert answer.status_code == 303
    page = guarded.client.get(answer.headers["location"], headers=HTML)
    assert page.status_code == 200
    assert "base64" not in page.text


def test_a_job_fails_with_where_to_look(here):
    """A face between two stops may resemble somebody whom neither of them does."""
    here.guard.match = lambda frames, *, path=False: FOUND if path else None
    try:
        job = here.job("/api/v1/animations", {**FILM, "seed": 77, "media_type": "image/webp"})
        assert (job["state"], job["problem"]["code"]) == ("failed", "held_for_review")
        page = re.search(r"/held/[\w-]{43}", job["problem"]["hint"])[0]
        assert here.client.get(page, headers=HTML).status_code == 200
        approve(here)
        again = here.job("/api/v1/animations", {**FILM, "seed": 77, "media_type": "image/gif"})
        assert again["state"] == "done", "one decision holds for all of the film, in whatever file"
    finally:
        del here.guard.match


def test_of_a_batch_only_what_matches_is_held(here):
    here.guard.match = lambda frames, *, path=False: FOUND if frames[0, 0, 0, 0] == marked else None
    parents = [[{"sample": number}, {"sample": number}] for number in (51, 52)]
    marked = large(FakeMixer().draw(52, 0))[0, 0, 0]
    try:
        job = here.job("/api/v1/batches", {"parents": None, "items": [{"parents": one} for one in parents]})
        with zipfile.ZipFile(io.BytesIO(here.result(job))) as made:
            first, second = json.loads(made.read("manifest.json"))["items"]
        assert "file" in first
        assert second["problem"]["code"] == "held_for_review"
        assert re.search(r"/held/[\w-]{43}", second["problem"]["hint"])
    finally:
        del here.guard.match


def test_a_sample_may_resemble_somebody_too(here, monkeypatch):
    monkeypatch.setattr(judging, "LATELY_SECONDS", 0)
    path = "/api/v1/samples/31?format=png"
    assert here.client.get(path).status_code == 200
    here.guard.found = FOUND
    try:
        assert here.client.get(path).status_code == 200, "it was let out before"
        points = np.ones((1, 4), np.float32)
        gallery = here.governed.gallery
        person = gallery.enroll(points, "somebody", "asked by letter", "command line", embedder="e")
        assert here.client.get(path).status_code == 202
        fields = {"sample_a": "31", "sample_b": "3", "weight": "0.4"}
        page = here.client.post("/", files={name: (None, value) for name, value in fields.items()}, headers=HTML)
        assert page.status_code == 303
    finally:
        here.guard.found = None
    gallery.remove(person, "command line")


def test_what_was_held_is_done_again_for_the_same_idempotency_key(guarded):
    body = {"parents": [{"sample": 61}, {"sample": 62}]}
    key = {"headers": {"Idempotency-Key": "0e3b9b62-9a2c-4a53"}}
    assert guarded.post("/api/v1/recipes", body, **key).status_code == 202
    assert guarded.post("/api/v1/recipes", body, **key).status_code == 202
    approve(guarded)
    made = guarded.post("/api/v1/recipes", body, **key)
    assert made.status_code == 201
    assert guarded.post("/api/v1/recipes", body, **key).json() == made.json()


def test_the_ledger_says_that_it_was_held(tmp_path):
    with releasing(tmp_path) as here:
        here.guard.found = FOUND
        recipe = sample_recipe(here.client.app.state.facemix.loaded.model, 3, 0)
        assert here.client.get("/api/v1/samples/3").status_code == 202
        assert here.post(MIX).status_code == 202
        assert here.client.post("/", **FORM, headers=HTML).status_code == 303
        job = here.job("/api/v1/batches", {"parents": None, "items": [{"parents": PARENTS}]})
        assert job["state"] == "done"
        here.guard.match = lambda frames, *, path=False: FOUND if path else None
        assert here.job("/api/v1/animations", {**FILM, "media_type": "image/webp"})["state"] == "failed"
    found = {row["route"]: row for row in rows(tmp_path)}
    held = {route for route, row in found.items() if row["outcome"] == "held"}
    assert held == {"GET /api/v1/samples/{number}", "POST /api/v1/mix", "POST /", "JOB animation"}
    for route in held:
        assert found[route]["reason"] == "held_for_review"
    assert found["GET /api/v1/samples/{number}"]["recipe_hash"] == recipe.hash
    assert found["POST /api/v1/mix"]["recipe_hash"]
    assert found["POST /api/v1/animations"]["outcome"] == "kept"


def test_a_low_margin_waits_for_a_reviewer_where_there_is_one(tmp_path):
    class Doubtful(LargeMixer):
        async def mix(self, *given, **options):
            made = await super().mix(*given, **options)
            return type(made)(**{**made.__dict__, "margin": 0.03})

    with releasing(tmp_path, Doubtful()) as here:
        assert here.post(MIX).status_code == 200
        here.governed.operators.create("ana", "long words of ana", "reviewer", actor="command line")
        assert here.post(MIX).status_code == 200, "noticed within seconds"
    with releasing(tmp_path, Doubtful()) as here:
        assert here.post(MIX).status_code == 202
        (review,) = here.governed.reviews.list()
        assert review.trigger == "margin"


def test_of_the_random_share_the_reviewer_gets_what_was_given_out(tmp_path):
    with releasing(tmp_path, review_share=1.0) as here:
        here.governed.operators.create("ana", "long words of ana", "reviewer", actor="command line")
        given = here.post(MIX, headers={"Accept": "image/png"}).content
        (review,) = here.governed.reviews.list()
        shown = here.governed.reviews.picture(review.id, actor="ana").content
        assert np.array_equal(opened(shown), opened(given))
        assert here.client.get("/api/v1/samples/3").status_code == 200
        assert len(here.governed.reviews.list()) == 1, "samples and the frames of films are not drawn"


def test_the_page_of_a_deletion_shows_a_receipt(here):
    one = here.post("/api/v1/recipes").json()
    answer = here.client.post(f"/r/{one['id']}/delete", data={"token": one["delete_token"]}, headers=HTML)
    receipt = re.search(r"<code[^>]*>(\S+\.\S+\.\S+)</code>", answer.text)[1]
    read = Receipts(here.governed.secrets).read(receipt)
    assert read.kind == "recipe"
    assert read.is_of(one["id"])


# --- switched off by the operator --------------------------------------------------------------------------


@pytest.fixture
def halted(here):
    here.governed.controls.kill("looking into a report", actor="ana")
    turn(here, KillSwitch(True, "looking into a report", "ana"))
    yield here
    here.governed.controls.resume(actor="ana")
    turn(here, KillSwitch(False))


def turn(here, switch):
    async def now():
        here.client.app.state.facemix.halt.turn(switch)

    here.client.portal.call(now)


@pytest.mark.parametrize("path", [*(path for path, _ in HOLDABLE.values()), "/api/v1/batches"])
def test_while_it_is_stopped_nothing_is_generated(halted, path):
    body = dict(HOLDABLE.values()).get(path, {"parents": None, "items": [{"parents": PARENTS}]})
    body = {"parents": PARENTS} | body
    problem(halted.client.post(path, json={name: value for name, value in body.items() if value}), 503, "halted")


def test_while_it_is_stopped_neither_page_nor_samples_are_drawn(halted):
    problem(halted.client.get("/api/v1/samples/99"), 503, "halted")
    page = halted.client.post("/", **FORM, headers=HTML)
    assert page.status_code == 503
    assert "looking into a report" in page.text


def test_while_it_is_stopped_all_else_goes_on(here, tmp_path):
    saved_one = here.post("/api/v1/recipes").json()
    result = here.client.get(f"/api/v1/recipes/{saved_one['id']}/picture").content
    face = here.client.post("/api/v1/faces", files={"image": PHOTOS[0]}).json()["faces"][0]["id"]
    turn(here, KillSwitch(True, "looking into a report", "ana"))
    try:
        for path in ("/", "/healthz", "/readyz", "/api/v1/model", "/about", "/gallery", "/docs", "/verify", "/terms"):
            assert here.client.get(path, headers=HTML).status_code == 200, path
        assert here.client.get(f"/r/{saved_one['id']}", headers=HTML).status_code == 200
        assert here.client.get(f"/api/v1/recipes/{saved_one['id']}/picture").content == result
        assert here.client.post("/api/v1/verify", files={"file": result}).json()["verdict"] == "signed"
        assert here.client.request("DELETE", f"/api/v1/faces/{face}").status_code == 204
        token = {"X-Facemix-Delete-Token": saved_one["delete_token"]}
        assert here.client.request("DELETE", f"/api/v1/recipes/{saved_one['id']}", headers=token).status_code == 204
        assert here.client.get("/console/sign-in").status_code == 200
    finally:
        turn(here, KillSwitch(False))
