import json
import shutil

import cv2
import numpy as np
import portraits
import pytest
from tiny import tiny_checkpoint

from facemix.errors import CheckpointCorrupt, CheckpointMissing, ModelMismatch, ResultWithheld
from facemix.faces.align import Alignment
from facemix.faces.types import Face
from facemix.resources import resource_dir
from facemix.safety import results
from facemix.safety.result_statistics import FILE, fit_statistics, load_statistics, small_pictures
from facemix.safety.results import ResultChecks, refuse_withheld
from facemix.vae.checkpoint import load_checkpoint, newest_checkpoint, read_card

SHIPPED = newest_checkpoint(resource_dir("checkpoints"))


class Detector:
    """Sees one face of a set score in the middle of whatever it is shown, and counts."""

    def __init__(self, score):
        self.score, self.asked = score, 0

    def detect(self, image):
        self.asked += 1
        middle = image.shape[0] / 2
        box = (middle - 30, middle - 30, middle + 30, middle + 30)
        return [] if self.score is None else [Face(box, np.zeros((5, 2), np.float32), self.score)]


@pytest.fixture(scope="module")
def face():
    return Alignment.from_landmarks(portraits.LANDMARKS, 128).crop(portraits.portrait())


@pytest.fixture(scope="module")
def prior():
    found = load_checkpoint(SHIPPED).prior
    return found.mean.numpy(), found.scale.numpy()


def checks(score=0.9):
    detector = Detector(score)
    return ResultChecks.of(SHIPPED, detector=detector), detector


def latent(prior, length, seed=0):
    """A latent at so many of the prior's usual distances from its mean."""
    mean, scale = prior
    noise = np.random.default_rng(seed).normal(size=len(mean)) * (np.diagonal(scale) > 0)
    noise *= length * np.sqrt((np.diagonal(scale) > 0).sum()) / np.linalg.norm(noise)
    return (mean + scale @ noise).astype(np.float32)


def test_a_face_passes_without_the_detector(face, prior):
    judge, detector = checks()
    (verdict,) = judge.verdict(face[None], latent(prior, 1)[None])
    assert not verdict.withheld
    assert verdict.margin > 0.5
    assert detector.asked == 0


def test_every_frame_of_many_gets_its_own_verdict(face):
    judge, detector = checks(None)
    noise = np.random.default_rng(0).integers(0, 256, face.shape, dtype=np.uint8)
    frames = np.stack([face, noise, face, np.full_like(face, 128)])
    assert [one.withheld for one in judge.verdict(frames)] == [False, True, False, True]
    assert [one.reason for one in judge.verdict(frames)][1::2] == [results.UNSEEN, results.FLAT]
    assert detector.asked == 2  # for the noise, both times
    assert judge.verdict(frames[:0]) == ()


def test_shuffled_tiles_of_a_face_are_not_taken_for_one(face):
    tiles = face.reshape(4, 32, 4, 32, 3).transpose(0, 2, 1, 3, 4).reshape(16, 32, 32, 3)
    mixed = tiles[np.random.default_rng(1).permutation(16)].reshape(4, 4, 32, 32, 3).transpose(0, 2, 1, 3, 4)
    judge, detector = checks(None)
    assert judge.verdict(np.ascontiguousarray(mixed.reshape(1, 128, 128, 3)))[0].reason == results.UNSEEN
    assert detector.asked == 1


def test_a_burnt_out_picture_is_withheld_whatever_the_detector_says(face):
    burnt = np.where(face > 110, 255, 0).astype(np.uint8)
    judge, detector = checks()
    assert judge.verdict(burnt[None])[0] == results.Verdict(True, 0.0, results.CLIPPED)
    assert detector.asked == 0


@pytest.mark.parametrize(("length", "asked", "withheld"), [(1.8, 0, False), (2.1, 1, False), (2.6, 0, True)])
def test_latents_far_out_are_doubted_and_farther_out_withheld(face, prior, length, asked, withheld):
    judge, detector = checks()
    (verdict,) = judge.verdict(face[None], latent(prior, length)[None])
    assert (detector.asked, verdict.withheld) == (asked, withheld)
    assert verdict.reason == (results.FAR if withheld else "")


def test_a_latent_that_is_no_number_is_withheld(face, prior):
    judge, _ = checks()
    assert judge.verdict(face[None], np.full((1, len(prior[0])), np.nan))[0].reason == results.FAR


