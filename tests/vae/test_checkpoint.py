import hashlib
import json
import pickle

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save
from tiny import TINY, tiny_checkpoint, tiny_vae

from facemix.errors import CheckpointCorrupt, CheckpointMissing
from facemix.vae.checkpoint import CARD_FILE, WEIGHTS_FILE, load_checkpoint, newest_checkpoint, read_card

GREY_LEVEL = 2 / 255


@pytest.fixture
def folder(tmp_path):
    return tiny_checkpoint(tmp_path / "tiny")


def edit_card(folder, **changes):
    path = folder / CARD_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def replace_weights(folder, data):
    """Puts other weights in place, and the card's hash with them: only their content can be at fault."""
    (folder / WEIGHTS_FILE).write_bytes(data)
    edit_card(folder, weights_sha256=hashlib.sha256(data).hexdigest())


def test_a_checkpoint_comes_back_within_a_grey_level(folder):
    original, checkpoint = tiny_vae(), load_checkpoint(folder)
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    z = torch.randn(4, TINY.latent_size, generator=torch.Generator().manual_seed(0))
    assert (checkpoint.vae.decode(z) - original.decode(z)).abs().max() < GREY_LEVEL
    assert (checkpoint.vae.encode(images).mean - original.encode(images).mean).abs().max() < 0.01


def test_single_precision_comes_back_exactly(tmp_path):
    vae = load_checkpoint(tiny_checkpoint(tmp_path, half=False)).vae
    for name, value in tiny_vae().state_dict().items():
        assert torch.equal(vae.state_dict()[name], value), name


def test_half_precision_halves_the_file(tmp_path):
    half, single = (
        (tiny_checkpoint(tmp_path / str(half), half=half) / WEIGHTS_FILE).stat().st_size for half in (True, False)
    )
    assert half < 0.6 * single


def test_a_loaded_model_is_ready_to_serve(folder):
    checkpoint = load_checkpoint(folder)
    assert checkpoint.folder == folder
    assert checkpoint.vae.config == checkpoint.card.config == TINY
    assert not checkpoint.vae.training
    for parameter in checkpoint.vae.parameters():
        assert parameter.dtype == torch.float32
        assert parameter.device.type == "cpu"
        assert not parameter.requires_grad


def test_saving_the_same_weights_twice_gives_the_same_hash(tmp_path):
    one, two, other = (read_card(tiny_checkpoint(tmp_path / str(n), seed=seed)) for n, seed in enumerate((0, 0, 1)))
    assert one.weights_sha256 == two.weights_sha256 != other.weights_sha256


def test_saving_leaves_the_two_files_and_nothing_else(folder):
    assert sorted(path.name for path in folder.iterdir()) == [CARD_FILE, WEIGHTS_FILE]
    assert hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest() == read_card(folder).weights_sha256


@pytest.mark.parametrize("name", [CARD_FILE, WEIGHTS_FILE])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointMissing, match=name) as refused:
        load_checkpoint(folder)
    assert "FACEMIX_CHECKPOINT" in refused.value.hint


def test_truncated_weights_are_refused(folder):
    path = folder / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointCorrupt, match="SHA-256"):
        load_checkpoint(folder)


def test_one_changed_bit_is_noticed(folder):
    path = folder / WEIGHTS_FILE
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointCorrupt, match="SHA-256"):
        load_checkpoint(folder)


def test_another_hash_in_the_card_is_refused(folder):
    edit_card(folder, weights_sha256="0" * 64)
    with pytest.raises(CheckpointCorrupt, match="0000"):
        load_checkpoint(folder)


@pytest.mark.parametrize("changes", [{"latent_size": 16}, {"encoder_widths": [16, 16]}, {"blocks": 2}])
def test_another_network_in_the_card_is_refused(folder, changes):
    edit_card(folder, config=TINY.model_dump(mode="json") | changes)
    with pytest.raises(CheckpointCorrupt, match="do not fit"):
        load_checkpoint(folder)


