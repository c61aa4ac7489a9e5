"""Fitting the geometry: groupwise registration without labels. Read `fit_geometry` from top to bottom.

Nobody says where brows, noses and cheeks are. All crops are brought to one mean face by the shapes that the network
reads from them, and what is asked is that they look alike there: congealing (E. Learned-Miller, "Data Driven Image
Models through Continuous Joint Alignment", 2006). Alike is not equal. People differ in complexion, light, beards and
glasses, which no displacement should undo, so only what lies outside the principal subspace of all warped crops counts:
registered faces span few dimensions and displaced ones many (Y. Peng et al., "RASL: Robust Alignment by Sparse and
Low-Rank Decomposition for Linearly Correlated Images", 2012). That the displacement is read by a network, so that a
face nobody has registered takes one pass, is as in Z. Shu et al., "Deforming Autoencoders: Unsupervised Disentangling
of Shape and Appearance", 2018.

A second stage may begin with what the first one found, and with less stiffness (`geometry_config.FINER`).
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from facemix.errors import ConfigError, DatasetError
from facemix.faces.align import Alignment, apply
from facemix.training.dataset import FaceSet, load_split, read_summary
from facemix.training.geometry_config import GeometryConfig
from facemix.training.measures import manifest_landmarks
from facemix.training.state import Progress, load_state, save_state
from facemix.training.trainer import code_version
from facemix.vae.geometry import SIDE, Geometry, GeometryNet

FIELD = 64  # pixels a side at which warped crops are compared
STATE_FILE = "geometry.state.safetensors"
_LUMA = (0.299, 0.587, 0.114)
_WINDOW = 17  # pixels of FIELD: light and contrast are taken out at this scale
_LEAST_CONTRAST = 0.03  # of black to white: less is noise, and is not drawn out to full contrast
_CHUNK = 100  # faces warped at once for the subspace
_SAY_EVERY = 100  # steps

Say = Callable[[str], None]


@dataclass(frozen=True)
class Fitted:
    """A finished fit. facts: JSON-serialisable, for the file's metadata."""

    net: GeometryNet
    facts: dict[str, Any]


