"""Kernels recorded once per batch size and replayed: on a GPU a small network otherwise waits for Python.

Written without a GPU at hand: nothing turns it on by default, and its test is skipped where torch sees no GPU.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

_WARM_UPS = 3  # libraries choose their algorithms before anything is recorded


class GraphedBatches:
    """`compute`, recorded for batches of 1, 2, 4, ... up to `max_batch`; other batches are filled up with zeros."""

    def __init__(self, compute: Callable[[torch.Tensor], torch.Tensor], max_batch: int) -> None:
        self._compute = compute
        self._max_batch = max_batch
        self._recorded: dict[int, tuple[torch.cuda.CUDAGraph, torch.Tensor, torch.Tensor]] = {}

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        number = len(batch)
        size = min(1 << (number - 1).bit_length(), max(self._max_batch, number))
        if size not in self._recorded:
            self._recorded[size] = self._record(batch, size)
        graph, given, made = self._recorded[size]
        given[:number].copy_(batch)
        given[number:].zero_()
        graph.replay()
        return made[:number].clone()

    def _record(self, like: torch.Tensor, size: int) -> tuple[torch.cuda.CUDAGraph, torch.Tensor, torch.Tensor]:
        given = torch.zeros((size, *like.shape[1:]), dtype=like.dtype, device=like.device)
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UPS):
                self._compute(given)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            made = self._compute(given)
        return graph, given, made
