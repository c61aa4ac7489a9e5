import json
import math
import sys

import pytest
import torch
from PIL import Image
from prepared import prepared_set
from safetensors.torch import load_file
from tiny import TINY, tiny_checkpoint, tiny_vae

from facemix.errors import CheckpointCorrupt, CheckpointMissing, ConfigError, DatasetError
from facemix.training import sharpen as module
from facemix.training.dataset import load_split
from facemix.training.sharpen import sharpen
from facemix.training.sharpen_config import SharpenConfig, sharpen_config
from facemix.training.sharpness import measure
from facemix.training.state import Progress
from facemix.vae.checkpoint import load_checkpoint
from facemix.vae.discriminator import Discriminator
from facemix.vae.prior import LatentPrior

CPU = torch.device("cpu")
PRIOR = LatentPrior(torch.arange(8) / 8, torch.eye(8) / 2)


def silent(line):
    pass


def config(**changes):
    small = {
        "images": 96,
        "batch_size": 8,
        "learning_rate": 2e-3,
        "warmup_images": 16,
        "ema_images": 16,
        "ramp_images": 32,
        "penalty_steps": 4,
        "discriminator_widths": (8, 16),
        "evaluate_images": 32,
        "precision": "fp32",
        "device": "cpu",
    }
    return sharpen_config(**{**small, **changes})