def test_the_margin_falls_with_the_doubt(face, prior):
    judge, _ = checks()
    margins = [
        judge.verdict(face[None], latent(prior, length)[None])[0].margin for length in (0.5, 1.5, 1.95, 2.2, 2.4)
    ]
    assert margins == sorted(margins, reverse=True)
    assert margins[1] > 0.5 > margins[2]
    low, _ = checks(results.LEAST_SCORE + 0.05)
    assert low.verdict(face[None], latent(prior, 1.95)[None])[0].margin < results.LOW_MARGIN


def test_latents_that_belong_to_other_frames_are_a_mistake(face, prior):
    with pytest.raises(ValueError, match="1 frames and 2 latents"):
        checks()[0].verdict(face[None], np.stack([latent(prior, 1)] * 2))


def test_a_model_without_the_file_is_judged_by_the_detector_alone(face, tmp_path):
    detector = Detector(None)
    judge = ResultChecks.of(tiny_checkpoint(tmp_path), detector=detector)
    assert not judge.fitted
    assert judge.verdict(face[None])[0].reason == results.UNSEEN
    detector.score = 0.9
    assert not judge.verdict(face[None])[0].withheld
    assert detector.asked == 2


def test_the_real_detector_decides_between_a_face_and_noise(face, tmp_path):
    judge = ResultChecks.of(tiny_checkpoint(tmp_path))
    noise = np.random.default_rng(0).integers(0, 256, face.shape, dtype=np.uint8)
    assert [one.withheld for one in judge.verdict(np.stack([face, noise]))] == [False, True]


def test_whatever_is_withheld_is_refused_with_its_frame(face):
    judge, _ = checks()
    verdicts = judge.verdict(np.stack([face, np.zeros_like(face)]))
    with pytest.raises(ResultWithheld, match="flat") as refused:
        refuse_withheld(verdicts)
    assert refused.value.details == {"frame": 1, "reason": results.FLAT}
    refuse_withheld(verdicts[:1])


def test_small_pictures_do_not_hear_light_and_contrast(face):
    dim = (face * 0.5 + 20).astype(np.uint8)
    small, contrast = small_pictures(np.stack([face, dim]))
    assert small.shape == (2, 256)
    assert np.abs(small[0] - small[1]).mean() < 0.1
    assert contrast[1] == pytest.approx(contrast[0] / 2, rel=0.05)


def test_fitting_and_reading_again_give_the_same(tmp_path):
    checkpoint = load_checkpoint(tiny_checkpoint(tmp_path))
    fitted = fit_statistics(checkpoint, draws=96)
    fitted.save(tmp_path, checkpoint.card)
    found = load_statistics(tmp_path, checkpoint.card)
    assert (tmp_path / FILE).stat().st_size < 8192
    small, _ = small_pictures(np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8))
    assert found.residuals(small) == pytest.approx(fitted.residuals(small), rel=0.01)
    assert found.most_residual == pytest.approx(fitted.most_residual, abs=1e-4)
    assert fit_statistics(checkpoint, draws=96).most_residual == fitted.most_residual
    with pytest.raises(ValueError, match="8 draws"):
        fit_statistics(checkpoint, draws=8)


@pytest.mark.parametrize(
    "change",
    [
        {"side": 8},
        {"mean": "AAAA"},
        {"basis": "?"},
        {"basis": "AAAA"},
        {"most_residual": 0},
        {"steps": []},
        {"unknown": 1},
    ],
)
def test_a_damaged_file_is_refused(tmp_path, change):
    shutil.copy(SHIPPED / FILE, tmp_path)
    content = json.loads((tmp_path / FILE).read_text()) | change
    (tmp_path / FILE).write_text(json.dumps(content))
    with pytest.raises(CheckpointCorrupt) as refused:
        load_statistics(tmp_path, read_card(SHIPPED))
    assert "fit-checks" in refused.value.hint


def test_a_file_of_other_weights_is_refused(tmp_path):
    folder = tiny_checkpoint(tmp_path)
    shutil.copy(SHIPPED / FILE, folder)
    with pytest.raises(ModelMismatch, match="facemix-128"):
        ResultChecks.of(folder)
    with pytest.raises(CheckpointMissing):
        ResultChecks.of(tmp_path / "absent")


def test_enlarged_results_are_judged_alike(face):
    judge, _ = checks()
    large = cv2.resize(face, (512, 512), interpolation=cv2.INTER_CUBIC)
    assert judge.verdict(large[None])[0].margin == pytest.approx(judge.verdict(face[None])[0].margin, abs=0.05)
