import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from prepared import prepared_set
from safetensors.torch import load_file

from facemix.errors import CheckpointCorrupt, ConfigError, DatasetError
from facemix.imaging.arrays import to_tensor
from facemix.training import trainer
from facemix.training.config import TrainConfig, preset
from facemix.training.dataset import FaceSet, load_split
from facemix.training.loop import update_average
from facemix.training.trainer import World, evaluate, learning_rate_factor, train
from facemix.vae.checkpoint import load_checkpoint
from facemix.vae.config import VAEConfig
from facemix.vae.posterior import Posterior

TESTS = Path(__file__).resolve().parents[1]


def silent(line):
    pass


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No torchrun, and no TensorBoard, whose import brings warnings of its own."""
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return prepared_set(tmp_path_factory.mktemp("prepared"))


def config(**changes):
    return preset("tiny", device="cpu", precision="fp32", **changes)


def log_of(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A run of 16 steps, and the lines that it said."""
    run, said = tmp_path_factory.mktemp("finished"), []
    seen = []
    folder = train(
        config(images=256, evaluate_images=64), data, run, say=said.append, on_progress=lambda *at: seen.append(at)
    )
    assert folder == run / "checkpoint"
    return run, said, seen


def test_a_run_leaves_what_the_documentation_promises(finished):
    run, said, seen = finished
    assert TrainConfig.model_validate_json((run / "config.json").read_text()).images == 256
    assert [line["images"] for line in log_of(run)] == [64, 128, 192, 256]
    assert seen == [(images, 256) for images in range(16, 257, 16)]
    assert len(said) == 5
    names = sorted(path.name for path in (run / "grids").iterdir())
    assert names == sorted(
        f"{images:09d}-{kind}.png"
        for images in (64, 128, 192, 256)
        for kind in ("reconstructions", "samples", "interpolations")
    )
    with Image.open(run / "grids" / "000000256-reconstructions.png") as grid:
        assert grid.size == (8 * 34 + 2, 2 * 34 + 2)


def test_training_lowers_the_loss(finished):
    lines = log_of(finished[0])
    assert lines[-1]["training/nll"] < lines[0]["training/nll"]
    assert lines[-1]["validation/psnr"] > lines[0]["validation/psnr"] + 1
    assert all(math.isfinite(value) for line in lines for value in line.values())


def test_the_exported_checkpoint_can_be_loaded_and_says_where_it_comes_from(finished, data):
    run, _, _ = finished
    checkpoint = load_checkpoint(run / "checkpoint")
    card, summary = checkpoint.card, json.loads((data / "dataset.json").read_text())
    assert card.name == "tiny"
    assert card.data["manifest_sha256"] == summary["manifest_sha256"]
    assert card.data["splits"] == summary["splits"]
    assert card.licence == summary["licence"]
    assert (card.training["images_seen"], card.training["steps"]) == (256, 16)
    assert card.training["learning_rate"] == config().learning_rate
    assert card.metrics["psnr"] == pytest.approx(log_of(run)[-1]["validation/psnr"], abs=1e-4)
    # What is served is the average, rounded to half precision; it is as good as the card says.
    figures = evaluate(checkpoint.vae, load_split(data, "validation"), torch.device("cpu"))
    assert figures["psnr"] == pytest.approx(card.metrics["psnr"], abs=0.02)


def test_the_average_is_exported_and_not_the_last_weights(finished):
    state = load_file(finished[0] / "state.safetensors")
    served = load_checkpoint(finished[0] / "checkpoint").vae.state_dict()
    assert all(torch.equal(state[f"average.{name}"].half().float(), value) for name, value in served.items())
    assert not all(torch.equal(state[f"model.{name}"].half().float(), value) for name, value in served.items())


def test_an_interrupted_run_ends_with_the_very_same_weights(finished, data, tmp_path):
    """Same batches, same noise, same moments, bit for bit."""
    for _ in range(40):
        folder = train(config(images=256, evaluate_images=64), data, tmp_path, time_limit=0, say=silent)
        if folder is not None:
            break
    assert folder == tmp_path / "checkpoint"
    one, other = load_file(finished[0] / "state.safetensors"), load_file(tmp_path / "state.safetensors")
    assert one.keys() == other.keys()
    differing = [name for name in one if not torch.equal(one[name], other[name])]
    assert not differing
    assert [line["images"] for line in log_of(tmp_path)] == [64, 128, 192, 256]
    weights = [(run / "checkpoint" / "model.safetensors").read_bytes() for run in (finished[0], tmp_path)]
    assert weights[0] == weights[1]


def test_a_finished_run_is_not_trained_further(finished, data, tmp_path):
    run, _, _ = finished
    before = (run / "state.safetensors").read_bytes()
    weights = (run / "checkpoint" / "model.safetensors").read_bytes()
    metrics = load_checkpoint(run / "checkpoint").card.metrics
    said = []
    assert train(config(images=256), data, run, say=said.append) == run / "checkpoint"
    assert said == ["resumed at 256 images"]
    assert (run / "state.safetensors").read_bytes() == before
    assert (run / "checkpoint" / "model.safetensors").read_bytes() == weights
    assert load_checkpoint(run / "checkpoint").card.metrics == pytest.approx(metrics, abs=1e-3)


