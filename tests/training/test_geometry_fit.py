import json

import cv2
import numpy as np
import pytest
import torch
from prepared import prepared_set
from torch.nn import functional

from facemix.errors import CheckpointCorrupt, ConfigError, DatasetError
from facemix.mixing.recipe import REGIONS
from facemix.mixing.regions import masks
from facemix.mixing.warp import dense
from facemix.training import geometry as module
from facemix.training.dataset import load_split
from facemix.training.geometry import Likeness, bending, features, fit_geometry, membrane, spread, warp
from facemix.training.geometry_config import FINER, REGION_WEIGHTS, geometry_config
from facemix.vae.geometry import GRID, SIDE, Geometry, GeometryNet

FIELD = module.FIELD
EVERYWHERE = np.full((6, FIELD, FIELD), 1 / 6, np.float32)


def silent(line):
    pass


def config(**changes):
    small = {
        "steps": 6,
        "batch_size": 6,
        "region_weights": (1, 1, 1, 1, 1, 1),
        "components": 2,
        "subspace_faces": 16,
        "subspace_steps": 4,
        "subspace_early": (),
        "warmup_steps": 2,
        "learning_rate": 1e-3,
    }
    return geometry_config(**(small | changes))


def shifted_discs(count, seed=0):
    """A target on grey, up to 6 % of the side away from the middle: (count, SIDE, SIDE, 3) uint8."""
    centres = 0.5 + np.random.default_rng(seed).uniform(-0.06, 0.06, (count, 2))
    y, x = np.mgrid[:SIDE, :SIDE]
    found = []
    for across, down in SIDE * centres:
        apart = np.hypot(x + 0.5 - across, y + 0.5 - down) / SIDE
        rings = 128 + 90 * np.cos(apart * 2 * np.pi / 0.16) * (apart < 0.32)
        found.append(cv2.GaussianBlur(rings, (0, 0), 1.5))
    return np.repeat(np.rint(found).astype(np.uint8)[..., None], 3, axis=3)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    counts = {"train": 40, "validation": 2, "test": 8}
    folder = tmp_path_factory.mktemp("discs") / "data"
    return prepared_set(folder, **counts, size=SIDE, crops=shifted_discs(50), landmarks=True)


def weights(fitted):
    return torch.cat([value.flatten() for value in fitted.net.state_dict().values()])


def stirred(seed):
    """A network that displaces something."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = GeometryNet()
        torch.nn.init.normal_(net.body[-1].weight, std=0.05)
    return net


def unlike(pictures):
    """Mean squared distance from their mean of (N, 3, FIELD, FIELD), all but the outermost places."""
    inner = pictures[..., 6:-6, 6:-6]
    return float((inner - inner.mean(0)).square().mean())


def test_warped_copies_of_unseen_pictures_come_nearer_to_one_another(data, tmp_path):
    settings = config(steps=40, batch_size=8, landmark_weight=0, warmup_steps=5, subspace_steps=15, subspace_faces=40)
    fitted = fit_geometry(settings, data, tmp_path / "state", regions=EVERYWHERE, say=silent)
    crops = load_split(data, "test").images
    small = functional.avg_pool2d(crops.permute(0, 3, 1, 2).float() / 255, 2)
    shapes = torch.from_numpy(Geometry(fitted.net).shapes(crops.numpy()))
    assert unlike(warp(small, spread(shapes))) < 0.85 * unlike(small)


def test_the_same_seed_gives_the_same_weights_and_another_one_others(data, tmp_path):
    runs = [
        fit_geometry(config(seed=seed), data, tmp_path / f"state{number}", regions=EVERYWHERE, say=silent)
        for number, seed in enumerate((0, 0, 1))
    ]
    assert torch.equal(weights(runs[0]), weights(runs[1]))
    assert not torch.equal(weights(runs[0]), weights(runs[2]))


def test_an_interrupted_fit_arrives_where_the_other_one_does(data, tmp_path):
    """It stops once in every step, so also between two computations of the subspace and right before one."""
    whole = fit_geometry(config(), data, tmp_path / "whole", regions=EVERYWHERE, say=silent)
    said, seen = [], []
    for _ in range(5):
        parts = fit_geometry(
            config(),
            data,
            tmp_path / "parts",
            regions=EVERYWHERE,
            time_limit=0,
            say=said.append,
            on_progress=lambda *at: seen.append(at),
        )
        assert parts is None
    finished = fit_geometry(config(), data, tmp_path / "parts", regions=EVERYWHERE, say=said.append)
    assert torch.equal(weights(whole), weights(finished))
    assert seen == [(step, 6) for step in range(1, 6)]
    assert [line for line in said if "resumed" in line] == [f"resumed at step {step}" for step in range(1, 6)]


def test_a_finished_fit_is_only_read(data, tmp_path):
    first = fit_geometry(config(), data, tmp_path / "state", regions=EVERYWHERE, say=silent)
    before, stepped = (tmp_path / "state").read_bytes(), []
    again = fit_geometry(
        config(), data, tmp_path / "state", regions=EVERYWHERE, say=silent, on_progress=lambda *at: stepped.append(at)
    )
    assert torch.equal(weights(first), weights(again))
    assert (tmp_path / "state").read_bytes() == before
    assert stepped == []


def test_the_facts_say_what_it_was_fitted_to(data, tmp_path):
    fitted = fit_geometry(config(), data, tmp_path / "state", regions=EVERYWHERE, limit=20, say=silent)
    summary = json.loads((data / "dataset.json").read_text())
    facts = json.loads(json.dumps(fitted.facts))
    assert facts["data"] == summary["name"]
    assert facts["manifest_sha256"] == summary["manifest_sha256"]
    assert (facts["faces"], facts["steps"]) == (20, 6)
    assert facts["seconds"] >= 0
    assert facts["config"]["batch_size"] == 6
    assert facts["code_version"]


def test_a_second_stage_begins_with_what_the_first_one_found(data, tmp_path):
    """With next to no learning rate it stays there; without a beginning it would displace nothing."""
    first = Geometry(stirred(0), {"steps": 5, "seconds": 3})
    before, crops = first.weights_sha256(), load_split(data, "test").images.numpy()
    still = config(learning_rate=1e-12, least_rate=0, weight_decay=0)
    fitted = fit_geometry(still, data, tmp_path / "state", regions=EVERYWHERE, begins=first, say=silent)
    assert np.abs(first.shapes(crops)).max() > 1e-3
    np.testing.assert_allclose(Geometry(fitted.net).shapes(crops), first.shapes(crops), atol=1e-6)
    assert json.loads(json.dumps(fitted.facts))["began_with"] == {"weights_sha256": before, "steps": 5, "seconds": 3}
    moved = fit_geometry(config(), data, tmp_path / "moved", regions=EVERYWHERE, begins=first, say=silent)
    assert Geometry(moved.net).weights_sha256() != before
    assert first.weights_sha256() == before
    assert not any(weight.requires_grad for weight in first.net.parameters())


def test_both_stages_draw_the_same(data, tmp_path):
    """A second stage from what the first one begins with is the first stage."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config().seed)
        begins = Geometry(GeometryNet())
    runs = [
        fit_geometry(config(), data, tmp_path / f"state{number}", regions=EVERYWHERE, begins=one, say=silent)
        for number, one in enumerate((None, begins))
    ]
    assert torch.equal(weights(runs[0]), weights(runs[1]))
    assert "began_with" not in runs[0].facts


