"""The panels that results come out of: films, files, the lines that make a result again, and links."""

import ast
import itertools
import json
import os
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from browsing import difference, filled, mix_two, mixed, rested, says, until
from in_panels import asks, body_of, mixed_by, own_picture, pixels, same_pixels, show, slide, sources, studio
from PIL import Image

pytestmark = [pytest.mark.slow, pytest.mark.browser]

# Names of files that a shell, curl or a program would take for something else.
NASTY = ['it\'s "$HOME" `id`; a,b\\.jpg', "-o evil.jpg", "@x <y> *?.jpg", "ünï\n.jpg", "sample:3"]


# --- animate -----------------------------------------------------------------------------------------------


def film(page) -> bytes:
    """The film that is shown."""
    page.wait_for_selector("#animation:not([hidden])")
    until(page, "document.getElementById('job').hidden")
    with page.expect_download() as download:
        page.click("#animation-save")
    return download.value.path().read_bytes()


def test_one_click_goes_from_a_to_b_and_back(visit):
    page = studio(visit, 1, 4, panel="animate")
    page.fill("#way-seconds", "1")
    page.fill("#way-fps", "8")
    page.select_option("#way-size", "128")
    page.click("#quick")
    says(page, "Done: GIF")
    with Image.open(BytesIO(film(page))) as picture:
        assert (picture.format, picture.n_frames, picture.size) == ("GIF", 8, (128, 128))
        frames = []
        for number in range(8):
            picture.seek(number)
            frames.append(np.asarray(picture.convert("RGB")))
    assert difference(frames[0], frames[4]) > 5
    assert difference(frames[1], frames[7]) < 2


def test_stops_are_put_in_order_and_made_into_a_film(visit):
    page = studio(visit, 1, 4, panel="animate")
    page.click("#stop-add")
    for letter in "ab":
        page.fill(f"#share-{letter}", "100")
        page.keyboard.press("Enter")
        rested(page)
        page.click("#stop-add")
    thumbs = sources(page, "#stops img")
    assert len(thumbs) == len(set(thumbs)) == 3
    page.get_by_label("Move stop 3 earlier").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    moved = sources(page, "#stops img")
    assert moved == [thumbs[2], thumbs[0], thumbs[1]]
    page.get_by_label("Remove stop 2").click()
    page.select_option("#way-type", "image/webp")
    page.select_option("#way-loop", "once")
    page.fill("#way-seconds", "0.5")
    page.fill("#way-fps", "10")
    with asks(page, "animations") as asked:
        page.click("#animate-make")
    body = body_of(asked.value)
    assert [stop["weights"] for stop in body["stops"]] == [[0, 1], [1, 0]]
    assert asked.value.headers["idempotency-key"]
    says(page, "Done: WEBP")
    with Image.open(BytesIO(film(page))) as picture:
        assert (picture.format, picture.n_frames) == ("WEBP", 5)
    page.get_by_label("Show stop 2 in the studio").click()
    assert page.input_value("#share-a") == "100"


def test_stops_of_different_faces_and_regions_become_faces_themselves(visit):
    page = studio(visit, 1, 4, panel="animate")
    page.click("#stop-add")
    show(page, "regions")
    page.click("[data-region=mouth]")
    page.get_by_label("Mouth: all from A").click()
    rested(page)
    show(page, "animate")
    page.click("#stop-add")
    page.select_option("#way-type", "image/webp")
    page.fill("#way-seconds", "0.5")
    with asks(page, "animations") as asked:
        page.click("#animate-make")
    parents = body_of(asked.value)["parents"]
    assert [set(parent) for parent in parents] == [{"recipe", "weight"}] * 2
    assert parents[1]["recipe"]["regions"] == {"mouth": [1.0, 0.0]}
    says(page, "Done: WEBP")


def test_a_film_for_every_player(visit):
    pytest.importorskip("imageio_ffmpeg")
    page = studio(visit, 1, 4, panel="animate")
    page.select_option("#way-type", "video/mp4")
    page.fill("#way-seconds", "0.5")
    page.click("#quick")
    says(page, "Done: MP4")
    assert page.get_attribute("#animation video", "src").startswith("blob:")
    assert film(page)[4:8] == b"ftyp"


