import itertools
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from prepared import prepared_set, smooth_crops

from facemix.errors import DatasetError
from facemix.training.dataset import epoch_batches, load_split, read_summary


@pytest.fixture
def folder(tmp_path):
    return prepared_set(tmp_path / "set", train=12, validation=3, test=2, shard=5)


def test_a_split_holds_its_crops_in_the_order_of_the_manifest(folder):
    crops = smooth_crops(17, 32).astype(int)
    for split, expected in (("train", crops[:12]), ("validation", crops[12:15]), ("test", crops[15:])):
        faces = load_split(folder, split)
        assert len(faces) == len(expected)
        assert faces.images.dtype == torch.uint8
        assert {row["split"] for row in faces.rows} == {split}
        difference = np.abs(faces.images.numpy().astype(int) - expected).mean((1, 2, 3))
        assert difference.max() < 4  # JPEG; two different crops are 40 apart and more


def test_a_limit_takes_the_first_ones(folder):
    assert torch.equal(load_split(folder, "train", limit=7).images, load_split(folder, "train").images[:7])


def test_rows_and_images_belong_together_across_shards(folder):
    faces = load_split(folder, "train")
    assert [row["source"] for row in faces.rows] == [f"{index}.png" for index in range(12)]
    assert [row["shard"] for row in faces.rows] == [0] * 5 + [1] * 5 + [2] * 2


def test_an_edited_manifest_is_refused(folder):
    manifest = folder / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"validation"', '"train"', 1))
    with pytest.raises(DatasetError, match="manifest"):
        load_split(folder, "train")


@pytest.mark.parametrize("missing", ["dataset.json", "manifest.jsonl"])
def test_an_unfinished_data_set_is_refused(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(DatasetError, match="no prepared data set") as refused:
        read_summary(folder)
    assert "facemix prepare" in refused.value.hint


def test_a_summary_that_is_not_json_is_refused(folder):
    (folder / "dataset.json").write_text("{")
    with pytest.raises(DatasetError):
        read_summary(folder)


def test_a_missing_shard_is_refused_by_name(folder):
    (folder / "shard-00001.tar").unlink()
    with pytest.raises(DatasetError, match=r"shard-00001\.tar"):
        load_split(folder, "train")
    with pytest.raises(DatasetError, match="shard-00001"):
        load_split(folder, "train", limit=6)
    assert len(load_split(folder, "train", limit=5)) == 5


def test_a_truncated_shard_is_refused(folder):
    shard = folder / "shard-00000.tar"
    shard.write_bytes(shard.read_bytes()[:700])
    with pytest.raises(DatasetError, match=r"shard-00000\.tar"):
        load_split(folder, "train")


def test_a_shard_without_one_of_its_crops_is_refused(folder):
    # The shard of other photographs under this one's name: whole, but the crops are not in it.
    (folder / "shard-00000.tar").write_bytes((folder / "shard-00001.tar").read_bytes())
    with pytest.raises(DatasetError, match=r"shard-00000\.tar"):
        load_split(folder, "train")


def test_an_empty_split_is_refused(tmp_path):
    prepared_set(tmp_path, train=2, validation=0, test=0)
    with pytest.raises(DatasetError, match="'validation'"):
        load_split(tmp_path, "validation")


def test_a_summary_of_another_manifest_is_refused(folder):
    summary = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(summary | {"manifest_sha256": "0" * 64}))
    with pytest.raises(DatasetError):
        read_summary(folder)


@given(count=st.integers(1, 40), batch=st.integers(1, 60), epochs=st.integers(1, 3), seed=st.integers(0, 2**31 - 1))
def test_every_index_comes_once_per_epoch(count, batch, epochs, seed):
    steps = -(-epochs * count // batch)
    batches = list(itertools.islice(epoch_batches(count, batch, seed=seed), steps))
    assert all(len(one) == batch for one in batches)
    seen = torch.cat(batches)[: epochs * count].view(epochs, count)
    assert all(torch.equal(epoch.sort().values, torch.arange(count)) for epoch in seen)


@given(count=st.integers(1, 40), batch=st.integers(1, 60), start=st.integers(0, 50), seed=st.integers(0, 9))
def test_starting_late_equals_skipping(count, batch, start, seed):
    late = list(itertools.islice(epoch_batches(count, batch, seed=seed, start=start), 4))
    whole = list(itertools.islice(epoch_batches(count, batch, seed=seed), start, start + 4))
    assert all(torch.equal(a, b) for a, b in zip(late, whole, strict=True))


def test_epochs_and_seeds_differ():
    first, second = itertools.islice(epoch_batches(50, 50, seed=0), 2)
    other = next(epoch_batches(50, 50, seed=1))
    assert not torch.equal(first, second)
    assert not torch.equal(first, other)
