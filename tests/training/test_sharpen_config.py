import pytest

from facemix.errors import ConfigError
from facemix.training.sharpen_config import SharpenConfig, sharpen_config


def test_the_defaults_survive_their_own_json_and_fit_together():
    config = sharpen_config()
    assert SharpenConfig.model_validate_json(config.model_dump_json()) == config
    assert max(config.warmup_images, config.ramp_images, config.ema_images, config.evaluate_images) < config.images


def test_every_field_that_is_not_plain_says_what_it_means():
    plain = {"seed", "discriminator_betas", "weight_decay", "device", "discriminator_widths"}
    assert {name for name, field in SharpenConfig.model_fields.items() if not field.description} == plain


def test_changes_replace_fields_and_none_leaves_them_alone():
    config = sharpen_config(images=100, batch_size=None, adversarial_weight=0.0)
    assert (config.images, config.adversarial_weight) == (100, 0.0)
    assert config.batch_size == SharpenConfig().batch_size


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"images": 0}, "images=0"),
        ({"batch_size": 1}, "batch_size=1"),  # there would be nothing to mix with
        ({"mix_share": 1.5}, r"mix_share=1\.5"),
        ({"adversarial_weight": -0.1}, r"adversarial_weight=-0\.1"),
        ({"penalty_steps": 0}, "penalty_steps=0"),
        ({"advresarial_weight": 0.1}, r"advresarial_weight=0\.1"),
        ({"discriminator_widths": []}, "discriminator_widths"),
    ],
)
def test_a_change_that_is_not_valid_is_refused_with_its_value(changes, said):
    with pytest.raises(ConfigError, match=said) as refused:
        sharpen_config(**changes)
    assert "facemix sharpen --dry-run" in refused.value.hint
