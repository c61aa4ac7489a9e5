import hashlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from facemix.training.split import DUPLICATE_CORRELATION, THUMBNAIL_SIDE, assign_splits, near_duplicate_groups

PIXELS = THUMBNAIL_SIDE**2


def hashes(count, salt=""):
    return [hashlib.sha256(f"{salt}{index}".encode()).hexdigest() for index in range(count)]


def different(count, seed=0):
    """Thumbnails that resemble each other no more than noise does."""
    return np.random.default_rng(seed).integers(0, 256, (count, PIXELS), dtype=np.uint8)


def nearly(thumbnail, amount=4, seed=0):
    """The same picture re-compressed: a little noise, a little brighter."""
    noise = np.random.default_rng(seed).integers(-amount, amount + 1, PIXELS)
    return (thumbnail.astype(int) * 0.9 + 10 + noise).clip(0, 255).astype(np.uint8)


@settings(max_examples=25)
@given(order=st.permutations(range(60)), added=st.integers(0, 40))
def test_a_split_depends_on_neither_order_nor_company(order, added):
    names, thumbnails = hashes(100), different(100)
    alone, _ = assign_splits(names[:60], thumbnails[:60])
    chosen = [*order, *range(60, 60 + added)]
    together, _ = assign_splits([names[i] for i in chosen], thumbnails[chosen])
    assert [together[order.index(i)] for i in range(60)] == alone


def test_shares_are_about_one_in_twenty():
    # The thumbnails of one photograph per group; grouping 20,000 of them is not what this test is about.
    names = hashes(20_000)
    splits = []
    for start in range(0, len(names), 500):
        splits += assign_splits(names[start : start + 500], different(500, seed=start))[0]
    shares = {split: splits.count(split) / len(splits) for split in set(splits)}
    assert set(shares) == {"train", "validation", "test"}
    # Four standard deviations of a share of 5 % among 20,000 are 0.6 %.
    assert abs(shares["test"] - 0.05) < 0.0062
    assert abs(shares["validation"] - 0.05) < 0.0062


def test_near_duplicates_go_to_one_side_with_their_smallest_hash():
    thumbnails = different(40)
    twins = np.stack([nearly(one, seed=index) for index, one in enumerate(thumbnails)])
    names, twin_names = hashes(40), hashes(40, "twin")
    splits, groups = assign_splits(names + twin_names, np.concatenate([thumbnails, twins]))
    assert groups == 40
    assert splits[:40] == splits[40:]
    smallest = [min(pair) for pair in zip(names, twin_names, strict=True)]
    assert splits[:40] == assign_splits(smallest, thumbnails)[0]
    assert len(set(splits)) > 1


def test_groups_are_single_linkage_and_named_by_their_first_member():
    # b resembles a and c, which do not resemble each other enough: one group all the same.
    base = different(1)[0].astype(float)
    step = np.random.default_rng(1).normal(0, 11, PIXELS)
    a, b, c = ((base + k * step).clip(0, 255).astype(np.uint8) for k in range(3))
    correlation = np.corrcoef(np.stack([a, b, c]).astype(float))
    assert correlation[0, 1] > DUPLICATE_CORRELATION
    assert correlation[1, 2] > DUPLICATE_CORRELATION
    assert correlation[0, 2] < DUPLICATE_CORRELATION
    other = different(1, seed=5)[0]
    assert near_duplicate_groups(np.stack([other, c, a, b])) == [0, 1, 1, 1]


def test_the_block_size_changes_nothing():
    thumbnails = different(30)
    doubled = np.concatenate([thumbnails, np.stack([nearly(one) for one in thumbnails[::-1]])])
    expected = [*range(30), *range(29, -1, -1)]
    for block in (1, 7, 60, 2048):
        assert near_duplicate_groups(doubled, block=block) == expected


def test_flat_thumbnails_are_not_duplicates_of_everything():
    flat = np.full((2, PIXELS), 90, np.uint8)
    assert near_duplicate_groups(np.concatenate([flat, different(2)])) == [0, 1, 2, 3]
