import torch
from tiny import TINY, tiny_vae

from facemix.evaluation.codecs import VAECodec
from facemix.evaluation.cost import cost_figures, gpu_time_per_face, time_per_face
from facemix.vae.networks import count_parameters


def test_parameters_and_training_time():
    vae = tiny_vae()
    found = cost_figures(vae, {"seconds": 90, "images_seen": 1000})
    assert found.parameters == found.encoder_parameters + found.decoder_parameters
    assert found.parameters == count_parameters(vae.requires_grad_(True))
    assert (found.training_seconds, found.training_images) == (90, 1000)


def test_sharpening_counts_with_what_came_before_it():
    earlier = {"seconds": 5, "images_seen": 10}
    parts = {"seconds": 90, "images_seen": 1000, "sharpen": {"seconds": 30, "images_seen": 200, "before": earlier}}
    found = cost_figures(tiny_vae(), parts)
    assert (found.training_seconds, found.training_images) == (125, 1210)
    assert cost_figures(tiny_vae(), {**parts, "sharpen": {"seconds": "long"}}).training_seconds is None


def test_flops_of_the_encoder_by_hand():
    # 8 x 8 places at width 8 behind the patches of 4 x 4 x 3 values, then 4 x 4 places at width 16.
    multiplications = 64 * 9 * (48 * 8 + 2 * 8 * 8) + 16 * 9 * (8 * 16 + 2 * 16 * 16) + 16 * 16 * 2 * 8
    assert cost_figures(tiny_vae(), {}).encode_flops == 2 * multiplications


def test_a_card_without_training_time():
    found = cost_figures(tiny_vae(), {"seconds": "long"})
    assert found.training_seconds is None
    assert found.training_images is None


def test_both_ways_are_timed():
    vae = tiny_vae()
    faces = torch.zeros(2, TINY.crop_size, TINY.crop_size, 3, dtype=torch.uint8).numpy()
    found = time_per_face(VAECodec(vae), faces)
    assert set(found) == {"encode_ms", "decode_ms"}
    assert min(found.values()) > 0


def test_a_gpu_is_timed_where_there_is_one():
    faces = torch.zeros(2, TINY.crop_size, TINY.crop_size, 3, dtype=torch.uint8).numpy()
    found = gpu_time_per_face(tiny_vae(), faces)
    assert set(found) == {"gpu_encode_ms", "gpu_decode_ms"}
    assert {value is not None for value in found.values()} == {torch.cuda.is_available()}
