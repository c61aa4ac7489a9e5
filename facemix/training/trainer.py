"""The training loop: read it from top to bottom.

One process per device. Alone it is `facemix train`; under ``torchrun --nproc-per-node N -m facemix train``
each process takes its share of every batch and the gradients are averaged. The run's folder holds

    config.json     the resolved configuration
    state.safetensors   everything needed to go on (see `state`)
    log.jsonl       one line per evaluation
    grids/          pictures of reconstructions, samples and interpolations
    tensorboard/    the same, for TensorBoard, where it is installed
    checkpoint/     the weight average with its card, as it is served
"""

from __future__ import annotations

import copy
import datetime
import hashlib
import math
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

import facemix
from facemix import __version__
from facemix.errors import ConfigError, DatasetError
from facemix.training.config import TrainConfig
from facemix.training.dataset import FaceSet, epoch_batches, load_split, read_summary
from facemix.training.log import Log
from facemix.training.loop import autocast, eyes_and_mouth, update_average
from facemix.training.start import start_from_components
from facemix.training.state import Progress, load_state, save_state
from facemix.vae.checkpoint import save_checkpoint
from facemix.vae.losses import negative_elbo
from facemix.vae.networks import VAE, count_parameters
from facemix.vae.prior import LatentPrior

Say = Callable[[str], None]


