import hashlib
import json
import os
import re
import socket
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from exact import EXACT
from files import png
from PIL import Image
from portraits import head
from prepared import prepared_set
from tiny import TINY, tiny_checkpoint

from facemix import __version__, cli, errors
from facemix.cli.verify import CHANGED
from facemix.imaging.encode import encode_image, media_type_for_path
from facemix.mixing.recipe import Edits, Recipe
from facemix.serving.assembly import mixer_from_settings
from facemix.serving.blocking import BlockingMixer
from facemix.serving.types import PhotoInput, SampleInput
from facemix.settings import Settings
from facemix.storage.ledger import Ledger, LedgerRow
from facemix.training.split import assign_splits
from facemix.vae.checkpoint import read_card
from facemix.web.run import open_database

ROOT = Path(__file__).parents[2]
SIDE = TINY.crop_size
ONE_LINE = re.compile(r"facemix: [^\n]+ \(hint: [^\n]+\)\n")


def opened(file) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def mixer(checkpoint, **settings):
    return BlockingMixer(mixer_from_settings(Settings(checkpoint=checkpoint, **EXACT, **settings)))


# --- help, version, usage ----------------------------------------------------------------------------------


def test_help_lists_the_commands(run):
    status, out, err = run("--help")
    assert (status, err) == (0, "")
    for command in ("mix", "serve", "prepare", "train", "sharpen", "doctor"):
        assert command in out


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("mix", ["--output", "--weight", "--weights", "--faces", "--steps", "--seed", "--recipe"]),
        ("mix", ["--interpolation", "--vividness"]),
        ("serve", ["--host", "--port"]),
        ("prepare", ["--size", "--workers", "--name", "--licence"]),
        ("train", ["--preset", "--set", "--time-limit", "--dry-run"]),
        ("sharpen", ["--images", "--batch-size", "--adversarial-weight", "--set", "--time-limit", "--dry-run"]),
        ("doctor", []),
    ],
)
def test_every_command_has_help(run, command, options):
    status, out, err = run(command, "--help")
    assert (status, err) == (0, "")
    for option in options:
        assert option in out


def test_version(run):
    assert run("--version") == (0, f"facemix {__version__}\n", "")


def test_no_command_is_help_and_a_usage_error(run):
    status, out, err = run()
    assert status == 2
    assert "mix" in out + err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["mux"], "mux"),
        (["mix"], "photos"),
        (["mix", "a.png", "b.png"], "--output"),
        (["mix", "a.png", "b.png", "-o", "o.png", "--wait", "1"], "--wait"),
        (["mix", "a.png", "b.png", "-o", "o.png", "--weight", "2"], "--weight"),
        (["mix", "a.png", "b.png", "-o", "o.png", "--weight", "half"], "--weight"),
        (["mix", "a.png", "b.png", "-o", "o.png", "--seed", "-1"], "--seed"),
        (["mix", "a.png", "b.png", "-o", "o.png", "--vividness", "0.6"], "--vividness"),
        (["serve", "--port", "70000"], "--port"),
        (["prepare", "src"], "out"),
    ],
)
def test_what_was_mistyped_is_named_on_one_line(run, arguments, named):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert ONE_LINE.fullmatch(err)
    assert named in err.lower()
    assert "--help` shows" in err


def test_every_documented_exit_status_is_the_errors_own():
    table = dict(re.findall(r"^\| (\d+) \| (.+) \|$", (ROOT / "docs" / "cli.md").read_text(), re.MULTILINE))
    kinds = [errors.FacemixError]
    for kind in kinds:
        kinds += kind.__subclasses__()
        assert str(kind.exit_code) in table, kind
    assert set(table) == {str(kind.exit_code) for kind in kinds} | {"0", str(CHANGED), "130"}