def job(state, **more) -> dict:
    return {"id": "Zq3hXk0nR9u2bL7cV5yT1A", "state": state, "done": 0, "total": 8, "problem": None, **more}


def test_a_long_film_shows_how_far_it_is_and_is_cancelled(visit):
    page = studio(visit, 1, 4, panel="animate")
    page.route("**/api/v1/animations", lambda route: route.fulfill(status=202, json={"job": job("queued")}))
    gone = []

    def answer(route):
        if route.request.method == "DELETE":
            gone.append(route.request.url)
            route.fulfill(status=204)
        else:
            route.fulfill(json=job("running", done=3))

    page.route("**/api/v1/jobs/*", answer)
    page.click("#quick")
    page.wait_for_selector("#job-text:has-text('Drawing frame 4 of 8')")
    assert page.locator("#job-progress").evaluate("bar => bar.value") == pytest.approx(3 / 8)
    page.click("#job-cancel")
    says(page, "Cancelled")
    assert page.is_hidden("#job")
    assert page.is_hidden("#animation")
    assert [url.rpartition("/")[2] for url in gone] == [job("queued")["id"]]
    assert page.get_attribute("#quick", "aria-disabled") is None


def test_a_film_that_failed_says_why_and_leaves_the_stops(visit):
    page = studio(visit, 1, 4, panel="animate")
    page.click("#stop-add")
    page.click("#stop-add")
    problem = {"title": "The film is too large", "detail": "it has 80 MB", "hint": "make it shorter", "code": "x"}
    page.route("**/api/v1/animations", lambda route: route.fulfill(status=202, json={"job": job("queued")}))
    page.route("**/api/v1/jobs/*", lambda route: route.fulfill(json=job("failed", problem=problem)))
    page.click("#animate-make")
    page.wait_for_selector("#animate-message:has-text('The film is too large')")
    assert "It has 80 MB. Make it shorter." in page.inner_text("#animate-message")
    assert page.locator("#stops li").count() == 2


def test_beginning_anew_leaves_no_face(visit):
    page = studio(visit, 1, 4, panel="explore")
    page.click("#variations-draw")
    page.wait_for_selector("#variations-sheet canvas")
    show(page, "animate")
    page.click("#stop-add")
    page.fill("#way-seconds", "0.5")
    page.click("#quick")
    says(page, "Done: GIF")
    for _ in range(2):  # it asks first
        page.click("#start-over")
    for left in ("#stops li", "#animation img", "#variations-sheet canvas"):
        assert page.locator(left).count() == 0, left
    assert page.is_hidden("#animation")
    assert page.is_disabled("#stop-add")


# --- save --------------------------------------------------------------------------------------------------


def saved(page, selector, tmp_path):
    with page.expect_download() as download:
        page.click(selector)
    path = tmp_path / "saved"
    download.value.save_as(path)
    return download.value.suggested_filename, path.read_bytes()


def test_the_picture_is_saved_in_three_formats(visit, tmp_path):
    page = studio(visit, 1, 4, panel="save")
    page.fill("#share-b", "70")
    page.keyboard.press("Enter")
    rested(page)
    for kind, ending in (("PNG", "png"), ("WEBP", "webp"), ("JPEG", "jpg")):
        name, content = saved(page, f"[data-extension={ending}]", tmp_path)
        assert name == f"facemix-70.{ending}"
        with Image.open(BytesIO(content)) as image:
            assert (image.format, image.size) == (kind, (128, 128))
        says(page, f"Saved as {name}")


def test_a_file_is_named_after_what_the_face_is_put_onto(visit, photos, tmp_path):
    page = visit()
    mix_two(page, photos)
    rested(page)
    show(page, "save")
    found = []
    for value in page.locator("#onto option").evaluate_all("options => options.map(({ value }) => value)"):
        page.select_option("#onto", value)
        names = {saved(page, button, tmp_path)[0] for button in ("#download", "[data-format=png]")}
        assert len(names) == 1
        found += names
        says(page, f"Saved as {found[-1]}")
    endings = ["", "-onto-a", "-onto-a-blurred", "-onto-b", "-onto-b-blurred", "-onto-plain"]
    assert found == [f"facemix-50{ending}.png" for ending in endings]