@dataclass(frozen=True)
class World:
    """This process among those of a run."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @classmethod
    def from_torchrun(cls) -> World:
        """What torchrun says in the environment; one process where it says nothing."""
        return cls(
            *(int(os.environ.get(key, default)) for key, default in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0)))
        )


def train(
    config: TrainConfig,
    data: Path,
    run: Path,
    *,
    time_limit: float | None = None,
    say: Say = print,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path | None:
    """Trains, or goes on training, the run in folder `run`.

    Args:
        time_limit: seconds after which this call saves its state and returns, to be called again.
        say: receives a line per evaluation.
        on_progress: called with the images seen and to be seen.

    Returns:
        The finished checkpoint's folder, or None when the time limit came first.

    Raises:
        DatasetError, CheckpointCorrupt: see `load_split` and `load_state`; or the crops have another size.
        ConfigError: the processes cannot share a batch evenly, or the training diverges.
    """
    world = World.from_torchrun()
    device = pick_device(config.device, world)
    if config.batch_size % world.size:
        raise ConfigError(
            f"a batch of {config.batch_size} images cannot be shared evenly by {world.size} processes",
            hint="choose a batch size that is a multiple of the number of processes",
        )
    with _process_group(world, device):
        return _train(config, data, run, world, device, time_limit=time_limit, say=say, on_progress=on_progress)


def _train(
    config: TrainConfig,
    data: Path,
    run: Path,
    world: World,
    device: torch.device,
    *,
    time_limit: float | None,
    say: Say,
    on_progress: Callable[[int, int], None],
) -> Path | None:
    started = time.monotonic()
    summary = read_summary(data)
    if summary["crop_size"] != config.vae.crop_size:
        raise DatasetError(
            f"the crops in {data} are {summary['crop_size']} pixels wide, the network takes {config.vae.crop_size}",
            hint=f"prepare the photographs into another folder with `facemix prepare --size {config.vae.crop_size}`",
        )
    run.mkdir(parents=True, exist_ok=True)
    faces = load_split(data, "train")
    validation = load_split(data, "validation", limit=config.validation_images)
    torch.manual_seed(config.seed)
    vae = VAE(config.vae).to(device, memory_format=torch.channels_last)
    fingerprint = _fingerprint(config, summary)
    state_path, progress = run / "state.safetensors", Progress()
    if config.vae.linear_side and not state_path.exists():
        _fit_linear_path(vae, faces, config)
    average = copy.deepcopy(vae).requires_grad_(False).eval()
    optimizer = torch.optim.AdamW(
        vae.parameters(),
        lr=config.learning_rate,
        betas=config.adam_betas,
        weight_decay=config.weight_decay,
        fused=True,
    )
    if state_path.exists():
        progress = load_state(state_path, vae, average, optimizer, fingerprint=fingerprint)
        say(f"resumed at {progress.images:,} images")
    faces_on_device = faces.images.to(device) if device.type == "cuda" else faces.images
    log = Log(run, config) if world.rank == 0 else None
    if log and progress.step == 0:
        say(f"{count_parameters(vae) / 1e6:.1f} M parameters, {len(faces):,} faces, {device}, {world.size} process(es)")

    module = DistributedDataParallel(vae) if world.size > 1 else vae
    weights = eyes_and_mouth(config.vae.crop_size, strength=config.region_strength).to(device)
    bf16_or_not = autocast(config.precision, device)
    # Noise differs between steps and processes, and is known from the step alone: resuming repeats nothing.
    generator = torch.Generator(device)
    per_process = config.batch_size // world.size
    batches = epoch_batches(len(faces), config.batch_size, seed=config.seed, start=progress.step)
    last_saved, finished = time.monotonic(), progress.images >= config.images
    seconds_before = progress.seconds
    evaluations = progress.images // config.evaluate_images
    figures = evaluate(average, validation, device) if log and finished else {}
    while not finished:
        generator.manual_seed((config.seed * 7_919 + progress.step) * 64 + world.rank)
        mine = next(batches)[world.rank * per_process : (world.rank + 1) * per_process]
        images = as_images(faces_on_device[mine.to(faces_on_device.device)], device)
        if config.flip:
            mirror = torch.rand(len(images), generator=generator, device=device) < 0.5
            images = torch.where(mirror[:, None, None, None], images.flip(3), images)

        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * learning_rate_factor(config, progress.images)
        with bf16_or_not:
            reconstructions, posterior = module(images, generator)
        beta = config.beta * min(1.0, progress.images / max(1, config.kl_warmup_images))
        loss, parts = negative_elbo(
            images,
            reconstructions,
            posterior,
            beta=beta,
            weights=weights,
            free_bits=config.free_bits,
            sigma=config.sigma,
        )
        optimizer.zero_grad(set_to_none=True)
        (loss / images[0].numel()).backward()  # per pixel: a scale that clipping can be stated in
        norm = torch.nn.utils.clip_grad_norm_(vae.parameters(), config.clip_norm)
        if not torch.isfinite(norm):
            raise ConfigError(
                f"the gradient is {norm} at step {progress.step} with a learning rate of {config.learning_rate}",
                hint="lower the learning rate and begin again in another folder",
            )
        optimizer.step()
        progress.step += 1
        progress.images += config.batch_size
        update_average(average, vae, batch_size=config.batch_size, half_life=config.ema_images, images=progress.images)

        progress.seconds = seconds_before + time.monotonic() - started
        finished = progress.images >= config.images
        out_of_time = time_limit is not None and time.monotonic() - started > time_limit
        if world.size > 1:  # all processes must leave the loop at the same step
            flag = torch.tensor([float(out_of_time)], device=device)
            dist.all_reduce(flag, op=dist.ReduceOp.MAX)
            out_of_time = bool(flag.item())
        if log:
            on_progress(min(progress.images, config.images), config.images)
            if finished or progress.images // config.evaluate_images > evaluations:
                evaluations = progress.images // config.evaluate_images
                figures = evaluate(average, validation, device)
                log.write(
                    progress,
                    {**{k: float(v) for k, v in parts.items()}, "gradient_norm": float(norm)},
                    figures,
                )
                log.draw(progress, average, as_images(validation.images[:32], device))
                say(
                    f"{progress.images:>9,} images  nll {parts['nll']:9.0f}  kl {parts['kl']:6.1f}  "
                    f"validation {figures['psnr']:.2f} dB, kl {figures['kl']:.1f}, "
                    f"{figures['active_units']:.0f} units  {progress.images / progress.seconds:.0f} images/s"
                )
            if finished or out_of_time or time.monotonic() - last_saved > config.checkpoint_seconds:
                save_state(state_path, vae, average, optimizer, progress, fingerprint=fingerprint)
                last_saved = time.monotonic()
        if out_of_time and not finished:
            if log:
                log.close()
            return None
    if not log:
        return None
    log.close()
    folder = run / "checkpoint"
    export(folder, average, fit_prior(average, faces, device), config, summary, figures, progress)
    return folder


def _fit_linear_path(vae: VAE, faces: FaceSet, config: TrainConfig) -> None:
    if len(faces) <= config.vae.latent_size:
        raise DatasetError(
            f"{len(faces)} training faces have no {config.vae.latent_size} principal components for the linear path",
            hint="prepare more photographs, or choose a smaller latent_size or a linear_side of 0",
        )
    start_from_components(vae, faces.images, seed=config.seed)


def export(
    folder: Path,
    average: VAE,
    prior: LatentPrior,
    config: TrainConfig,
    summary: dict[str, Any],
    figures: dict[str, float],
    progress: Progress,
) -> None:
    """Writes the weight average as a checkpoint that can be served."""
    save_checkpoint(
        folder,
        average,
        prior=prior,
        name=config.name,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        training={
            **config.model_dump(mode="json", exclude={"vae"}),
            "images_seen": progress.images,
            "steps": progress.step,
            "seconds": round(progress.seconds),
        },
        data={
            "name": summary["name"],
            "manifest_sha256": summary["manifest_sha256"],
            "kept": summary["kept"],
            "splits": summary["splits"],
            "split_rule": summary["split_rule"],
        },
        metrics={name: round(value, 4) for name, value in figures.items()},
        code_version=code_version(),
        licence=summary["licence"],
        limitations=(
            f"it draws {config.vae.crop_size} x {config.vae.crop_size} pixels: pores, wrinkles, single teeth and the "
            "frames of glasses blur, and faces lose some of their age",
            f"it was trained on {summary['splits']['train']:,} photographs: people, poses and light that are rare in "
            "them come out less like themselves",
            "photographs of one person can be on both sides of the split, so people it has never met may fare a little "
            "worse than the figures say",
        ),
    )


@torch.no_grad()
def fit_prior(vae: VAE, faces: FaceSet, device: torch.device) -> LatentPrior:
    """The density of the training faces' latents; N(0, I) where they are too few to measure it."""
    if len(faces) <= vae.config.latent_size:
        return LatentPrior.standard(vae.config.latent_size)
    posteriors = [vae.encode(as_images(chunk, device)) for chunk in faces.images.split(64)]
    return LatentPrior.fit(
        torch.cat([posterior.mean for posterior in posteriors]),
        torch.cat([posterior.logvar.exp() for posterior in posteriors]),
    )