# --- mix ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ending", "kind"), [("png", "PNG"), ("jpg", "JPEG"), ("JPEG", "JPEG"), ("webp", "WEBP")])
def test_two_photos_become_one_face_in_the_format_of_the_name(run, photos, tmp_path, checkpoint, ending, kind):
    target = tmp_path / f"out.{ending}"
    pair = [photos / "a.png", photos / "b.jpg"]
    status, out, err = run("mix", *pair, "--weight", "0.25", "--detail", "0", "-o", target)
    assert status == 0
    with Image.open(target) as image:
        assert (image.format, image.size) == (kind, (SIDE, SIDE))
    parents = [PhotoInput((photos / name).read_bytes(), name, weight=w) for name, w in (("a.png", 3), ("b.jpg", 1))]
    expected = mixer(checkpoint).mix(parents).image
    np.testing.assert_array_equal(opened(target), opened(BytesIO(encode_image(expected, media_type_for_path(target)))))
    assert out == f"{target}: {SIDE} x {SIDE} pixels, by {mixer(checkpoint).model}\n"
    assert "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == [target.name]


def test_weights_of_0_and_1_are_the_faces_themselves(run, photos, tmp_path):
    a, b = photos / "a.png", photos / "b.jpg"
    for name, photo_pair, weight in [("a", (a, b), 0), ("a2", (b, a), 1), ("b", (a, b), 1)]:
        assert run("mix", *photo_pair, "-w", weight, "--detail", "0", "-o", tmp_path / f"{name}.png")[0] == 0
    np.testing.assert_array_equal(opened(tmp_path / "a.png"), opened(tmp_path / "a2.png"))
    assert np.abs(opened(tmp_path / "a.png").astype(int) - opened(tmp_path / "b.png")).mean() > 3


def test_a_strip_lies_side_by_side_from_the_first_to_the_second(run, photos, tmp_path):
    pair = [photos / "a.png", photos / "b.jpg", "--detail", "0"]
    status, out, _ = run("mix", *pair, "--steps", "5", "-o", tmp_path / "strip.png", "--recipe", tmp_path / "r.json")
    assert status == 0
    assert f"{5 * SIDE} x {SIDE} pixels" in out
    strip = opened(tmp_path / "strip.png")
    assert strip.shape == (SIDE, 5 * SIDE, 3)
    for frame, weight in ((0, 0), (2, 0.5), (4, 1)):
        assert run("mix", *pair, "-w", weight, "-o", tmp_path / "one.png")[0] == 0
        part = strip[:, frame * SIDE : (frame + 1) * SIDE].astype(int)
        assert np.abs(part - opened(tmp_path / "one.png")).max() <= 1
    assert Recipe.from_json((tmp_path / "r.json").read_text()).weights == (0.5, 0.5)


def test_the_recipe_is_written_beside_the_face(run, photos, tmp_path, checkpoint):
    arguments = ["mix", photos / "crowd.png", "sample:7", photos / "a.png", "--weights", "2,1,1", "--faces", "1,0,0"]
    arguments += ["--interpolation", "slerp", "--seed", "5"]
    status, _, err = run(*arguments, "-o", tmp_path / "o.png", "--recipe", tmp_path / "r.json")
    assert status == 0, err
    recipe = Recipe.from_json((tmp_path / "r.json").read_text())
    assert recipe.model == mixer(checkpoint).model
    assert (recipe.interpolation, recipe.seed, recipe.weights) == ("slerp", 5, (0.5, 0.25, 0.25))
    assert recipe.parents[0].face == 1
    assert recipe.parents[1].number == 7
    assert "2 faces were found, face 1 is used" in err


def test_vividness_reaches_the_face_and_the_recipe(run, tmp_path, checkpoint):
    pair = [SampleInput(number, f"sample:{number}") for number in (1, 2)]
    expected, plain = (mixer(checkpoint).mix(pair, Edits(vividness=vividness)).image for vividness in (0.5, 0.0))
    assert not np.array_equal(expected, plain)
    arguments = ["mix", "sample:1", "sample:2", "--vividness", "0.5", "--recipe", tmp_path / "r.json"]
    assert run(*arguments, "-o", tmp_path / "o.png")[0] == 0
    assert Recipe.from_json((tmp_path / "r.json").read_text()).vividness == 0.5
    np.testing.assert_array_equal(opened(tmp_path / "o.png"), expected)
    assert run(*arguments, "--steps", "3", "-o", tmp_path / "strip.png")[0] == 0
    assert Recipe.from_json((tmp_path / "r.json").read_text()).vividness == 0.5
    middle = opened(tmp_path / "strip.png")[:, SIDE : 2 * SIDE].astype(int)
    assert np.abs(middle - expected).max() <= 1 < np.abs(middle - plain).max()