def test_an_interrupted_second_stage_goes_on_from_its_own_beginning_alone(data, tmp_path):
    begins, state = Geometry(stirred(0)), tmp_path / "parts"
    whole = fit_geometry(config(), data, tmp_path / "whole", regions=EVERYWHERE, begins=begins, say=silent)
    assert fit_geometry(config(), data, state, regions=EVERYWHERE, begins=begins, time_limit=0, say=silent) is None
    for other in (None, Geometry(stirred(1))):
        with pytest.raises(CheckpointCorrupt, match="another configuration"):
            fit_geometry(config(), data, state, regions=EVERYWHERE, begins=other, say=silent)
    finished = fit_geometry(config(), data, state, regions=EVERYWHERE, begins=begins, say=silent)
    assert torch.equal(weights(whole), weights(finished))


def test_a_finer_configuration_is_less_stiff_and_takes_changes():
    plain, finer = geometry_config(), geometry_config(finer=True)
    assert (finer.bending / plain.bending, finer.membrane / plain.membrane) == pytest.approx((0.3, 0.3))
    assert finer.model_dump(exclude=set(FINER)) == plain.model_dump(exclude=set(FINER))
    changed = geometry_config(finer=True, steps=7, components=None)
    assert (changed.steps, changed.components, changed.learning_rate) == (7, finer.components, finer.learning_rate)


def test_the_state_of_another_fit_is_refused(data, tmp_path):
    fit_geometry(config(), data, tmp_path / "state", regions=EVERYWHERE, time_limit=0, say=silent)
    for changed, limit in ((config(bending=1), None), (config(steps=7), None), (config(), 20)):
        with pytest.raises(CheckpointCorrupt, match="another configuration"):
            fit_geometry(changed, data, tmp_path / "state", regions=EVERYWHERE, limit=limit, say=silent)
    (tmp_path / "state").write_bytes(b"no state")
    with pytest.raises(CheckpointCorrupt, match="cannot be resumed"):
        fit_geometry(config(), data, tmp_path / "state", regions=EVERYWHERE, say=silent)


def test_data_that_it_cannot_be_fitted_to_are_refused(data, tmp_path):
    other = prepared_set(tmp_path / "small", size=32, landmarks=True)
    with pytest.raises(DatasetError, match="32 pixels wide"):
        fit_geometry(config(), other, tmp_path / "state", regions=EVERYWHERE, say=silent)
    bare = prepared_set(tmp_path / "bare", train=20, size=SIDE)
    with pytest.raises(DatasetError, match="20 of 20 training faces"):
        fit_geometry(config(), bare, tmp_path / "state", regions=EVERYWHERE, say=silent)
    with pytest.raises(ConfigError, match="2 faces do not span 2 components"):
        fit_geometry(config(), data, tmp_path / "state", regions=EVERYWHERE, limit=2, say=silent)
    assert not (tmp_path / "state").exists()