def fit_geometry(
    config: GeometryConfig,
    data: Path,
    state_path: Path,
    *,
    regions: np.ndarray,
    begins: Geometry | None = None,
    limit: int | None = None,
    time_limit: float | None = None,
    say: Say = print,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Fitted | None:
    """Fits the network, or goes on fitting it, on the CPU.

    Args:
        state_path: the file to go on from, written as the fit proceeds; the caller removes it.
        regions: how much each region has of each pixel, (6, FIELD, FIELD) in [0, 1], in the order of
            `REGION_WEIGHTS`; see `facemix.mixing.regions.masks`.
        begins: the geometry to begin with, which is only read; None begins with one that displaces nothing.
        limit: take the first so many training faces alone.
        time_limit: seconds after which this call saves its state and returns, to be called again.
        say: receives a line every hundred steps.
        on_progress: called with the steps done and to be done.

    Returns:
        The network, or None when the time limit came first.

    Raises:
        DatasetError: see `load_split`; or the crops have another size, or no landmarks.
        CheckpointCorrupt: the state is damaged, or that of another fit.
        ConfigError: the fit diverges, or there are no more faces than components.
    """
    started = time.monotonic()
    summary = read_summary(data)
    if summary["crop_size"] != SIDE:
        raise DatasetError(
            f"the crops in {data} are {summary['crop_size']} pixels wide, the geometry is read from {SIDE}",
            hint=f"prepare the photographs into another folder with `facemix prepare --size {SIDE}`",
        )
    faces = load_split(data, "train", limit=limit)
    if min(config.subspace_faces, len(faces)) <= config.components:
        raise ConfigError(
            f"{min(config.subspace_faces, len(faces))} faces do not span {config.components} components",
            hint="take more faces, or fewer components",
        )
    landmarks = torch.from_numpy(crop_landmarks(faces.rows, data))
    anchors = landmarks.mean(0)
    if config.flip:
        anchors = (anchors + mirrored_landmarks(anchors)) / 2
    counts = torch.from_numpy(np.tensordot(np.float32(config.region_weights), regions, 1))[None, None].sqrt()

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net, likeness = GeometryNet(), Likeness(counts, config)
        draws = _Draws(config, len(faces), torch.get_rng_state())
    if begins is not None:
        net.load_state_dict(begins.net.state_dict())
    optimizer = torch.optim.AdamW(net.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    learner, nothing = nn.ModuleDict({"net": net, "likeness": likeness}), nn.Identity()
    fingerprint, progress = _fingerprint(config, summary, len(faces), begins), Progress()
    if state_path.exists():
        progress = load_state(state_path, learner, nothing, optimizer, fingerprint=fingerprint)
        say(f"resumed at step {progress.step:,}")
    draws.skip(progress.step)
    seconds_before, last_saved = progress.seconds, time.monotonic()
    recent: list[dict[str, float]] = []
    while progress.step < config.steps:
        if config.renews_subspace(progress.step):
            share = likeness.renew(_warped(net, faces, chunk, progress.step) for chunk in draws.subspace())
            say(f"{progress.step:>6,} steps  {config.components} components hold {share:.3f} of the variance")
        for group in optimizer.param_groups:
            group["lr"] = _learning_rate(config, progress.step)
        indices, mirror, contrast, brightness = draws.batch()
        pictures = _pictures(faces, indices, mirror)
        points = torch.where(mirror[:, None, None], mirrored_landmarks(landmarks[indices]), landmarks[indices])
        # Exposure says nothing of shape; the network learns that by being shown others than are compared.
        shapes = _read(net, (pictures - 0.5) * contrast + brightness, progress.step)
        displacements = spread(shapes)
        parts = {
            "unlike": likeness(warp(functional.avg_pool2d(pictures, 2), displacements)),
            "bending": config.bending * bending(shapes) + config.membrane * membrane(shapes),
            "landmarks": config.landmark_weight
            * functional.smooth_l1_loss(_at(displacements, anchors), points - anchors, beta=config.landmark_tolerance),
            "drift": config.drift_weight * shapes.mean(0).square().mean(),
        }
        optimizer.zero_grad()
        sum(parts.values()).backward()
        norm = nn.utils.clip_grad_norm_(net.parameters(), config.clip_norm)
        if not torch.isfinite(norm):
            raise _diverged(f"the gradient is {norm}", progress.step)
        optimizer.step()
        progress.step += 1
        progress.images += config.batch_size
        progress.seconds = seconds_before + time.monotonic() - started
        on_progress(progress.step, config.steps)

        recent.append({name: float(value.detach()) for name, value in parts.items()})
        finished = progress.step == config.steps
        if finished or progress.step % _SAY_EVERY == 0:
            means = {name: np.mean([step[name] for step in recent]) for name in recent[0]}
            text = "  ".join(f"{name} {value:.5f}" for name, value in means.items())
            say(f"{progress.step:>6,} steps  {text}  {progress.step / progress.seconds:.1f} steps/s")
            recent.clear()
        out_of_time = time_limit is not None and time.monotonic() - started > time_limit
        if finished or out_of_time or time.monotonic() - last_saved > config.checkpoint_seconds:
            save_state(state_path, learner, nothing, optimizer, progress, fingerprint=fingerprint)
            last_saved = time.monotonic()
        if out_of_time and not finished:
            return None
    return Fitted(net, _facts(config, summary, len(faces), progress, begins))


class Likeness(nn.Module):
    """How little warped crops look alike: what lies outside the principal subspace of all of them.

    The subspace is kept as buffers, so that it is saved with the state: the network that it was computed with is gone.

    Args:
        counts: (1, 1, FIELD, FIELD), the root of how much each place counts.
    """

    mean: torch.Tensor
    basis: torch.Tensor

    def __init__(self, counts: torch.Tensor, config: GeometryConfig) -> None:
        super().__init__()
        self._counts = counts
        self._softness = config.softness
        self._gradients = config.gradients
        size = 3 * counts.numel()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("basis", torch.zeros(size, config.components))

    @torch.no_grad()
    def renew(self, chunks: Iterable[torch.Tensor]) -> float:
        """Computes the subspace of warped crops, (N, 3, FIELD, FIELD) in [0, 1] each.

        Returns its share of their variance.
        """
        rows = torch.cat([self._features(chunk) for chunk in chunks])
        self.mean.copy_(rows.mean(0))
        rows = rows - self.mean
        # Of fewer faces than numbers, the inner products are the smaller problem.
        found = torch.linalg.eigh(rows @ rows.T)
        count = self.basis.shape[1]
        basis = rows.T @ found.eigenvectors[:, -count:]
        self.basis.copy_(basis / basis.norm(dim=0, keepdim=True))
        return float(found.eigenvalues[-count:].sum() / rows.square().sum())

    def forward(self, warped: torch.Tensor) -> torch.Tensor:
        """The mean absolute residual, softened at zero, of (N, 3, FIELD, FIELD) in [0, 1].

        Absolute, since what only one person has (glasses, a strand of hair) should not pull more than it must.
        """
        rows = self._features(warped) - self.mean
        residual = rows - (rows @ self.basis) @ self.basis.T
        return (residual.square() + self._softness).sqrt().mean()

    def _features(self, warped: torch.Tensor) -> torch.Tensor:
        return (features(warped, self._gradients) * self._counts).flatten(1)


def features(pictures: torch.Tensor, gradients: float) -> torch.Tensor:
    """What is compared: luma with its local mean and contrast taken out, and its gradients.

    pictures: (N, 3, S, S) in [0, 1]. Returns (N, 3, S, S): luma, then `gradients` times its differences across and
    down.
    """
    luma = (pictures * torch.tensor(_LUMA)[None, :, None, None]).sum(1, keepdim=True)
    mean = _window_mean(luma)
    variance = _window_mean((luma - mean) ** 2)
    normal = (luma - mean) / (variance + _LEAST_CONTRAST**2).sqrt()
    across = functional.pad(normal[..., 2:] - normal[..., :-2], (1, 1, 0, 0))
    down = functional.pad(normal[..., 2:, :] - normal[..., :-2, :], (0, 0, 1, 1))
    return torch.cat([normal, gradients * across, gradients * down], 1)


def spread(shapes: torch.Tensor) -> torch.Tensor:
    """Shapes, (N, 2, GRID, GRID), to the displacement of every pixel, (N, 2, FIELD, FIELD). Cubic."""
    return functional.interpolate(shapes, size=(FIELD, FIELD), mode="bicubic", align_corners=True)


def warp(pictures: torch.Tensor, displacements: torch.Tensor) -> torch.Tensor:
    """Crops as they look on the mean face: at each place, what lies the displacement's length from there.

    Args:
        pictures: (N, C, FIELD, FIELD). What lies outside mirrors the edge.
        displacements: (N, 2, FIELD, FIELD), x and y in fractions of the side.
    """
    middles = (torch.arange(FIELD) + 0.5) / FIELD
    y, x = torch.meshgrid(middles, middles, indexing="ij")
    places = (torch.stack([x, y])[None] + displacements).permute(0, 2, 3, 1) * 2 - 1
    return functional.grid_sample(pictures, places, mode="bilinear", padding_mode="reflection", align_corners=False)


def bending(shapes: torch.Tensor) -> torch.Tensor:
    """The energy of a bent thin plate: mean squared second differences of (N, 2, GRID, GRID), the mixed one twice.

    Shifting, turning and stretching a face evenly costs nothing; folding it does.
    """
    down = shapes[:, :, 2:] - 2 * shapes[:, :, 1:-1] + shapes[:, :, :-2]
    across = shapes[:, :, :, 2:] - 2 * shapes[:, :, :, 1:-1] + shapes[:, :, :, :-2]
    mixed = shapes[:, :, 1:, 1:] - shapes[:, :, 1:, :-1] - shapes[:, :, :-1, 1:] + shapes[:, :, :-1, :-1]
    return down.square().mean() + across.square().mean() + 2 * mixed.square().mean()


def membrane(shapes: torch.Tensor) -> torch.Tensor:
    """The energy of a stretched membrane: mean squared first differences of (N, 2, GRID, GRID)."""
    down, across = shapes[:, :, 1:] - shapes[:, :, :-1], shapes[:, :, :, 1:] - shapes[:, :, :, :-1]
    return down.square().mean() + across.square().mean()


def crop_landmarks(rows: Sequence[dict[str, Any]], data: Path) -> np.ndarray:
    """The detector's landmarks of the manifest's rows in their aligned crops: (N, 5, 2) float32, fractions of the side.

    Raises:
        DatasetError: a row has none.
    """
    landmarks = manifest_landmarks(rows)
    missing = int(np.isnan(landmarks).any((1, 2)).sum())
    if missing:
        raise DatasetError(
            f"{missing} of {len(rows)} training faces in {data} have no landmarks",
            hint="prepare the photographs again into another folder with `facemix prepare`",
        )
    placed = [apply(Alignment.from_landmarks(points, SIDE).matrix, points) / SIDE for points in landmarks]
    return np.array(placed, np.float32)


def mirrored_landmarks(landmarks: torch.Tensor) -> torch.Tensor:
    """The landmarks of mirrored crops: (..., 5, 2), left and right exchanged."""
    found = landmarks[..., [1, 0, 2, 4, 3], :].clone()
    found[..., 0] = 1 - found[..., 0]
    return found


class _Draws:
    """Which faces are taken, and how they are changed.

    All of it is drawn in one order from the seed, step by step, and none of it depends on the weights: a resumed fit
    draws again what was drawn before, and goes on.
    """

    def __init__(self, config: GeometryConfig, faces: int, state: torch.Tensor) -> None:
        """state: of torch's generator after the network was made."""
        self._config = config
        self._faces = faces
        self._numbers = np.random.default_rng(config.seed)
        self._generator = torch.Generator()
        self._generator.set_state(state)

    def skip(self, steps: int) -> None:
        for step in range(steps):
            if self._config.renews_subspace(step):
                list(self.subspace())
            self.batch()

    def subspace(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Indices and mirrored or not, (n,) each, chunk by chunk."""
        for start in range(0, self._config.subspace_faces, _CHUNK):
            yield self._some(min(_CHUNK, self._config.subspace_faces - start))

    def batch(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Indices and mirrored or not, (N,) each; contrast and brightness, (N, 1, 1, 1) each."""
        count, config = self._config.batch_size, self._config
        indices, mirror = self._some(count)
        contrast = 1 - config.contrast + 2 * config.contrast * torch.rand(count, 1, 1, 1, generator=self._generator)
        brightness = config.brightness * torch.randn(count, 1, 1, 1, generator=self._generator)
        return indices, mirror, contrast, brightness

    def _some(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        indices = torch.from_numpy(self._numbers.integers(0, self._faces, count))
        mirror = torch.rand(count, generator=self._generator) < 0.5
        return indices, mirror & self._config.flip


def _read(net: GeometryNet, pictures: torch.Tensor, step: int) -> torch.Tensor:
    """The shapes that the network reads. On the CPU torch's `grid_sample` crashes where they are not finite."""
    shapes = net(pictures)
    if not torch.isfinite(shapes).all():
        raise _diverged("a displacement is not finite", step)
    return shapes


def _diverged(what: str, step: int) -> ConfigError:
    return ConfigError(f"{what} at step {step}", hint="lower the learning rate, delete the fit's state and begin again")


@torch.no_grad()
def _warped(net: GeometryNet, faces: FaceSet, chosen: tuple[torch.Tensor, torch.Tensor], step: int) -> torch.Tensor:
    pictures = _pictures(faces, *chosen)
    return warp(functional.avg_pool2d(pictures, 2), spread(_read(net, pictures - 0.5, step)))


def _pictures(faces: FaceSet, indices: torch.Tensor, mirror: torch.Tensor) -> torch.Tensor:
    """(N, 3, SIDE, SIDE) float32 in [0, 1]."""
    pictures = faces.images[indices].permute(0, 3, 1, 2).float() / 255
    pictures[mirror] = pictures[mirror].flip(3)
    return pictures


def _at(displacements: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """(N, 2, FIELD, FIELD) at (K, 2) places in fractions of the side: (N, K, 2), bilinearly."""
    places = (points * 2 - 1).view(1, -1, 1, 2).expand(len(displacements), -1, -1, -1)
    return functional.grid_sample(displacements, places, mode="bilinear", align_corners=False)[..., 0].permute(0, 2, 1)


def _window_mean(values: torch.Tensor) -> torch.Tensor:
    half = _WINDOW // 2
    rows = functional.avg_pool2d(values, (1, _WINDOW), 1, (0, half), count_include_pad=False)
    return functional.avg_pool2d(rows, (_WINDOW, 1), 1, (half, 0), count_include_pad=False)


def _learning_rate(config: GeometryConfig, step: int) -> float:
    warm = min(1, step / config.warmup_steps)
    return config.learning_rate * warm * (0.5 + 0.5 * math.cos(math.pi * step / config.steps)) + config.least_rate


def _facts(
    config: GeometryConfig, summary: dict[str, Any], faces: int, progress: Progress, begins: Geometry | None
) -> dict[str, Any]:
    facts = {
        "data": summary["name"],
        "manifest_sha256": summary["manifest_sha256"],
        "faces": faces,
        "steps": progress.step,
        "seconds": round(progress.seconds),
        "config": config.model_dump(mode="json", exclude={"checkpoint_seconds"}),
        "code_version": code_version(),
    }
    if begins is not None:
        facts["began_with"] = {**begins.facts, "weights_sha256": begins.weights_sha256()}
    return facts


def _fingerprint(config: GeometryConfig, summary: dict[str, Any], faces: int, begins: Geometry | None) -> str:
    text = config.model_dump_json(exclude={"checkpoint_seconds"}) + f"{summary['manifest_sha256']} {faces}"
    if begins is not None:
        text += f" {begins.weights_sha256()}"
    return hashlib.sha256(text.encode()).hexdigest()