def test_more_than_two_photos_share_alike_unless_told(run, tmp_path):
    three = ["sample:1", "sample:2", "sample:3"]
    assert run("mix", *three, "-o", tmp_path / "o.png", "--recipe", tmp_path / "r.json")[0] == 0
    assert Recipe.from_json((tmp_path / "r.json").read_text()).weights == pytest.approx([1 / 3] * 3)


def test_a_sample_is_the_face_of_its_number(run, tmp_path, checkpoint):
    assert run("mix", "sample:3", "sample:4", "-w", "0", "--seed", "2", "-o", tmp_path / "o.png")[0] == 0
    np.testing.assert_array_equal(opened(tmp_path / "o.png"), mixer(checkpoint).sample(3, seed=2))


def test_what_costs_likeness_is_said_on_stderr(run, photos, tmp_path):
    status, _, err = run("mix", photos / "a.png", photos / "crowd.png", "--faces", "0,1", "-o", tmp_path / "o.png")
    assert status == 0
    assert f"{photos / 'crowd.png'}: warning: The face is small" in err


# --- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("photo", "status", "says", "hints"),
    [
        ("cat.jpg", 4, "no face was found", "shows one face clearly"),
        ("far.png", 4, "pixels apart", "closer"),
        ("empty.jpg", 3, "0 bytes", "again"),
        ("text.jpg", 3, "begins with text", "export the photograph as JPEG"),
        ("cut.jpg", 3, "cut short", "again"),
        ("huge.png", 3, "13000 x 13000", "fewer pixels"),
        ("nowhere.jpg", 2, "No such file", "existing file"),
        ("folder.jpg", 2, "Is a directory", "existing file"),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_a_bad_photo_is_named_on_one_line_with_a_remedy(run, photos, tmp_path, photo, status, says, hints, place):
    pair = [photos / "a.png"]
    pair.insert(place, photos / photo)
    got, out, err = run("mix", *pair, "-o", tmp_path / "o.png", "--recipe", tmp_path / "r.json")
    assert (got, out) == (status, "")
    assert ONE_LINE.fullmatch(err)
    assert err.startswith(f"facemix: {photos / photo}: ")
    message, hint = err.split("(hint: ")
    assert says in message
    assert hints in hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--weights", "1"], "'1' is not a list of 2 numbers"),
        (["--weights", "1,a"], "'1,a' is not a list of 2 numbers"),
        (["--weights", "0,0"], "sum to 0"),
        (["--weights=-1,2"], "weight 0 is -1"),
        (["--weights", "nan,1"], "weight 0 is nan"),
        (["--faces", "0"], "'0' is not a list of 2 numbers"),
        (["--interpolation", "cubic"], "interpolation is 'cubic'"),
        (["--interpolation", "slerp", "--vividness", "0.25"], "slerp loses nothing"),
        (["--vividness", "nan"], "vividness"),
        (["--steps", "1"], "steps is 1"),
        (["--steps", "1000"], "steps is 1000"),
    ],
)
def test_an_option_without_a_meaning_is_refused(run, tmp_path, options, says):
    status, out, err = run("mix", "sample:1", "sample:2", *options, "-o", tmp_path / "o.png")
    assert (status, out) == (2, "")
    assert ONE_LINE.fullmatch(err)
    assert says in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("photos_given", "says"),
    [
        (["sample:1"] * 9, "9 faces were given"),
        (["sample:1", "sample:x"], "'sample:x' names no sample"),
        (["sample:1", f"sample:{2**31}"], "names no sample"),
        (["sample:1", "sample:-1"], "names no sample"),
    ],
)
def test_too_few_too_many_and_impossible_parents_are_refused(run, tmp_path, photos_given, says):
    status, out, err = run("mix", "-o", tmp_path / "o.png", *photos_given)
    assert (status, out) == (2, "")
    assert ONE_LINE.fullmatch(err)
    assert says in err


def test_a_strip_needs_two_photos(run, tmp_path):
    status, _, err = run("mix", "sample:1", "sample:2", "sample:3", "--steps", "5", "-o", tmp_path / "o.png")
    assert status == 2
    assert "not between 3" in err