def test_a_fit_that_diverges_says_so(data, tmp_path):
    with pytest.raises(ConfigError, match="not finite at step"):
        fit_geometry(config(learning_rate=1e30), data, tmp_path / "state", regions=EVERYWHERE, say=silent)


@pytest.mark.parametrize("changes", [{"steps": 0}, {"softness": 0}, {"contrast": 1}, {"bendign": 3}])
def test_a_configuration_that_is_not_valid_is_refused(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        geometry_config(**changes)


def test_region_weights_are_named_in_the_order_of_the_regions():
    """The weights are numbers only; training cannot import the regions that they belong to."""
    named = dict(zip(REGIONS, REGION_WEIGHTS, strict=True))
    assert named == {"eyes": 1, "nose": 1, "mouth": 1, "skin": 0.7, "hair": 0.25, "frame": 0.1}
    assert masks(FIELD).shape == EVERYWHERE.shape


def test_features_do_not_see_exposure_but_see_a_shift():
    pictures = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)).repeat_interleave(4, 2)
    pictures = functional.interpolate(pictures.repeat_interleave(4, 3), size=(FIELD, FIELD), mode="bilinear")
    plain = features(pictures, 0.7)
    exposed = features(0.6 * pictures + 0.3, 0.7)
    moved = features(pictures.roll(2, 3), 0.7)
    assert plain.shape == (2, 3, FIELD, FIELD)
    assert float((exposed - plain).abs().mean()) < 0.1 * float((moved - plain).abs().mean())


def test_gradients_count_as_much_as_is_asked():
    picture = torch.rand(1, 3, FIELD, FIELD, generator=torch.Generator().manual_seed(0))
    plain, doubled = features(picture, 1), features(picture, 2)
    assert torch.equal(doubled[:, 0], plain[:, 0])
    assert torch.allclose(doubled[:, 1:], 2 * plain[:, 1:])
    warped = torch.cat([picture, picture.flip(3), picture.flip(2)])
    found = {weight: Likeness(torch.ones(1, 1, FIELD, FIELD), config(gradients=weight)) for weight in (0.0, 1.0)}
    assert float(found[1.0](warped)) > float(found[0.0](warped)) + 0.1


def test_the_warp_takes_what_lies_the_displacement_from_there():
    picture = torch.zeros(1, 3, FIELD, FIELD)
    picture[..., 20, 30] = 1
    displacements = torch.zeros(1, 2, FIELD, FIELD)
    displacements[:, 0], displacements[:, 1] = 5 / FIELD, -3 / FIELD
    found = warp(picture, displacements)[0, 0]
    assert divmod(int(found.argmax()), FIELD) == (23, 25)
    assert float(found.max()) == pytest.approx(1, abs=1e-4)
    assert torch.allclose(warp(picture, 0 * displacements), picture, atol=1e-5)


def test_fields_are_those_that_mixing_uses():
    """The network was fitted through one interpolation; mixes and benchmarks go through the other."""
    shapes = torch.randn(2, 2, GRID, GRID, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(spread(shapes).permute(0, 2, 3, 1), dense(shapes.numpy()), atol=1e-4)


def test_a_shift_costs_nothing_a_stretch_no_bending_and_a_fold_both():
    x, y = torch.meshgrid(torch.linspace(0, 1, GRID), torch.linspace(0, 1, GRID), indexing="xy")
    shift = torch.ones(1, 2, GRID, GRID)
    stretch = torch.stack([x, 0.5 * y])[None]
    fold = torch.stack([(x - 0.5).abs(), y])[None]
    assert (float(bending(shift)), float(membrane(shift))) == (0, 0)
    assert float(bending(stretch)) == pytest.approx(0, abs=1e-10)
    assert float(membrane(stretch)) > 0
    assert float(bending(fold)) > 1e-4


def test_what_lies_in_the_subspace_costs_no_more_than_nothing_does():
    likeness = Likeness(torch.ones(1, 1, FIELD, FIELD), config())
    pictures = torch.rand(3, 3, FIELD, FIELD, generator=torch.Generator().manual_seed(1))
    share = likeness.renew([pictures])
    assert share == pytest.approx(1, abs=1e-3)  # three pictures lie in a plane
    least = config().softness ** 0.5
    assert float(likeness(pictures)) == pytest.approx(least, abs=1e-3)
    assert float(likeness(pictures.flip(0, 3))) > least + 0.1


def test_mirrored_landmarks_exchange_left_and_right():
    points = torch.tensor([[0.2, 0.3], [0.7, 0.31], [0.5, 0.5], [0.3, 0.7], [0.6, 0.72]])
    mirrored = module.mirrored_landmarks(points)
    assert torch.allclose(mirrored[0], torch.tensor([0.3, 0.31]))
    assert torch.allclose(mirrored[3], torch.tensor([0.4, 0.72]))
    assert torch.allclose(module.mirrored_landmarks(mirrored), points)