def test_a_network_that_cannot_be_built_is_refused(folder):
    edit_card(folder, config=TINY.model_dump(mode="json") | {"crop_size": 33})
    with pytest.raises(CheckpointCorrupt, match="config"):
        load_checkpoint(folder)


def test_a_latent_schema_of_the_future_is_refused(folder):
    edit_card(folder, latent_schema=2)
    with pytest.raises(CheckpointCorrupt, match="latent schema 2"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"colour": "blue"}, "colour"),
        ({"name": "../up"}, "name"),
        ({"name": "Tiny"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a" * 65}, "name"),
        ({"weights_sha256": "abc"}, "weights_sha256"),
        ({"licence": None}, "licence"),
        ({"metrics": {"psnr": "good"}}, "metrics.psnr"),
    ],
)
def test_a_card_with_a_field_that_is_not_valid_is_refused(folder, changes, place):
    edit_card(folder, **changes)
    with pytest.raises(CheckpointCorrupt, match=place):
        read_card(folder)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe\x00"])
def test_a_card_that_is_not_one_is_refused(folder, text):
    (folder / CARD_FILE).write_bytes(text)
    with pytest.raises(CheckpointCorrupt, match="not a card"):
        load_checkpoint(folder)


def test_a_card_is_not_written_with_a_name_that_is_not_valid(tmp_path):
    with pytest.raises(ValidationError):
        tiny_checkpoint(tmp_path / "bad", name="has spaces")
    assert not (tmp_path / "bad").exists()


class Trap:
    """Unpickling it would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("kind", ["torch", "pickle"])
def test_a_pickle_is_never_loaded(folder, tmp_path, kind):
    trap = tmp_path / "sprung"
    if kind == "torch":
        torch.save({"encoder": Trap(trap)}, tmp_path / "weights.pt")
        data = (tmp_path / "weights.pt").read_bytes()
    else:
        data = pickle.dumps(Trap(trap))
    replace_weights(folder, data)
    with pytest.raises(CheckpointCorrupt):
        load_checkpoint(folder)
    assert not trap.exists()


@pytest.mark.parametrize("data", [b"", b"\xff" * 8, (2**60).to_bytes(8, "little") + b"{}", b"\x02" + bytes(7) + b"{}"])
def test_weights_that_are_no_safetensors_file_are_refused(folder, data):
    replace_weights(folder, data)
    with pytest.raises(CheckpointCorrupt):
        load_checkpoint(folder)


def test_a_missing_and_an_extra_tensor_are_refused(folder):
    tensors = load_file(folder / WEIGHTS_FILE)
    replace_weights(folder, save(tensors | {"extra": torch.zeros(1)}))
    with pytest.raises(CheckpointCorrupt, match="do not fit"):
        load_checkpoint(folder)
    del tensors["decoder.stem.bias"]
    replace_weights(folder, save(tensors))
    with pytest.raises(CheckpointCorrupt, match="do not fit"):
        load_checkpoint(folder)


def test_the_newest_checkpoint_is_the_one_created_last(tmp_path):
    tiny_checkpoint(tmp_path / "b", created="2026-03-01T00:00:00+00:00")
    tiny_checkpoint(tmp_path / "a", created="2026-03-01T00:00:01+00:00")
    tiny_checkpoint(tmp_path / "c", created="2025-12-31T23:59:59+00:00")
    (tmp_path / "LICENSE-WEIGHTS.md").touch()
    (tmp_path / "empty").mkdir()
    assert newest_checkpoint(tmp_path) == tmp_path / "a"


def test_of_two_created_at_once_the_choice_is_fixed(tmp_path):
    for name in ("x", "y"):
        tiny_checkpoint(tmp_path / name)
    assert newest_checkpoint(tmp_path) == tmp_path / "y"


def test_no_checkpoint_at_all_is_said(tmp_path):
    with pytest.raises(CheckpointMissing, match="no checkpoint in"):
        newest_checkpoint(tmp_path)
    with pytest.raises(CheckpointMissing):
        newest_checkpoint(tmp_path / "nowhere")
