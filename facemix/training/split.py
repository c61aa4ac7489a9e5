"""Train, validation and test, fixed by the photographs themselves.

A photograph's split follows from the SHA-256 of its bytes, so it does not change when others are added or
the order changes. Near-duplicates (the same picture re-compressed or re-cropped) are grouped first and a
whole group goes where its smallest hash goes: no test face has a twin in training. The same *person* under
another photograph may still be on both sides; nothing in the data says who is who.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

THUMBNAIL_SIDE = 16
DUPLICATE_CORRELATION = 0.985
_TEST_SHARE, _VALIDATION_SHARE = 0.05, 0.05
SPLIT_RULE = (
    "first 32 bits of the smallest SHA-256 of the near-duplicate group, as a fraction: below "
    f"{_TEST_SHARE} test, below {_TEST_SHARE + _VALIDATION_SHARE:g} validation, else train; near-duplicates are "
    f"{THUMBNAIL_SIDE}x{THUMBNAIL_SIDE} grey thumbnails of aligned crops correlated above {DUPLICATE_CORRELATION}"
)


def assign_splits(hashes: Sequence[str], thumbnails: np.ndarray) -> tuple[list[str], int]:
    """Splits ``train``, ``validation`` or ``test`` for each photograph, and the number of groups.

    Args:
        hashes: N SHA-256 in hexadecimal.
        thumbnails: (N, THUMBNAIL_SIDE ** 2) uint8, grey.
    """
    groups = near_duplicate_groups(thumbnails)
    smallest: dict[int, str] = {}
    for group, digest in zip(groups, hashes, strict=True):
        smallest[group] = min(digest, smallest.get(group, digest))
    return [_split_of(smallest[group]) for group in groups], len(smallest)


def near_duplicate_groups(thumbnails: np.ndarray, *, block: int = 2048) -> list[int]:
    """For each of (N, D) uint8 thumbnails the index of its group's first member (single linkage)."""
    vectors = thumbnails.astype(np.float32)
    vectors -= vectors.mean(1, keepdims=True)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-6
    parent = list(range(len(vectors)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for start in range(0, len(vectors), block):
        similar = vectors[start : start + block] @ vectors[start:].T > DUPLICATE_CORRELATION
        for row, column in zip(*np.nonzero(np.triu(similar, 1)), strict=True):
            first, second = sorted((root(start + int(row)), root(start + int(column))))
            parent[second] = first
    return [root(index) for index in range(len(vectors))]


def _split_of(digest: str) -> str:
    fraction = int(digest[:8], 16) / 2**32
    if fraction < _TEST_SHARE:
        return "test"
    return "validation" if fraction < _TEST_SHARE + _VALIDATION_SHARE else "train"