@pytest.fixture(scope="module", autouse=True)
def no_tensorboard():
    """Its import brings warnings of its own; the trainer's tests look at what it receives."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch.utils.tensorboard", None)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return prepared_set(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module")
def source(tmp_path_factory, data):
    summary = json.loads((data / "dataset.json").read_text())
    return tiny_checkpoint(
        tmp_path_factory.mktemp("source"),
        prior=PRIOR,
        name="mine",
        training={"images_seen": 77, "seconds": 5},
        data={"name": "smooth noise", "manifest_sha256": summary["manifest_sha256"]},
        metrics={"psnr": 10.0, "kl": 3.5},
        limitations=("it is tiny",),
    )


@pytest.fixture(scope="module")
def finished(data, source, tmp_path_factory):
    """A run of 12 steps, what it said, and its progress."""
    run, said, seen = tmp_path_factory.mktemp("finished"), [], []
    folder = sharpen(config(), source, data, run, say=said.append, on_progress=lambda *at: seen.append(at))
    assert folder == run / "checkpoint"
    return run, said, seen


def log_of(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def players(seed=0, coarse_size=0):
    vae = tiny_vae(TINY.model_copy(update={"coarse_size": coarse_size}))
    vae.decoder.requires_grad_(True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return vae, Discriminator((8, 16))


def one_step(settings, step=1, images=None, seed=0, seen=10**6, coarse_size=0):
    """Gradients of one step, by player, and what it logs."""
    vae, opponent = players(coarse_size=coarse_size)
    generator = torch.Generator().manual_seed(seed)
    if images is None:
        images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(9)) * 2 - 1
    weights = torch.ones(1, 1, 32, 32)
    parts = module.backward(settings, vae, opponent, images, weights, Progress(step, seen), generator)
    return vae, opponent, parts


def gradients(player):
    return [parameter.grad for parameter in player.parameters()]


def test_a_run_leaves_what_the_documentation_promises(finished):
    run, said, seen = finished
    assert SharpenConfig.model_validate_json((run / "config.json").read_text()) == config()
    assert seen == [(images, 96) for images in range(8, 97, 8)]
    assert len(said) == 4  # the start and three evaluations
    lines = log_of(run)
    assert [line["images"] for line in lines] == [0, 32, 64, 96]
    assert all(math.isfinite(value) for line in lines for value in line.values())
    figures = {"validation/psnr", "validation/sharpness", "validation/midpoint_sharpness"}
    assert all(figures <= line.keys() for line in lines)
    losses = {"adversarial", "discriminator", "real_logit", "fake_logit", "r1", "r2", "l1", "laplacian"}
    assert all({f"training/{name}" for name in losses} <= line.keys() for line in lines[1:])
    names = {path.name for path in (run / "grids").iterdir()}
    kinds = ("reconstructions", "samples", "interpolations")
    assert names == {f"{images:09d}-{kind}.png" for images in (32, 64, 96) for kind in kinds}
    with Image.open(run / "grids" / "000000096-reconstructions.png") as grid:
        assert grid.size == (8 * 34 + 2, 2 * 34 + 2)


def test_the_decoder_changes_and_the_encoder_and_the_prior_do_not(finished, source):
    before, after = load_checkpoint(source), load_checkpoint(finished[0] / "checkpoint")
    for one, other in zip(before.vae.encoder.parameters(), after.vae.encoder.parameters(), strict=True):
        assert torch.equal(one, other)
    for one, other in zip(before.vae.decoder.parameters(), after.vae.decoder.parameters(), strict=True):
        assert not torch.equal(one, other)
    assert torch.equal(after.prior.mean, before.prior.mean)
    assert torch.equal(after.prior.scale, before.prior.scale)


def test_the_source_is_only_read(finished, source):
    assert load_checkpoint(source).card.name == "mine"
    vae = load_checkpoint(source).vae
    assert all(torch.equal(a.half(), b.half()) for a, b in zip(vae.parameters(), tiny_vae().parameters(), strict=True))


def test_sharpening_brings_reconstructions_nearer(finished):
    # The source is untrained, so even the pixels' losses have much to gain.
    lines = log_of(finished[0])
    assert lines[-1]["validation/psnr"] > lines[0]["validation/psnr"] + 0.5


def test_the_card_tells_of_both_parts_of_training(finished, data, source):
    run, _, _ = finished
    card, before = load_checkpoint(run / "checkpoint").card, load_checkpoint(source).card
    assert (card.name, card.licence, card.limitations, card.data, card.config) == (
        before.name,
        before.licence,
        before.limitations,
        before.data,
        before.config,
    )
    assert {name: card.training[name] for name in before.training} == before.training
    told = card.training["sharpen"]
    assert (told["images_seen"], told["steps"], told["adversarial_weight"]) == (96, 12, config().adversarial_weight)
    assert told["from_weights_sha256"] == before.weights_sha256
    assert told["data"]["manifest_sha256"] == before.data["manifest_sha256"]
    assert card.metrics["kl"] == 3.5  # of the encoder, which is the same
    assert card.metrics["psnr"] == pytest.approx(log_of(run)[-1]["validation/psnr"], abs=1e-4)
    # What is served is rounded to half precision; it is as good as the card says.
    served = measure(load_checkpoint(run / "checkpoint").vae, load_split(data, "validation"), CPU)
    assert served["psnr"] == pytest.approx(card.metrics["psnr"], abs=0.02)


def test_the_average_is_exported_and_not_the_last_weights(finished):
    state = load_file(finished[0] / "state.safetensors")
    served = load_checkpoint(finished[0] / "checkpoint").vae.decoder.state_dict()
    assert all(torch.equal(state[f"average.{name}"].half().float(), value) for name, value in served.items())
    assert not all(torch.equal(state[f"model.decoder.{name}"].half().float(), v) for name, v in served.items())


def test_an_interrupted_run_ends_with_the_very_same_weights(finished, data, source, tmp_path):
    """Same batches, same noise, same moments of both players, bit for bit."""
    for _ in range(20):
        folder = sharpen(config(), source, data, tmp_path, time_limit=0, say=silent)
        if folder is not None:
            break
    assert folder == tmp_path / "checkpoint"
    one, other = load_file(finished[0] / "state.safetensors"), load_file(tmp_path / "state.safetensors")
    assert one.keys() == other.keys()
    assert any(name.startswith("model.discriminator.") for name in one)
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    assert [line["images"] for line in log_of(tmp_path)] == [0, 32, 64, 96]
    weights = [(run / "checkpoint" / "model.safetensors").read_bytes() for run in (finished[0], tmp_path)]
    assert weights[0] == weights[1]


def test_a_finished_run_is_not_continued_but_may_be_lengthened(data, source, tmp_path):
    sharpen(config(images=16), source, data, tmp_path, say=silent)
    before = (tmp_path / "checkpoint" / "model.safetensors").read_bytes()
    said = []
    assert sharpen(config(images=16), source, data, tmp_path, say=said.append) == tmp_path / "checkpoint"
    assert said == ["resumed at 16 images"]
    assert (tmp_path / "checkpoint" / "model.safetensors").read_bytes() == before
    sharpen(config(images=32), source, data, tmp_path, say=silent)
    assert load_checkpoint(tmp_path / "checkpoint").card.training["sharpen"]["steps"] == 4


def test_a_sharpened_checkpoint_can_be_sharpened_again(data, source, tmp_path):
    once = sharpen(config(images=8), source, data, tmp_path / "once", say=silent)
    twice = sharpen(config(images=16), once, data, tmp_path / "twice", say=silent)
    told = load_checkpoint(twice).card.training["sharpen"]
    assert (told["images_seen"], told["before"]["images_seen"]) == (16, 8)


@pytest.mark.parametrize("change", [{"seed": 1}, {"adversarial_weight": 0.2}, {"discriminator_widths": (8, 8)}])
def test_a_run_does_not_go_on_with_another_configuration(finished, data, source, change):
    with pytest.raises(CheckpointCorrupt, match="another configuration"):
        sharpen(config(images=200, **change), source, data, finished[0], say=silent)
    assert SharpenConfig.model_validate_json((finished[0] / "config.json").read_text()) == config()


def test_a_run_does_not_go_on_from_another_checkpoint(finished, data, tmp_path):
    other = tiny_checkpoint(tmp_path / "other", seed=5)
    with pytest.raises(CheckpointCorrupt, match="another configuration"):
        sharpen(config(images=200), other, data, finished[0], say=silent)


def test_other_photographs_are_told_of_in_note_and_card(source, tmp_path):
    other = prepared_set(tmp_path / "other", train=20)
    summary = json.loads((other / "dataset.json").read_text())
    (other / "dataset.json").write_text(json.dumps(summary | {"licence": "mine alone"}))
    said = []
    folder = sharpen(config(images=8), source, other, tmp_path / "run", say=said.append)
    assert any("another data set" in line for line in said)
    card = load_checkpoint(folder).card
    assert card.licence.startswith("CC0-1.0; ")
    assert "mine alone" in card.licence
    assert card.training["sharpen"]["data"]["manifest_sha256"] == summary["manifest_sha256"]


def test_crops_of_another_size_are_refused_with_the_remedy(source, tmp_path):
    prepared_set(tmp_path / "set", train=2, validation=1, test=0, size=64)
    with pytest.raises(DatasetError, match="64 pixels wide, the checkpoint takes 32") as refused:
        sharpen(config(), source, tmp_path / "set", tmp_path / "run", say=silent)
    assert "--size 32" in refused.value.hint
    assert not (tmp_path / "run").exists()


def test_the_checkpoint_that_it_begins_with_is_never_overwritten(data, tmp_path):
    tiny_checkpoint(tmp_path / "checkpoint")
    with pytest.raises(ConfigError, match="overwrite"):
        sharpen(config(), tmp_path / "checkpoint", data, tmp_path, say=silent)


def test_a_folder_without_a_checkpoint_is_refused(data, tmp_path):
    with pytest.raises(CheckpointMissing):
        sharpen(config(), tmp_path / "nothing", data, tmp_path / "run", say=silent)


def test_a_diverging_run_stops_and_says_whose_gradient_it_was(data, source, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "discriminator_loss", lambda real, fake: (real.mean() + fake.mean()) * float("nan"))
    with pytest.raises(ConfigError, match="discriminator is nan at step 0"):
        sharpen(config(), source, data, tmp_path, say=silent)
    assert not (tmp_path / "state.safetensors").exists()


# --- one step ----------------------------------------------------------------------------------------------


def test_a_step_leaves_gradients_in_both_players_and_none_in_the_encoder():
    vae, opponent, parts = one_step(config())
    assert all(grad is not None and grad.abs().sum() > 0 for grad in gradients(vae.decoder) + gradients(opponent))
    assert all(grad is None for grad in gradients(vae.encoder))
    assert not any(value.requires_grad for value in parts.values())
    assert "r1" not in parts  # step 1 of 4


def test_the_shared_pass_gives_the_gradients_of_two_separate_ones(monkeypatch):
    """Against the plain way: decode and judge once for the decoder's loss and once more for the discriminator's."""
    settings = config(mix_share=0.0, translation=0.0, cutout=0.0, penalty_steps=1)
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(9)) * 2 - 1
    vae, opponent, _ = one_step(settings, images=images)

    plain, judge = players()
    decoded = plain.decode(plain.encode(images).mode())
    (fake, found), (_, wanted) = judge(decoded), judge(images)
    error = decoded - images
    loss = settings.l1_weight * error.abs().mean() + settings.mse_weight * error.square().mean()
    loss = loss + settings.laplacian_weight * module.laplacian_pyramid_distance(error, settings.laplacian_levels)
    loss = loss + settings.contrast_weight * module.lacking_contrast(decoded, images)
    loss = loss + settings.adversarial_weight * torch.nn.functional.softplus(-fake).mean()
    loss = loss + settings.feature_weight * module.feature_distance(wanted, found)
    expected = torch.autograd.grad(loss, list(plain.decoder.parameters()))
    for got, want in zip(gradients(vae.decoder), expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-6)

    verdict = module.discriminator_loss(judge(images)[0], judge(decoded.detach())[0])
    slopes = [module.gradient_penalty(judge, shown).mean() for shown in (images, decoded)]
    verdict = verdict + settings.penalty_weight / 2 * sum(slopes)
    expected = torch.autograd.grad(verdict, list(judge.parameters()))
    for got, want in zip(gradients(opponent), expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-6)


def test_penalties_come_every_so_many_steps_and_count_as_often():
    with_penalty, without = config(penalty_steps=4), config(penalty_steps=4, penalty_weight=0.0)
    assert "r1" not in one_step(with_penalty, step=3)[2]
    _, often, parts = one_step(config(penalty_steps=1), step=4)
    _, rarely, _ = one_step(with_penalty, step=4)
    _, never, nothing = one_step(without, step=4)
    assert {"r1", "r2"} <= parts.keys()
    assert "r1" not in nothing
    for once, four, none in zip(gradients(often), gradients(rarely), gradients(never), strict=True):
        torch.testing.assert_close(four - none, 4 * (once - none), rtol=1e-3, atol=1e-6)


def test_the_adversary_pulls_only_as_far_as_it_is_ramped_up():
    quiet = {
        "l1_weight": 0.0,
        "mse_weight": 0.0,
        "laplacian_weight": 0.0,
        "feature_weight": 0.0,
        "contrast_weight": 0.0,
    }
    none, half, full = (gradients(one_step(config(**quiet), seen=seen)[0].decoder) for seen in (0, 16, 32))
    assert all(grad.abs().sum() == 0 for grad in none)
    for one, two in zip(half, full, strict=True):
        torch.testing.assert_close(2 * one, two)
        assert two.abs().sum() > 0


def test_who_was_given_the_detail_owes_it_to_the_photograph_alone():
    none = {f"{name}_weight": 0.0 for name in ("l1", "mse", "laplacian", "contrast", "feature")}
    for dropped, pulled in ((0.0, False), (0.5, True)):
        settings = config(**none, adversarial_weight=1.0, mix_share=0.0, drop_share=dropped)
        found = gradients(one_step(settings, coarse_size=4)[0].decoder)
        assert any(grad.any() for grad in found) == pulled
    without_levels = config(**none, adversarial_weight=1.0, mix_share=0.0, drop_share=0.0)
    assert any(grad.any() for grad in gradients(one_step(without_levels)[0].decoder))


def test_mixes_are_judged_but_not_compared_with_photographs():
    for share, judged in ((0.0, False), (0.5, True), (1.0, True)):
        assert ("mix_logit" in one_step(config(mix_share=share))[2]) == judged
    quiet = {"adversarial_weight": 0.0, "translation": 0.0, "cutout": 0.0}
    without, mixes = (gradients(one_step(config(mix_share=share, **quiet))[0].decoder) for share in (0.0, 1.0))
    for one, two in zip(without, mixes, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


def test_mixes_lie_between_neighbours_with_weights_from_a_quarter_to_three():
    z = torch.eye(8)
    mixed = torch.cat(
        [module._mixes(config(mix_share=0.5), z, 0, torch.Generator().manual_seed(n)) for n in range(100)]
    )
    assert mixed.shape == (400, 8)
    for index, row in enumerate(mixed):
        ends = (index % 4, (index % 4 - 1) % 8)
        assert set(row.nonzero().flatten().tolist()) == set(ends)
        assert row.sum().item() == pytest.approx(1)
        assert 0.25 <= row[ends[0]] <= 0.75
    assert mixed[0::4, 0].std() > 0.1


def test_detail_fades_in_the_mixes_as_it_does_when_served():
    z = torch.rand(8, 6, generator=torch.Generator().manual_seed(0)) + 1
    straight, faded = (
        module._mixes(config(mix_share=1.0), z, coarse, torch.Generator().manual_seed(0)) for coarse in (0, 4)
    )
    assert torch.equal(straight[:, :4], faded[:, :4])
    shares = faded[:, 4:] / straight[:, 4:]
    assert shares.min() < 0.2
    assert shares.max() <= 0.5**1.5 + 1e-6  # of the weights 1/4 and 3/4


def test_a_share_of_the_photographs_comes_without_detail():
    z = torch.ones(8, 6)
    for share, dropped in ((0.0, 0), (0.5, 4), (1.0, 8)):
        given = module._without_some_detail(config(drop_share=share), z, 4)
        assert torch.equal(given[:, :4], z[:, :4])
        assert (given[:, 4:] == 0).all(1).tolist() == [False] * (8 - dropped) + [True] * dropped
    assert torch.equal(z, torch.ones(8, 6))
    assert module._without_some_detail(config(drop_share=1.0), z, 0) is z


def test_pixels_count_less_where_detail_was_not_given():
    trust = module._trust(config(drop_share=0.25, drop_fidelity=0.3), 8, 4)
    assert trust.flatten().tolist() == pytest.approx([1] * 6 + [0.3] * 2)
    assert module._trust(config(drop_share=0.25, drop_fidelity=0.3), 8, 0).min() == 1


def test_a_checkpoint_can_be_given_two_levels(data, source, tmp_path):
    folder = sharpen(config(images=8, coarse_size=4), source, data, tmp_path, say=silent)
    assert load_checkpoint(source).card.config.coarse_size == 0
    assert load_checkpoint(folder).card.config.coarse_size == 4


def test_levels_that_the_latent_does_not_have_are_refused(data, source, tmp_path):
    with pytest.raises(ConfigError, match="coarse_size=8"):
        sharpen(config(coarse_size=8), source, data, tmp_path / "run", say=silent)
    assert not (tmp_path / "run").exists()


def test_a_share_of_the_batch_is_sampled_instead_of_the_mean():
    posterior = tiny_vae().encode(torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    for share, sampled in ((0.0, 0), (0.5, 4), (1.0, 8)):
        z = module._latents(config(sample_share=share), posterior, torch.Generator().manual_seed(0))
        differs = (z != posterior.mean).any(1)
        assert differs.tolist() == [True] * sampled + [False] * (8 - sampled)


def test_what_is_fitted_in_closed_form_stays_as_it_is(data, tmp_path):
    shape = TINY.model_copy(update={"linear_side": 8})
    begun = tiny_checkpoint(tmp_path / "source", config=shape)
    folder = sharpen(config(images=16), begun, data, tmp_path / "run", say=silent)
    before, after = (load_checkpoint(one).vae.decoder.state_dict() for one in (begun, folder))
    fitted = {name for name in before if name.startswith("linear.")}
    assert fitted
    for name in fitted:
        assert torch.equal(before[name], after[name]), name
    assert not torch.equal(before["head.weight"], after["head.weight"])