def test_a_face_that_is_not_there_is_refused_with_those_that_are(run, photos, tmp_path):
    status, _, err = run("mix", photos / "a.png", photos / "crowd.png", "--faces", "0,2", "-o", tmp_path / "o.png")
    assert status == 4
    assert f"{photos / 'crowd.png'}: face 2 was chosen, but the photo has 2" in err


@pytest.mark.parametrize("name", ["out.gif", "out", "out.png.txt"])
def test_an_unknown_ending_is_refused_before_any_work(run, tmp_path, name):
    status, _, err = run("mix", "nowhere.jpg", "nowhere.png", "-o", tmp_path / name)
    assert status == 2
    assert ".webp" in err


def test_an_input_is_never_overwritten(run, photos, tmp_path):
    data = (photos / "a.png").read_bytes()
    photo, link = tmp_path / "a.png", tmp_path / "link.png"
    photo.write_bytes(data)
    link.hardlink_to(photo)
    for options in (["-o", photo], ["-o", link], ["-o", tmp_path / "o.png", "--recipe", photo]):
        status, _, err = run("mix", photo, photos / "b.jpg", *options)
        assert status == 2
        assert "is one of the photos" in err
    assert photo.read_bytes() == data
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "link.png"]


def test_recipe_and_face_need_two_files(run, tmp_path):
    status, _, err = run("mix", "sample:1", "sample:2", "-o", tmp_path / "o.png", "--recipe", tmp_path / "o.png")
    assert status == 2
    assert "is the output, too" in err


def test_an_output_that_cannot_be_written_is_named(run, tmp_path):
    (tmp_path / "taken.png").mkdir()
    for target, reason in ((tmp_path / "no" / "o.png", "No such file"), (tmp_path / "taken.png", "Is a directory")):
        status, out, err = run("mix", "sample:1", "sample:2", "-o", target)
        assert (status, out) == (2, "")
        assert ONE_LINE.fullmatch(err)
        assert f"{target}: cannot be written: {reason}" in err
    assert [path.name for path in tmp_path.iterdir()] == ["taken.png"]  # nothing half written stays behind


def test_an_earlier_output_is_replaced_whole(run, tmp_path):
    (tmp_path / "o.png").write_bytes(b"before")
    assert run("mix", "sample:1", "sample:2", "-o", tmp_path / "o.png")[0] == 0
    assert opened(tmp_path / "o.png").shape == (SIDE, SIDE, 3)


def test_a_strip_too_wide_for_its_format_goes_on_in_the_next_row(run, tmp_path, monkeypatch):
    monkeypatch.setenv("FACEMIX_MAX_STEPS", "257")
    wide = tiny_checkpoint(tmp_path / "wide", config=TINY.model_copy(update={"crop_size": 64}))
    monkeypatch.setenv("FACEMIX_CHECKPOINT", str(wide))
    status, out, err = run("mix", "sample:1", "sample:2", "--steps", "257", "-o", tmp_path / "strip.webp")
    assert (status, err) == (0, "")
    assert "8256 x 128 pixels" in out
    strip = opened(tmp_path / "strip.webp")
    assert strip.shape == (2 * 64, 129 * 64, 3)
    assert strip[64:, -48:].mean() > 250  # 257 frames leave one place of 258
    assert run("mix", "sample:1", "sample:2", "--steps", "257", "-o", tmp_path / "strip.png")[0] == 0
    assert opened(tmp_path / "strip.png").shape == (64, 257 * 64, 3)


def test_a_name_with_a_line_break_stays_on_one_line(run, tmp_path):
    status, _, err = run("mix", "no\nwhere.jpg", "sample:1", "-o", tmp_path / "o.png")
    assert status == 2
    assert ONE_LINE.fullmatch(err)


def test_settings_that_are_not_valid_are_named(run, tmp_path, monkeypatch):
    monkeypatch.setenv("FACEMIX_PORT", "no")
    monkeypatch.setenv("FACEMIX_MAX_STEPS", "1")
    status, _, err = run("mix", "sample:1", "sample:2", "-o", tmp_path / "o.png")
    assert status == 2
    assert ONE_LINE.fullmatch(err)
    assert "FACEMIX_PORT='no'" in err
    assert "FACEMIX_MAX_STEPS='1'" in err


