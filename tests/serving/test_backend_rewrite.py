import pytest
import torch
from one_thread import one_thread  # noqa: F401 (pytest finds it here)
from tiny import TINY, tiny_vae

from facemix.serving.backends.rewrite import for_openvino, for_torch
from facemix.vae.config import VAEConfig

LINEAR = VAEConfig(**{**TINY.model_dump(), "latent_size": 48, "linear_side": 8})


@pytest.fixture(scope="module", params=[TINY, LINEAR], ids=["plain", "linear"])
def vae(request):
    return tiny_vae(request.param)


@pytest.mark.parametrize("rewrite", [for_torch, for_openvino])
def test_a_rewritten_network_computes_the_same(vae, rewrite):
    z = 2 * torch.randn(3, vae.config.latent_size, generator=torch.Generator().manual_seed(0))
    written = rewrite(vae)
    pictures = vae.decode(z)
    torch.testing.assert_close(written.decode(z), pictures, rtol=0, atol=2e-5)
    torch.testing.assert_close(written.encode(pictures).mode(), vae.encode(pictures).mode())
    assert float(pictures.std()) > 0.01


def test_the_parts_are_the_rewritten_ones():
    vae = tiny_vae(LINEAR)
    names = {type(module).__name__ for module in for_openvino(vae).modules()}
    assert {"_SplitFilm", "_MatrixEnlarged"} <= names
    assert not {"FilmBlock", "LinearDecoder"} & names


@pytest.mark.parametrize("rewrite", [for_torch, for_openvino])
def test_the_original_is_left_alone(vae, rewrite):
    before = {name: tensor.clone() for name, tensor in vae.state_dict().items()}
    for tensor in rewrite(vae).state_dict().values():
        tensor.zero_()
    for name, tensor in vae.state_dict().items():
        assert torch.equal(tensor, before[name]), name