def test_the_picture_and_the_lines_are_copied(visit):
    page = studio(visit, 1, 4, panel="save", permissions=["clipboard-read", "clipboard-write"])
    page.click("#copy-picture")
    says(page, "The picture is in the clipboard")
    kinds = page.evaluate("navigator.clipboard.read().then(([item]) => item.types)")
    assert kinds == ["image/png"]
    page.get_by_label("Copy: the command").click()
    says(page, "Copied: the command")
    assert (
        page.evaluate("navigator.clipboard.readText()") == "facemix mix sample:1 sample:4 --weights 0.5,0.5 -o mix.png"
    )


def test_a_browser_that_cannot_copy_says_so(visit):
    page = studio(visit, 1, 4, panel="save")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.click("#copy-picture")
    says(page, "This browser cannot copy pictures")
    page.get_by_label("Copy: the curl line").click()
    says(page, "This browser did not allow copying")
    assert page.evaluate("getSelection().toString()").startswith("curl -sS")


def test_the_recipe_is_portable_and_gives_the_same_pixels(visit, client, photos, tmp_path):
    page = visit()
    mix_two(page, photos)
    own_picture(page)  # a portable recipe holds nothing of the photographs
    show(page, "save")
    _, picture = saved(page, "[data-format=png]", tmp_path)
    name, text = saved(page, "#save-recipe", tmp_path)
    assert name == "recipe.json"
    recipe = json.loads(text)
    assert [parent["kind"] for parent in recipe["parents"]] == ["latent", "latent"]
    same_pixels(mixed_by(client, {"recipe": recipe}), pixels(picture))


def edited(page, photos, folder):
    """Two photos under nasty names with edits of every kind; the files lie in `folder`."""
    for letter, source, name in (("a", "a.jpg", NASTY[0]), ("b", "b.jpg", NASTY[1])):
        shutil.copy(photos / source, folder / name)
        page.set_input_files(f"#file-{letter}", folder / name)
        filled(page, letter)
    mixed(page)
    show(page, "adjust")
    page.wait_for_selector("[data-attribute=age]:not([disabled])")
    page.fill("#words-wanted", "older, smiling")
    page.click("#words-apply")
    says(page, "2 understood")
    slide(page, "#vividness-slider", "ArrowRight", 2)
    show(page, "regions")
    page.click("[data-region=eyes]")
    page.get_by_label("Eyes and brows: all from A").click()
    page.select_option("#keep-hair", label="B")
    page.fill("#share-b", "70")
    page.keyboard.press("Enter")
    rested(page)
    show(page, "save")
    page.select_option("#onto", label="Photograph of A, blurred")