def test_a_missing_checkpoint_is_named(run, tmp_path, monkeypatch):
    monkeypatch.setenv("FACEMIX_CHECKPOINT", str(tmp_path / "nowhere"))
    status, _, err = run("mix", "sample:1", "sample:2", "-o", tmp_path / "o.png")
    assert status == 5
    assert ONE_LINE.fullmatch(err)
    assert "nowhere" in err
    assert "FACEMIX_CHECKPOINT" in err


def test_a_photo_beyond_the_setting_is_refused(run, photos, tmp_path, monkeypatch):
    monkeypatch.setenv("FACEMIX_MAX_UPLOAD_BYTES", "2048")
    status, _, err = run("mix", photos / "a.png", "sample:1", "-o", tmp_path / "o.png")
    assert status == 3
    assert f"{photos / 'a.png'}: the file has" in err
    assert "at most 2,048" in err


def test_a_defect_is_one_line_and_says_how_to_see_more(run, tmp_path, monkeypatch):
    def broken(settings):
        raise RuntimeError("out of\nluck")

    monkeypatch.setattr("facemix.serving.assembly.mixer_from_settings", broken)
    status, _, err = run("mix", "sample:1", "sample:2", "-o", tmp_path / "o.png")
    assert status == 1
    assert ONE_LINE.fullmatch(err)
    assert "RuntimeError: out of luck" in err
    monkeypatch.setenv("FACEMIX_LOG_LEVEL", "debug")
    monkeypatch.setattr(sys, "argv", ["facemix", "mix", "sample:1", "sample:2", "-o", str(tmp_path / "o.png")])
    with pytest.raises(RuntimeError):
        cli.main()


def test_an_interruption_is_silent(run, monkeypatch, tmp_path):
    def interrupted(settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("facemix.serving.assembly.mixer_from_settings", interrupted)
    assert run("mix", "sample:1", "sample:2", "-o", tmp_path / "o.png") == (130, "", "")


# --- the other commands ------------------------------------------------------------------------------------


def test_a_dry_run_prints_the_resolved_configuration_and_touches_nothing(run, tmp_path):
    arguments = ["train", tmp_path / "data", tmp_path / "run", "--preset", "tiny", "--dry-run"]
    status, out, _ = run(*arguments, "--set", "images=64", "--set", "name=mine", "--set", "flip=false")
    assert status == 0
    config = json.loads(out)
    assert (config["images"], config["name"], config["flip"], config["vae"]["crop_size"]) == (64, "mine", False, 32)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--preset", "huge"], "there is no preset 'huge'"),
        (["--set", "images"], "sets nothing"),
        (["--set", "imagse=1"], "imagse"),
        (["--set", "images=0"], "images=0"),
        (["--set", "images=many"], "images='many'"),
    ],
)
def test_a_configuration_that_is_not_valid_is_refused(run, tmp_path, options, says):
    status, out, err = run("train", tmp_path, tmp_path / "run", *options, "--dry-run")
    assert (status, out) == (2, "")
    assert ONE_LINE.fullmatch(err)
    assert says in err


def test_sharpening_resolves_its_configuration_without_touching_anything(run, tmp_path):
    arguments = ["sharpen", tmp_path / "checkpoint", tmp_path / "data", tmp_path / "run", "--dry-run"]
    status, out, _ = run(*arguments, "--images", 640, "--adversarial-weight", 0, "--set", "mix_share=1")
    assert status == 0
    config = json.loads(out)
    assert (config["images"], config["adversarial_weight"], config["mix_share"]) == (640, 0, 1)
    assert list(tmp_path.iterdir()) == []
    status, _, err = run(*arguments, "--batch-size", 1)
    assert status == 2
    assert "batch_size=1" in err


def test_sharpening_stops_at_the_time_limit_and_goes_on(run, tmp_path):
    data = prepared_set(tmp_path / "data", train=16, validation=2, test=0)
    source, folder = tiny_checkpoint(tmp_path / "tiny"), tmp_path / "run"
    options = ["--images", 16, "--batch-size", 8, "--set", "device=cpu", "--set", "precision=fp32"]
    status, out, _ = run("sharpen", source, data, folder, *options, "--time-limit", 0)
    assert status == 0
    assert f"the same command goes on in {folder}" in out
    status, out, _ = run("sharpen", source, data, folder, *options)
    assert status == 0
    assert f"checkpoint: {folder / 'checkpoint'}" in out
    assert read_card(folder / "checkpoint").training["sharpen"]["steps"] == 2


