import pytest
from pydantic import ValidationError
from tiny import TINY

from facemix.vae.config import VAEConfig

SMALL = TINY.model_dump()


def test_a_configuration_survives_its_own_json():
    assert VAEConfig.model_validate_json(TINY.model_dump_json()) == TINY


def test_the_defaults_are_valid_and_frozen():
    config = VAEConfig()
    assert config.coarsest("encoder") == config.coarsest("decoder") == 4
    with pytest.raises(ValidationError):
        config.crop_size = 64


def test_the_two_sides_may_differ_if_they_meet():
    config = VAEConfig(
        crop_size=32, encoder_patch=2, encoder_widths=(4, 8, 12), decoder_patch=8, decoder_widths=(8,), norm_groups=4
    )
    assert config.coarsest("encoder") == config.coarsest("decoder") == 4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"crop_size": 36}, "crop_size 36 is not a multiple of 8, which the encoder needs"),
        ({"encoder_patch": 2, "decoder_patch": 8, "crop_size": 40}, "multiple of 16, which the decoder needs"),
        ({"encoder_widths": (8, 18)}, "encoder width 18 is not a multiple of 4"),
        ({"decoder_widths": (6, 16)}, "decoder width 6 is not a multiple of 4"),
        ({"decoder_widths": (8, 16, 16)}, "the encoder ends at 4 pixels and the decoder begins at 2"),
        ({"encoder_widths": ()}, "encoder_widths"),
        ({"encoder_widths": (0, 16)}, "encoder_widths.0"),  # a multiple of any number of groups
        ({"decoder_widths": (8, -16)}, "decoder_widths.1"),
        ({"crop_size": 8}, "crop_size"),
        ({"latent_size": 1}, "latent_size"),
        ({"encoder_patch": 0}, "encoder_patch"),
        ({"norm_groups": 0}, "norm_groups"),
        ({"coarse_size": 8}, "coarse_size 8 leaves no detail of latent_size 8"),
        ({"linear_side": 5}, "crop_size 32 is not a multiple of linear_side 5"),
        ({"linear_side": 1}, "has 3 numbers, too few for latent_size"),
        ({"dropout": 0.1}, "dropout"),
    ],
)
def test_what_cannot_be_built_is_refused(changes, said):
    with pytest.raises(ValidationError, match=said):
        VAEConfig(**(SMALL | changes))
