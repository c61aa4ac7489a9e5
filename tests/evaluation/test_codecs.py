import numpy as np
import torch
from prepared import smooth_crops
from tiny import TINY, tiny_vae

from facemix.evaluation.codecs import VAECodec
from facemix.imaging.arrays import to_pixels, to_tensor


def test_it_encodes_to_the_mean_and_decodes_to_pixels():
    vae, crops = tiny_vae(), smooth_crops(19, TINY.crop_size)  # more than a batch
    codec = VAECodec(vae)
    z = codec.encode(crops)
    with torch.no_grad():
        expected = vae.encode(to_tensor(crops)).mean
        pictures = to_pixels(vae.decode(expected))
    assert torch.allclose(z, expected, atol=1e-5)
    decoded = codec.decode(z)
    assert decoded.shape == crops.shape
    assert np.abs(decoded.astype(int) - pictures).max() <= 1
    assert (codec.latent_size, codec.coarse_size) == (TINY.latent_size, TINY.coarse_size)