def test_training_without_data_is_refused(run, tmp_path):
    status, _, err = run("train", tmp_path, tmp_path / "run", "--preset", "tiny")
    assert status == 7
    assert "facemix prepare" in err


def test_preparing_an_empty_folder_is_refused(run, tmp_path):
    status, _, err = run("prepare", tmp_path, tmp_path / "data", "--workers", "0")
    assert status == 7
    assert "holds no photographs" in err


def test_doctor_fails_with_a_way_to_mend_it(run, tmp_path, monkeypatch):
    monkeypatch.setenv("FACEMIX_CHECKPOINT", str(tmp_path / "nowhere"))
    status, out, err = run("doctor")
    assert status == 6
    assert re.search(r"^fail  model: .*nowhere.*\n      -> .*FACEMIX_CHECKPOINT", out, re.MULTILINE)
    assert ONE_LINE.fullmatch(err)
    assert re.search(r"[12] check\(s\) failed", err)  # nor has it results to check


def test_doctor_is_content_with_a_whole_installation(run, monkeypatch):
    monkeypatch.setattr("facemix.serving.doctor._faces_among_samples", lambda engine, runner: 8)
    status, out, err = run("doctor")
    assert (status, err) == (0, "")
    assert len(re.findall(r"^(?:ok  |note)  ", out, re.MULTILINE)) == 15


def test_serve_refuses_a_taken_port_with_a_way_out(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, out, err = run("serve", "--port", port)
    assert (status, out) == (6, "")
    assert ONE_LINE.fullmatch(err)
    assert f"cannot listen on 127.0.0.1:{port}" in err
    assert "--port" in err.split("(hint: ")[1]


# --- as a program of its own -------------------------------------------------------------------------------


def as_program(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "facemix", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("FACEMIX_")} | environment,
    )