def run(line: str, folder: Path) -> np.ndarray:
    """What a line writes, run by a shell where the photos lie."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FACEMIX_")}
    environment |= {"PATH": path, "FACEMIX_DATA_DIR": str(folder / "data"), "FACEMIX_MARK": "false"}  # as the server
    ran = subprocess.run(["sh", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, (line, ran.stderr, ran.stdout)
    written = folder / "mix.png"
    found = pixels(written.read_bytes())
    written.unlink()
    return found


def test_the_lines_give_the_same_pixels(visit, photos, tmp_path):
    page = visit()
    edited(page, photos, tmp_path)
    picture = pixels(saved(page, "[data-format=png]", tmp_path)[1])
    kinds = ["cli", "python", *(["curl"] if shutil.which("curl") else [])]
    for portable in (False, True):
        if portable:
            page.check("#code-portable")
            assert "It draws the model's own picture" in page.inner_text("#code-text")
            own_picture(page)
            show(page, "save")
            page.select_option("#onto", label="The face alone")
            rested(page)
            picture = pixels(saved(page, "[data-format=png]", tmp_path)[1])
            (tmp_path / "recipe.json").write_bytes(saved(page, "#save-recipe", tmp_path)[1])
        for kind in kinds:
            line = page.inner_text(f"#code-{kind}")
            if kind == "python":
                (tmp_path / "again.py").write_text(line)
                line = "python again.py"
            again = run(line, tmp_path)
            # The command may compute on another device than the server; what is carried is decided by what it decodes.
            same_pixels(again, picture, most=24 if kind == "cli" else 4)
            assert difference(again, picture) < 0.25


RECIPE = {
    "version": 1,
    "model": {"name": 'it\'s; "m"', "weights": "0" * 64, "latent_schema": 1},
    "interpolation": "slerp",
    "vividness": 0,
    "attributes": {"age": -0.5, "smile": 1},
    "regions": {"eyes": [1, 0, 0]},
    "colour": [0, 0.25, 0.75],
    "variation": {"number": 4, "radius": 0.3},
    "seed": 3,
    "parents": [
        {"kind": "photo", "sha256": "a" * 64, "face": 1, "placed": None, "weight": 0.25},
        {"kind": "sample", "number": 12, "weight": 0.5},
        {
            "kind": "photo",
            "sha256": "b" * 64,
            "face": 0,
            "placed": {"left_eye": [310.5, 220], "right_eye": [402, 221], "mouth": [356, 330]},
            "weight": 0.25,
        },
    ],
}


def lines(page, recipe, names, *, portable=False) -> dict[str, str]:
    """The three texts for a recipe whose photos have these names."""
    program = """async ([recipe, names, portable]) => {
      const code = await import('/static/code_lines.js');
      const given = { recipe, photos: code.photosOf(recipe, names), url: 'http://127.0.0.1:1/a b', portable };
      return { curl: code.curlLine(given), cli: code.cliLine(given), python: code.pythonSnippet(given) };
    }"""
    return page.evaluate(program, [recipe, names, portable])


def words_of(line: str) -> list[str]:
    """What a shell gives to the program that a line calls."""
    program = line.partition(" ")[0]
    script = f"{program}() {{ printf '%s\\0' \"$@\"; }}\n{line}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode().split("\0")[:-1]


def test_every_line_survives_any_name(visit):
    page = visit(path="/about")
    for first, second in itertools.pairwise([*NASTY, "anna.jpg"]):
        made = lines(page, RECIPE, [first, "", second])
        paths = [f"./{name}" if name.startswith(("-", "@", "sample:")) else name for name in (first, second)]
        assert words_of(made["cli"]) == [
            *("mix", paths[0], "sample:12", paths[1], "--weights", "0.25,0.5,0.25", "--set", "age=-0.5"),
            *("--set", "smile=1", "--region", "eyes=1,0,0", "--colour", "0,0.25,0.75", "--interpolation", "slerp"),
            *("--variation", "4:0.3", "--seed", "3", "--faces", "1,0,0", "--placed", "2:310.5,220,402,221,356,330"),
            *("-o", "mix.png"),
        ]
        curl = words_of(made["curl"])
        url = "http://127.0.0.1:1/a b/api/v1/mix"
        assert curl[:6] == ["-sS", "--fail-with-body", url, "-H", "Accept: image/png", "--form-string"]
        sent = json.loads(curl[6].removeprefix("recipe="))
        assert {**RECIPE, **sent}["attributes"] == RECIPE["attributes"]
        assert sent["model"] == RECIPE["model"]
        assert [word for word in curl if word.startswith("photo_")] == [
            f"photo_{index}=@" + (f'"{escaped(path)}"' if set(';,"\\') & set(path) else path)
            for index, path in enumerate(paths)
        ]
        tree = ast.parse(made["python"])
        constants = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        assert {first, second, "http://127.0.0.1:1/a b"} <= constants


def test_the_command_rounds_only_what_stays_the_same(visit):
    page = visit(path="/about")

    def written(*weights, **more):
        parents = [{**parent, "weight": weight} for parent, weight in zip(RECIPE["parents"], weights, strict=True)]
        command = words_of(lines(page, {**RECIPE, **more, "parents": parents}, ["a.jpg", "", "b.jpg"])["cli"])
        return [command[command.index(option) + 1] for option in ("--weights", "--colour")]

    assert written(0.1 + 0.2, 0.7 - 1e-12, 0, colour=[0.9 + 1e-14, 0.1, 0]) == ["0.3,0.7,0", "0.9,0.1,0"]
    exact = (0.18452380952380953, 0.31547619047619047, 0.5)
    third = [1 / 3, 1 / 3, 1 / 3]
    # Thirds are the same thirds once they are scaled.
    assert written(*exact, colour=third) == [",".join(map(repr, exact)), "0.3333,0.3333,0.3333"]


def escaped(path: str) -> str:
    return path.replace("\\", "\\\\").replace('"', '\\"')


def test_lines_for_latents_read_the_recipe_from_its_file(visit):
    page = visit(path="/about")
    made = lines(page, RECIPE, ["anna.jpg", "", "ben.jpg"], portable=True)
    assert words_of(made["cli"]) == ["replay", "recipe.json", "-o", "mix.png"]
    assert "recipe=<recipe.json" in words_of(made["curl"])
    assert "photo_0" not in made["curl"]
    ast.parse(made["python"])


def test_photos_are_told_apart_and_never_written_over(visit):
    page = visit(path="/about")
    made = lines(page, RECIPE, ["anna.jpg", "", "anna.jpg"])
    assert words_of(made["cli"])[1:4] == ["anna.jpg", "sample:12", "2-anna.jpg"]
    made = lines(page, RECIPE, ["mix.png", "", "anna.jpg"])
    assert words_of(made["cli"])[-1] == words_of(made["curl"])[-1] != "mix.png"
    assert 'save("mix.png")' not in made["python"]


# --- links -------------------------------------------------------------------------------------------------


def test_a_link_is_made_kept_and_deleted(visit, client, photos):
    page = visit()
    mix_two(page, photos)
    rested(page)
    show(page, "save")
    assert "no photographs" in page.inner_text("[aria-labelledby=link-title]")
    page.select_option("#link-expiry", label="a week")
    with asks(page, "recipes") as asked:
        page.click("#link-save")
    assert body_of(asked.value)["expires_in"] == 7 * 86400
    assert asked.value.headers["idempotency-key"]
    page.wait_for_selector("#links li")
    link, delete = (page.locator("#links input").nth(index).input_value() for index in (0, 1))
    identity = link.rpartition("/")[2]
    answer = client.get(f"/api/v1/recipes/{identity}").json()
    assert [parent["kind"] for parent in answer["recipe"]["parents"]] == ["latent", "latent"]
    kept = json.loads(page.evaluate("localStorage.getItem('facemix.saved')"))
    assert [entry["id"] for entry in kept] == [identity]
    assert kept[0]["name"] == "Mix of a.png, b.jpg"
    assert delete == f"{link}/delete?token={kept[0]['deleteToken']}"
    assert set(page.evaluate("Object.keys(localStorage)")) == {"facemix.consent", "facemix.saved"}
    # Another one stands above it, and the first is still there.
    page.click("#link-save")
    until(page, "document.querySelectorAll('#links li').length === 2")
    headers = {"X-Facemix-Delete-Token": kept[0]["deleteToken"]}
    assert client.delete(f"/api/v1/recipes/{identity}", headers=headers).status_code == 204


def test_a_link_whose_answer_was_lost_is_asked_for_under_the_same_key(visit):
    page = studio(visit, 1, 4, panel="save")
    keys = []
    refusal = {"title": "The disk is full", "detail": "no room", "hint": "try later", "code": "full", "status": 422}

    def refuse(route):
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fulfill(status=200, content_type="application/json", body="cut sho")
        else:
            route.fulfill(status=422, json=refusal)

    page.route("**/api/v1/recipes", refuse)
    for title in ("cannot be read", "The disk is full", "The disk is full"):
        page.click("#link-save")
        page.wait_for_selector(f"#link-message:has-text('{title}')")
        until(page, "document.getElementById('link-save').getAttribute('aria-disabled') === null")
    assert keys[0] == keys[1] != keys[2]
    assert page.locator("#links li").count() == 0
    assert page.evaluate("localStorage.getItem('facemix.saved')") is None
    page.unroute("**/api/v1/recipes")
    page.click("#link-save")
    page.wait_for_selector("#links li")
    assert page.inner_text("#link-message") == ""


def test_a_face_that_has_expired_is_sent_again_for_a_link(visit, client, photos):
    page = visit()
    with page.expect_response("**/api/v1/faces") as found:
        page.set_input_files("#file-a", photos / "a.png")
    filled(page, "a")
    page.click("[data-sample='3']")
    mixed(page)
    rested(page)
    show(page, "save")
    assert client.delete(f"/api/v1/faces/{found.value.json()['faces'][0]['id']}").status_code == 204
    page.click("#link-save")
    page.wait_for_selector("#links li")
    assert page.inner_text("#link-message") == ""