def test_a_run_may_be_lengthened(data, tmp_path):
    train(config(images=32), data, tmp_path, say=silent)
    train(config(images=64), data, tmp_path, say=silent)
    assert [line["images"] for line in log_of(tmp_path)] == [32, 64]
    assert load_checkpoint(tmp_path / "checkpoint").card.training["steps"] == 4


def test_a_run_with_a_linear_path_begins_at_the_components_and_resumes_there(data, tmp_path):
    path = {**preset("tiny").vae.model_dump(), "linear_side": 8}
    whole, halves = config(vae=path, images=64), config(vae=path, images=32)
    done = train(whole, data, tmp_path / "whole", say=silent)
    train(halves, data, tmp_path / "halves", say=silent)
    resumed = train(whole, data, tmp_path / "halves", say=silent)
    weights = load_file(done / "model.safetensors")
    assert weights["decoder.linear.draw.weight"].any()
    for name, value in load_file(resumed / "model.safetensors").items():
        assert torch.equal(value, weights[name]), name


def test_a_linear_path_asks_for_more_faces_than_dimensions(data, tmp_path):
    path = {**preset("tiny").vae.model_dump(), "linear_side": 8, "latent_size": 64}
    with pytest.raises(DatasetError, match="48 training faces have no 64 principal components"):
        train(config(vae=path), data, tmp_path / "run", say=silent)


def test_the_time_limit_saves_and_returns_none(data, tmp_path):
    assert train(config(), data, tmp_path, time_limit=0, say=silent) is None
    assert (tmp_path / "state.safetensors").exists()
    assert not (tmp_path / "checkpoint").exists()


@pytest.mark.parametrize("change", [{"learning_rate": 1e-5}, {"seed": 1}, {"batch_size": 8}, {"free_bits": 0.1}])
def test_a_run_does_not_go_on_with_another_configuration(finished, data, change):
    with pytest.raises(CheckpointCorrupt, match="another configuration"):
        train(config(images=512, **change), data, finished[0], say=silent)
    assert TrainConfig.model_validate_json((finished[0] / "config.json").read_text()).seed == 0


def test_a_run_does_not_go_on_with_other_photographs(data, tmp_path):
    train(config(images=32), data, tmp_path / "run", time_limit=0, say=silent)
    other = prepared_set(tmp_path / "other", train=20)
    with pytest.raises(CheckpointCorrupt, match="data set"):
        train(config(images=32), other, tmp_path / "run", say=silent)


def test_crops_of_another_size_are_refused_with_the_remedy(tmp_path):
    prepared_set(tmp_path / "set", train=2, validation=1, test=0, size=64)
    with pytest.raises(DatasetError, match="64 pixels wide, the network takes 32") as refused:
        train(config(), tmp_path / "set", tmp_path / "run", say=silent)
    assert "--size 32" in refused.value.hint


def test_a_folder_without_a_data_set_is_refused(tmp_path):
    with pytest.raises(DatasetError):
        train(config(), tmp_path / "nothing", tmp_path / "run", say=silent)


def test_a_diverging_run_stops_and_says_so(data, tmp_path, monkeypatch):
    def broken(*args, **options):
        loss, parts = trainer_loss(*args, **options)
        return loss * float("nan"), parts

    trainer_loss = trainer.negative_elbo
    monkeypatch.setattr(trainer, "negative_elbo", broken)
    with pytest.raises(ConfigError, match="gradient is nan at step 0") as refused:
        train(config(), data, tmp_path, say=silent)
    assert "learning rate" in refused.value.hint
    assert not (tmp_path / "state.safetensors").exists()


def test_a_batch_that_the_processes_cannot_share_is_refused(data, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ConfigError, match="16 images cannot be shared evenly by 3"):
        train(config(), data, tmp_path, say=silent)


def test_one_validation_photograph_is_enough(tmp_path):
    data = prepared_set(tmp_path / "set", train=16, validation=1, test=0)
    train(config(images=16), data, tmp_path / "run", say=silent)
    (line,) = log_of(tmp_path / "run")
    assert line["validation/active_units"] == 0
    assert math.isfinite(line["validation/psnr"])


def test_mirroring_can_be_turned_off(data, tmp_path):
    states = []
    for flip in (True, False):
        train(config(images=32, flip=flip), data, tmp_path / str(flip), say=silent)
        states.append(load_file(tmp_path / str(flip) / "state.safetensors"))
    assert not torch.equal(states[0]["model.encoder.stem.weight"], states[1]["model.encoder.stem.weight"])


