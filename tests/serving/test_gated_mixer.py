"""The photograph gate on every way into the mixer, with a gate made for the test and with the one that ships."""

import shutil

import cv2
import numpy as np
import pytest
from files import png
from looking import here
from made_gate import made_gate
from portraits import crowd, head, other

from facemix.errors import CheckpointCorrupt, FaceNotPhotograph, PhotoLimited
from facemix.evaluation.not_photographs import cartoon, doll, lines, statue, stylised
from facemix.faces.look import look
from facemix.imaging.decode import DecodeLimits
from facemix.mixing.recipe import PlacedPoints
from facemix.resources import resource_dir
from facemix.safety.photo_features import features
from facemix.safety.photo_gate import judged, load_gate
from facemix.serving import doctor
from facemix.serving.assembly import mixer_from_settings
from facemix.serving.blocking import BlockingMixer
from facemix.serving.mixer import Mixer
from facemix.serving.types import PhotoInput, SampleInput
from facemix.settings import Settings
from facemix.vae.checkpoint import newest_checkpoint, read_card

HEAD = png(head())
DARK = png((head() * 0.25).astype(np.uint8))


@pytest.fixture(scope="module")
def gate(checkpoint):
    return made_gate(read_card(checkpoint))


@pytest.fixture(scope="module")
def gated(engine, finder, gate):
    return BlockingMixer(Mixer(engine, here(finder), cache_bytes=1 << 20, cache_seconds=60, gate=gate))


@pytest.mark.parametrize(
    "ask",
    [
        lambda mixer, photo: mixer.mix([photo, SampleInput(1, "b")]),
        lambda mixer, photo: mixer.strip(photo, SampleInput(1, "b"), steps=3),
    ],
    ids=["mix", "strip"],
)
def test_what_is_no_photograph_is_refused_with_the_name_of_its_input(gated, ask):
    for _ in range(2):  # the second time from memory
        with pytest.raises(FaceNotPhotograph, match="drawn or painted") as refused:
            ask(gated, PhotoInput(DARK, "face_a"))
        assert refused.value.where == "face_a"
    assert ask(gated, PhotoInput(HEAD, "face_a")) is not None


def test_faces_say_how_much_they_look_like_photographs(gated, mixer):
    (bright,), (dark,) = (gated.find_faces(PhotoInput(data, "a")).faces for data in (HEAD, DARK))
    assert bright.refusal is None
    assert bright.quality.photograph > 0.9
    assert isinstance(dark.refusal, FaceNotPhotograph)
    assert dark.quality.photograph < 0.5
    assert bright.figures is dark.figures is None  # they are in memory for a while, and say nothing more
    (ungated,) = mixer.find_faces(PhotoInput(DARK, "a")).faces
    assert ungated.refusal is None
    assert np.isnan(ungated.quality.photograph)


def test_a_face_placed_by_hand_goes_through_it_too(gated):
    (found,) = gated.find_faces(PhotoInput(DARK, "a")).faces
    left, right, _, *mouth = (tuple(map(float, point)) for point in found.face.landmarks)
    middle = tuple(np.mean(mouth, axis=0).tolist())
    placed = PlacedPoints(left_eye=left, right_eye=right, mouth=middle)
    with pytest.raises(FaceNotPhotograph):
        gated.mix([PhotoInput(DARK, "a", placed=placed), SampleInput(1, "b")])


def test_who_watches_hears_of_every_look_and_may_refuse_it(gated):
    class Watch:
        def __init__(self):
            self.heard = []

        def arrived(self, sha256):
            self.heard.append(sha256[:6])

        def looked(self, found):
            self.heard.append(len(found.faces))
            if self.heard.count(1) > 2:
                raise PhotoLimited("too often", hint="later", retry_after=7)

    watch = Watch()
    photo = PhotoInput(HEAD, "face_a", watch=watch)
    for _ in range(2):
        gated.mix([photo, SampleInput(1, "b")])
    with pytest.raises(PhotoLimited) as refused:
        gated.find_faces(photo)
    assert refused.value.where == "face_a"
    assert watch.heard == [watch.heard[0], 1] * 3


