import pytest

from facemix.errors import ConfigError
from facemix.training.config import PRESETS, TrainConfig, preset
from facemix.vae.networks import VAE


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_survives_its_own_json(name):
    config = preset(name)
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config
    # Warm-ups and pace make sense only within the run.
    assert max(config.warmup_images, config.kl_warmup_images, config.evaluate_images) < config.images
    assert config.batch_size <= config.warmup_images


def test_a_preset_describes_a_network_that_can_be_built():
    assert VAE(preset("tiny").vae).config == PRESETS["tiny"].vae


def test_changes_replace_fields_and_none_leaves_them_alone():
    config = preset("tiny", images=100, batch_size=None)
    assert (config.images, config.batch_size) == (100, PRESETS["tiny"].batch_size)
    assert PRESETS["tiny"].images != 100


def test_a_part_of_the_network_can_be_changed():
    changed = preset("tiny", vae={**PRESETS["tiny"].vae.model_dump(), "latent_size": 4})
    assert changed.vae.latent_size == 4


def test_the_name_of_the_checkpoint_can_be_changed():
    assert preset("tiny", name="mine").name == "mine"


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="'huge'") as refused:
        preset("huge")
    assert all(name in refused.value.hint for name in PRESETS)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"learning_rate": -1.0}, r"learning_rate=-1\.0"),
        ({"images": 0}, "images=0"),
        ({"precision": "fp8"}, "precision='fp8'"),
        ({"name": "../up"}, "name='../up'"),
        ({"lerning_rate": 1.0}, "lerning_rate=1.0"),
        ({"cooldown": 1.5}, "cooldown=1.5"),
        ({"vae": {"crop_size": 100}}, "vae"),
    ],
)
def test_a_change_that_is_not_valid_is_refused_with_its_value(changes, said):
    with pytest.raises(ConfigError, match=said):
        preset("tiny", **changes)