def test_evaluation_figures_on_a_network_that_answers_grey():
    class Grey(torch.nn.Module):
        """Decodes to mid-grey; its posterior has one dimension that varies with the brightness."""

        def encode(self, images):
            moments = torch.zeros(len(images), 4)
            moments[:, 0] = images.mean((1, 2, 3))
            return Posterior(moments)

        def decode(self, z):
            return torch.zeros(len(z), 3, 4, 4)

    levels = torch.tensor([0, 255] * 50, dtype=torch.uint8)
    faces = FaceSet(levels[:, None, None, None].expand(100, 4, 4, 3).clone(), tuple({} for _ in range(100)))
    figures = evaluate(Grey(), faces, torch.device("cpu"))
    assert figures["psnr"] == pytest.approx(-10 * math.log10(0.25))  # off by half the range everywhere
    assert figures["kl"] == pytest.approx(0.5)  # mean of +-1 in one dimension
    assert figures["active_units"] == 1


def test_pixels_become_images_by_the_convention_of_imaging():
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 8, 32, 1).expand(1, 8, 32, 3).contiguous()
    expected = to_tensor(pixels.numpy())
    torch.testing.assert_close(trainer.as_images(pixels, torch.device("cpu")), expected, rtol=0, atol=1e-6)


def test_the_learning_rate_warms_up_stays_and_cools_down():
    run = config(images=1000, batch_size=10, warmup_images=100, cooldown=0.4, final_rate=0.1)
    rates = [learning_rate_factor(run, images) for images in range(0, 1000, 10)]
    assert rates[0] == pytest.approx(10 / 110)
    assert np.all(np.diff(rates[:11]) > 0)
    assert rates[10:61] == [1.0] * 51  # constant up to image 600
    assert np.all(np.diff(rates[60:]) < 0)
    assert learning_rate_factor(run, 1000) == pytest.approx(0.1)
    assert learning_rate_factor(run, 2000) == pytest.approx(0.1)


@pytest.mark.parametrize("changes", [{"warmup_images": 0}, {"cooldown": 0.0}, {"cooldown": 1.0, "warmup_images": 0}])
def test_the_learning_rate_has_no_undefined_corner(changes):
    run = config(images=160, batch_size=16, **changes)
    rates = [learning_rate_factor(run, images) for images in range(0, 161, 16)]
    assert all(0 <= rate <= 1 for rate in rates)
    assert rates[1] > 0


def test_a_new_average_follows_the_weights_and_an_old_one_lags():
    small = VAEConfig(crop_size=16, latent_size=2, encoder_patch=8, decoder_patch=8,
                      encoder_widths=(4,), decoder_widths=(4,), norm_groups=1)  # fmt: skip
    vae, average = trainer.VAE(small), trainer.VAE(small)

    def share(images):
        """By how much the average moves towards the weights in one step."""
        with torch.no_grad():
            for one, other in zip(vae.parameters(), average.parameters(), strict=True):
                one.fill_(1.0)
                other.zero_()
        update_average(average, vae, batch_size=16, half_life=64, images=images)
        (moved,) = {float(value) for one in average.parameters() for value in one.detach().flatten()}
        return moved

    assert share(0) == 1.0
    assert share(64 * 20) == pytest.approx(1 - 0.5 ** (16 / 64), rel=1e-5)
    assert share(10**9) == pytest.approx(1 - 0.5 ** (16 / 64), rel=1e-5)
    assert share(640) > share(1280)


def test_torchrun_says_who_this_process_is(monkeypatch):
    assert World.from_torchrun() == World(0, 1, 0)
    for name, value in (("RANK", "5"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    assert World.from_torchrun() == World(5, 8, 1)


def test_the_code_version_begins_with_that_of_the_package():
    assert trainer.code_version().startswith(trainer.__version__)


@pytest.mark.slow
def test_tensorboard_receives_the_run_where_it_is_installed(data, tmp_path):
    pytest.importorskip("tensorboard")
    program = f"""
from pathlib import Path
from facemix.training.config import preset
from facemix.training.trainer import train
train(preset("tiny", images=32, device="cpu", precision="fp32"), Path({str(data)!r}), Path({str(tmp_path)!r}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=TESTS.parent, check=False)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "tensorboard").iterdir()]


@pytest.mark.slow
def test_two_processes_train_one_model(data, tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "facemix", "train", str(data), str(tmp_path / "run"), "--preset", "tiny"]
    command += ["--set", "images=128", "--set", "device=cpu", "--set", "precision=fp32"]
    first = subprocess.run(
        [*command, "--time-limit", "0"], capture_output=True, text=True, cwd=TESTS.parent, check=False
    )
    assert first.returncode == 0, first.stderr
    assert (tmp_path / "run" / "state.safetensors").exists()
    assert not (tmp_path / "run" / "checkpoint").exists()

    second = subprocess.run(command, capture_output=True, text=True, cwd=TESTS.parent, check=False)
    assert second.returncode == 0, second.stderr
    assert second.stdout.count("checkpoint:") == 1
    checkpoint = load_checkpoint(tmp_path / "run" / "checkpoint")
    assert checkpoint.card.training["images_seen"] == 128
    assert checkpoint.card.training["steps"] == 8
    assert len(log_of(tmp_path / "run")) == 1  # one process writes


def test_the_code_version_is_not_that_of_a_surrounding_checkout(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "facemix" / "__init__.py"
    package.parent.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    monkeypatch.setattr(trainer.facemix, "__file__", str(package))
    assert trainer.code_version() == trainer.__version__