def test_the_setting_switches_it_off_and_a_damaged_file_is_said(checkpoint, gate, tmp_path):
    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoint, folder)
    gate.save(folder)
    chosen = {"checkpoint": folder, "isolate": False, "backend": "torch"}
    for on in (True, False):
        made = mixer_from_settings(Settings(gate=on, **chosen))
        try:
            assert made.gate == (gate if on else None)
        finally:
            made.close()
    verdicts = {on: doctor._gate(Settings(gate=on, **chosen)) for on in (True, False)}
    assert verdicts[True].verdict == "ok"
    assert "switched off" in verdicts[False].message
    (folder / "gate.json").write_text("{}")
    with pytest.raises(CheckpointCorrupt, match=r"gate\.json"):
        mixer_from_settings(Settings(**chosen))
    (folder / "gate.json").unlink()
    found = doctor._gate(Settings(**chosen))
    assert (found.verdict, "facemix gate" in found.hint) == ("note", True)


# --- the gate that ships -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped(finder):
    folder = newest_checkpoint(resource_dir("checkpoints"))
    card = read_card(folder)
    gate = load_gate(folder, card.weights_sha256)
    assert gate is not None
    limits = DecodeLimits(max_bytes=1 << 24)

    def faces(picture: np.ndarray):
        seen = look(png(picture), limits, finder, card.config.crop_size, figures=features)
        return [judged(face, gate) for face in seen.faces]

    faces.judge = lambda crop: gate.judge(features(crop))
    return faces


def grey(picture):
    return np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: picture,
        grey,
        lambda picture: cv2.GaussianBlur(picture, (0, 0), 2.5),
        lambda picture: (picture * 0.4).astype(np.uint8),
        lambda picture: cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC),
        lambda picture: cv2.resize(picture, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA),
        lambda picture: grey(cv2.GaussianBlur(picture, (0, 0), 1.5)) // 2 + 90,
    ],
    ids=["as it is", "grey", "soft", "dark", "large", "small", "old"],
)
def test_a_photograph_passes_however_it_was_kept(shipped, change):
    for picture in (head(), other(), crowd()):
        for face in shipped(np.ascontiguousarray(change(picture))):
            assert not isinstance(face.refusal, FaceNotPhotograph), face.refusal


@pytest.mark.parametrize("kind", [cartoon, stylised, lines, doll])
def test_what_is_made_of_it_by_code_does_not(shipped, kind):
    for scale in (1, 2):
        picture = cv2.resize(head(), None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        (face,) = shipped(kind(picture, np.random.default_rng(1)))
        assert isinstance(face.refusal, FaceNotPhotograph)


def test_a_mask_before_the_mouth_is_refused(shipped):
    picture = head()
    (face,) = shipped(picture)
    left, right, nose, *mouth = face.face.landmarks
    wide, (x, y) = np.linalg.norm(right - left), np.mean(mouth, axis=0)
    corners = [(x - 1.1 * wide, nose[1]), (x, nose[1] - 0.25 * wide), (x + 1.1 * wide, nose[1])]
    corners += [(x + 0.8 * wide, y + 0.8 * wide), (x, y + 1.1 * wide), (x - 0.8 * wide, y + 0.8 * wide)]
    cv2.fillPoly(picture, [np.int32(corners)], (150, 190, 215), cv2.LINE_AA)
    assert isinstance(shipped(picture)[0].refusal, FaceNotPhotograph)


def test_a_statue_is_refused(shipped):
    """Marble by code, of the aligned crop: its eyes have no pupils."""
    (face,) = shipped(head())
    stone = [statue(face.crop, np.random.default_rng(seed)) for seed in range(5)]
    passed = [shipped.judge(made)[1] is None for made in stone]
    assert sum(passed) <= 1
