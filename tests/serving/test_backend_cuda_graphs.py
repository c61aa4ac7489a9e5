import numpy as np
import pytest
import torch

from facemix.serving.backends.torch_backend import TorchBackend
from facemix.vae.checkpoint import load_checkpoint

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU to record kernels on")


def test_recorded_kernels_give_the_same_levels(checkpoint):
    loaded = load_checkpoint(checkpoint)
    plain = TorchBackend(loaded, device="cuda", max_batch=8)
    recorded = TorchBackend(loaded, device="cuda", max_batch=8, cuda_graphs=True)
    z = np.random.default_rng(0).standard_normal((8, loaded.card.config.latent_size), np.float32)
    for number in (1, 3, 8, 2):
        difference = np.abs(recorded.decode(z[:number]).astype(int) - plain.decode(z[:number]))
        assert difference.max() <= 2