@torch.no_grad()
def evaluate(vae: VAE, faces: FaceSet, device: torch.device) -> dict[str, float]:
    """Reconstruction from the posterior mean and the KL divergence, on a split.

    Returns:
        ``psnr``: dB, mean over images, of levels in [0, 255] / 255; ``kl``: nats per image; ``active_units``:
        latent dimensions whose mean varies by more than 0.01 (Burda et al. 2016).
    """
    psnr, kl, means = [], [], []
    for chunk in faces.images.split(64):
        images = as_images(chunk, device)
        posterior = vae.encode(images)
        decoded = vae.decode(posterior.mode()).clamp(-1, 1)
        mse = ((images - decoded) / 2).square().mean((1, 2, 3))
        psnr.append(-10 * torch.log10(mse))
        kl.append(posterior.kl().sum(1))
        means.append(posterior.mean)
    return {
        "psnr": float(torch.cat(psnr).mean()),
        "kl": float(torch.cat(kl).mean()),
        "active_units": float((torch.cat(means).var(0, correction=0) > 0.01).sum()),
    }


def as_images(pixels: torch.Tensor, device: torch.device) -> torch.Tensor:
    """(N, S, S, 3) uint8 to (N, 3, S, S) float32 in [-1, 1], channels-last, on the device."""
    return pixels.to(device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def learning_rate_factor(config: TrainConfig, images: int) -> float:
    """Share of the learning rate after so many images: a linear warm-up, constant, then a cooldown.

    The constant part makes the length of a run something that can still be decided while it runs (A. Haegele
    et al., "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations", 2024).
    """
    if images < config.warmup_images:
        return (images + config.batch_size) / (config.warmup_images + config.batch_size)
    length = config.cooldown * config.images
    share = min(1.0, max(0.0, (images - (config.images - length)) / max(1.0, length)))
    return config.final_rate + (1 - config.final_rate) * (1 - math.sqrt(share))


def pick_device(wish: str, world: World = World()) -> torch.device:
    """``auto`` takes a GPU where torch sees one; each process of a node takes its own."""
    if wish == "cuda" or (wish == "auto" and torch.cuda.is_available()):
        return torch.device("cuda", world.local_rank)
    return torch.device("cpu")


def code_version() -> str:
    """The package's version and, in a checkout of facemix, the commit; ``.dirty`` where files differ from it."""
    root = Path(facemix.__file__).resolve().parent.parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], capture_output=True, text=True, check=True, cwd=root)
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != root:
            return __version__  # installed inside somebody else's checkout
        dirty = ".dirty" if git("status", "--porcelain") else ""
        return f"{__version__}+{git('rev-parse', '--short=12', 'HEAD')}{dirty}"
    except (OSError, subprocess.CalledProcessError):
        return __version__


@contextmanager
def _process_group(world: World, device: torch.device) -> Iterator[None]:
    """Joins the processes of a run, and parts from them at its end; nothing to do for one process alone."""
    if world.size == 1 or dist.is_initialized():
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def _fingerprint(config: TrainConfig, summary: dict[str, Any]) -> str:
    # How long a run is and how often it is looked at may change between its parts; what is computed may not.
    free = {"images", "checkpoint_seconds", "evaluate_images", "validation_images", "device", "precision"}
    text = config.model_dump_json(exclude=free) + summary["manifest_sha256"]
    return hashlib.sha256(text.encode()).hexdigest()