def test_help_answers_without_the_heavy_libraries():
    program = (
        "import sys; from facemix.cli import main; sys.argv = ['facemix', '--help']\n"
        "try: main()\n"
        "finally: print([name for name in ('torch', 'cv2', 'onnxruntime', 'fastapi') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.endswith("[]\n")


@pytest.mark.slow
def test_the_program_mixes_and_refuses(photos, tmp_path, checkpoint):
    done = as_program(
        "mix",
        photos / "a.png",
        photos / "b.jpg",
        "--detail",
        "0",
        "-o",
        tmp_path / "o.png",
        FACEMIX_CHECKPOINT=str(checkpoint),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert opened(tmp_path / "o.png").shape == (SIDE, SIDE, 3)
    done = as_program(
        "mix", photos / "a.png", photos / "cat.jpg", "-o", tmp_path / "p.png", FACEMIX_CHECKPOINT=str(checkpoint)
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert ONE_LINE.fullmatch(done.stderr)


def lit(seed: int) -> np.ndarray:
    """The portrait's head under another light, mirrored or not: no near-duplicate of the others."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:300, 0:300] / 300 - 0.5
    angle, bend = random.uniform(0, 2 * np.pi, 2)
    light = np.cos(angle) * x + np.sin(angle) * y + 1.5 * np.sin(bend) * (x**2 - y**2)
    colour = random.uniform(0.75, 1.1, 3)
    pixels = head()[:, :: random.choice([-1, 1])] * colour * np.exp(1.6 * light)[..., None]
    return np.ascontiguousarray(pixels.clip(0, 255).astype(np.uint8))


def write_training_photos(folder: Path) -> None:
    """30 photographs for training and 2 for validation; the split follows from each file's own hash."""
    wanted, seed = {"train": 30, "validation": 2, "test": 1}, 0
    while any(wanted.values()):
        data, seed = png(lit(seed)), seed + 1
        (split,), _ = assign_splits([hashlib.sha256(data).hexdigest()], np.zeros((1, 256), np.uint8))
        if wanted[split]:
            wanted[split] -= 1
            (folder / f"{seed:03d}.png").write_bytes(data)


@pytest.mark.slow
def test_prepare_train_mix(run, photos, tmp_path, monkeypatch):
    source, data, folder = tmp_path / "photos", tmp_path / "data", tmp_path / "run"
    source.mkdir()
    write_training_photos(source)
    (source / "cat.jpg").write_bytes((photos / "cat.jpg").read_bytes())
    status, out, err = run("prepare", source, data, "--size", "32", "--workers", "0", "--licence", "public domain")
    assert status == 0, err
    assert "33 of 34 photographs kept" in out
    assert re.search(r"refused +1  face_not_found", out)

    settings = ["--preset", "tiny", "--set", "images=64", "--set", "name=mine", "--set", "evaluate_images=32"]
    status, out, err = run("train", data, folder, *settings, "--set", "device=cpu", "--set", "precision=fp32")
    assert status == 0, err
    assert f"checkpoint: {folder / 'checkpoint'}" in out
    card = json.loads((folder / "checkpoint" / "card.json").read_text())
    assert card["name"] == "mine"
    assert "public domain" in card["licence"]

    monkeypatch.setenv("FACEMIX_CHECKPOINT", str(folder / "checkpoint"))
    status, out, err = run("mix", photos / "a.png", photos / "b.jpg", "--detail", "0", "-o", tmp_path / "o.png")
    assert status == 0, err
    assert "by mine@" in out
    assert opened(tmp_path / "o.png").shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("sample:1", "sample:2", "sample:3", "--weight", "0.9"), "--weight"),
        (("sample:1", "sample:2", "--weight", "0.9", "--weights", "1,2"), "--weights"),
        (("sample:1", "sample:2", "--weights", "1,2", "--steps", "3"), "--steps"),
        (("sample:1", "sample:2", "--weight", "0.2", "--steps", "3"), "--steps"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(run, tmp_path, arguments, named):
    output = tmp_path / "out.png"
    status, out, said = run("mix", *arguments, "-o", output)
    assert (status, out, len(said.splitlines())) == (2, "", 1)
    assert said.startswith((f"facemix: {named}: ", f"facemix: {named} is "))
    assert "hint" in said
    assert not output.exists()


# --- keys and the ledger -----------------------------------------------------------------------------------


def test_a_key_is_shown_once_listed_and_revoked(run, monkeypatch, tmp_path):
    monkeypatch.setenv("FACEMIX_DATA_DIR", str(tmp_path))
    status, secret, _ = run("keys", "add", "studio", "--per-minute", "60")
    assert status == 0
    assert secret.startswith("fmx_")
    run("keys", "add", "other")
    listed = run("keys", "list")[1]
    assert re.search(r"^studio: live, made [\d-]+, 60 per minute$", listed, re.MULTILINE)
    assert "other: live" in listed
    assert secret.strip() not in listed
    assert run("keys", "revoke", "studio")[0] == 0
    assert "studio: revoked" in run("keys", "list")[1]
    status, out, err = run("keys", "revoke", "nobody")
    assert (status, out) == (2, "")
    assert ONE_LINE.fullmatch(err)
    status, out, err = run("keys", "add", "studio")
    assert (status, out) == (2, "")
    assert "studio" in err


def test_the_ledger_is_summed_up_by_model_and_key(run, monkeypatch, tmp_path):
    monkeypatch.setenv("FACEMIX_DATA_DIR", str(tmp_path))
    assert run("ledger")[:2] == (0, "")
    common = {"request_id": "one", "route": "POST /api/v1/mix", "model_id": "tiny@abc"}
    rows = [
        LedgerRow(**common, status=200, frames_encoded=2, frames_decoded=1, device_seconds=0.25),
        LedgerRow(**common, status=200, frames_decoded=33, device_seconds=0.5, cpu_seconds=1.5),
        LedgerRow(
            request_id="two", route="POST /api/v1/mix", status=422, error_code="face_not_found", key_name="studio"
        ),
    ]
    with open_database(Settings()) as database:
        Ledger(database).append_many(rows)
    assert run("ledger")[1].splitlines() == [
        "tiny@abc, no key: 2 requests, 0 refused; 2 frames encoded, 34 decoded, 0.75 s of the device, 1.50 s of "
        "the processors",
        "no model, studio: 1 requests, 1 refused; 0 frames encoded, 0 decoded, 0.00 s of the device, 0.00 s of "
        "the processors",
    ]
