"""Sharpening: the second part of training. Read `sharpen` from top to bottom.

A VAE's decoder draws the mean of what could have been there, and that is soft. Here the encoder is frozen, so every
latent keeps its meaning, and the decoder learns against a discriminator that compares photographs with
reconstructions *and* with decoded mixes, which no photograph shows. The run's folder is laid out as in `trainer`.
"""

from __future__ import annotations

import copy
import datetime
import hashlib
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from facemix.errors import ConfigError, DatasetError
from facemix.training.augment import Augmentation
from facemix.training.dataset import epoch_batches, load_split, read_summary
from facemix.training.log import Log
from facemix.training.loop import autocast, eyes_and_mouth, update_average
from facemix.training.sharpen_config import SharpenConfig
from facemix.training.sharpness import lacking_contrast, laplacian_pyramid_distance, measure
from facemix.training.state import Progress, load_state, save_state
from facemix.training.trainer import as_images, code_version, learning_rate_factor, pick_device
from facemix.vae.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from facemix.vae.config import VAEConfig
from facemix.vae.detail import fade_detail
from facemix.vae.discriminator import (
    Discriminator,
    adversarial_loss,
    discriminator_loss,
    feature_distance,
    gradient_penalty,
)
from facemix.vae.networks import VAE, count_parameters
from facemix.vae.posterior import Posterior

Say = Callable[[str], None]
Scalars = dict[str, torch.Tensor]


def sharpen(
    config: SharpenConfig,
    checkpoint: Path,
    data: Path,
    run: Path,
    *,
    time_limit: float | None = None,
    say: Say = print,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path | None:
    """Sharpens the decoder of `checkpoint`, or goes on doing so, in the folder `run`.

    Args:
        checkpoint: folder of the checkpoint to begin with; it is only read.
        time_limit: seconds after which this call saves its state and returns, to be called again.
        say: receives a line per evaluation.
        on_progress: called with the images seen and to be seen.

    Returns:
        The finished checkpoint's folder, or None when the time limit came first.

    Raises:
        CheckpointMissing, CheckpointCorrupt, DatasetError: see `load_checkpoint`, `load_state` and `load_split`; or
            the crops have another size than the network's.
        ConfigError: the training diverges, or `run` would overwrite the checkpoint that it begins with.
    """
    started = time.monotonic()
    device = pick_device(config.device)
    folder, source, summary = run / "checkpoint", load_checkpoint(checkpoint), read_summary(data)
    vae = _with_levels(source.vae, config)
    size = source.card.config.crop_size
    if summary["crop_size"] != size:
        raise DatasetError(
            f"the crops in {data} are {summary['crop_size']} pixels wide, the checkpoint takes {size}",
            hint=f"prepare the photographs into another folder with `facemix prepare --size {size}`",
        )
    if folder.resolve() == checkpoint.resolve():
        raise ConfigError(
            f"the result would overwrite {checkpoint}, which it begins with",
            hint="name another folder for the run",
        )
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    vae = vae.to(device, memory_format=torch.channels_last)
    average = copy.deepcopy(vae).requires_grad_(False).eval()
    vae.decoder.requires_grad_(True).train()  # what is fitted in closed form is no parameter
    opponent = Discriminator(config.discriminator_widths).to(device, memory_format=torch.channels_last)
    players = torch.nn.ModuleDict({"decoder": vae.decoder, "discriminator": opponent})
    optimizer = _optimizer(config, vae, opponent)
    fingerprint = _fingerprint(config, summary, source)
    state_path, progress = run / "state.safetensors", Progress()
    if state_path.exists():
        progress = load_state(state_path, players, average.decoder, optimizer, fingerprint=fingerprint)
        say(f"resumed at {progress.images:,} images")
    faces = load_split(data, "train")
    validation = load_split(data, "validation", limit=config.validation_images)
    faces_on_device = faces.images.to(device) if device.type == "cuda" else faces.images
    log = Log(run, config)
    if progress.step == 0:
        before = measure(average, validation, device)
        log.write(progress, {}, before)
        say(
            f"{source.card.name}: decoder {count_parameters(vae.decoder) / 1e6:.1f} M parameters, discriminator "
            f"{count_parameters(opponent) / 1e6:.1f} M, {len(faces):,} faces, {device}; {_summary_of(before)}"
        )
        if source.card.data.get("manifest_sha256") != summary["manifest_sha256"]:
            say("note: the checkpoint was trained on another data set or split: its faces may be in this validation")

    weights = eyes_and_mouth(size, strength=config.region_strength).to(device)
    # Noise differs between steps and is known from the step alone: resuming repeats nothing.
    generator = torch.Generator(device)
    batches = epoch_batches(len(faces), config.batch_size, seed=config.seed, start=progress.step)
    last_saved, finished = time.monotonic(), progress.images >= config.images
    seconds_before = progress.seconds
    evaluations = progress.images // config.evaluate_images
    figures = measure(average, validation, device) if finished else {}
    means = _Means()
    while not finished:
        generator.manual_seed((config.seed * 7_919 + progress.step) * 64)
        images = as_images(faces_on_device[next(batches).to(faces_on_device.device)], device)
        if config.flip:
            mirror = torch.rand(len(images), generator=generator, device=device) < 0.5
            images = torch.where(mirror[:, None, None, None], images.flip(3), images)

        factor = learning_rate_factor(config, progress.images)
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        optimizer.zero_grad(set_to_none=True)
        parts = backward(config, vae, opponent, images, weights, progress, generator)
        norms = {
            name: torch.nn.utils.clip_grad_norm_(players[name].parameters(), largest)
            for name, largest in (
                ("decoder", config.clip_norm),
                ("discriminator", config.discriminator_clip_norm),
            )
        }
        for name, norm in norms.items():
            if not torch.isfinite(norm):
                raise ConfigError(
                    f"the gradient of the {name} is {norm} at step {progress.step}",
                    hint="lower the learning rates or the adversarial weight and begin again in another folder",
                )
        optimizer.step()
        progress.step += 1
        progress.images += config.batch_size
        update_average(
            average.decoder,
            vae.decoder,
            batch_size=config.batch_size,
            half_life=config.ema_images,
            images=progress.images,
        )
        means.add(parts | {f"{name}_gradient_norm": norm for name, norm in norms.items()})

        progress.seconds = seconds_before + time.monotonic() - started
        finished = progress.images >= config.images
        out_of_time = time_limit is not None and time.monotonic() - started > time_limit
        on_progress(min(progress.images, config.images), config.images)
        if finished or progress.images // config.evaluate_images > evaluations:
            evaluations = progress.images // config.evaluate_images
            figures, training = measure(average, validation, device), means.take()
            log.write(progress, training, figures)
            log.draw(progress, average, as_images(validation.images[:32], device))
            say(
                f"{progress.images:>9,} images  {_summary_of(figures)}  photographs {training['real_logit']:+.2f}, "
                f"decoded {training['fake_logit']:+.2f}  {progress.images / progress.seconds:.0f} images/s"
            )
        if finished or out_of_time or time.monotonic() - last_saved > config.checkpoint_seconds:
            save_state(state_path, players, average.decoder, optimizer, progress, fingerprint=fingerprint)
            last_saved = time.monotonic()
        if out_of_time and not finished:
            log.close()
            return None
    log.close()
    export(folder, average, source, config, summary, figures, progress)
    return folder


def _with_levels(vae: VAE, config: SharpenConfig) -> VAE:
    """The same network with the number of coarse dimensions that the configuration asks for."""
    if config.coarse_size is None:
        return vae
    try:
        shape = VAEConfig.model_validate({**vae.config.model_dump(), "coarse_size": config.coarse_size})
    except ValidationError as error:
        raise ConfigError(
            f"coarse_size={config.coarse_size}: {error.errors()[0]['msg']}",
            hint="give a number below the checkpoint's latent_size",
        ) from error
    changed = VAE(shape)
    changed.load_state_dict(vae.state_dict())
    return changed.requires_grad_(False).eval()


def backward(
    config: SharpenConfig,
    vae: VAE,
    opponent: Discriminator,
    images: torch.Tensor,
    weights: torch.Tensor,
    progress: Progress,
    generator: torch.Generator,
) -> Scalars:
    """Computes the losses of one step and leaves their gradients in the decoder and the discriminator.

    The two learn at once, from a single pass through the discriminator: one backward pass through it gives the
    gradient by the decoded pixels, the other that by its own weights.

    Args:
        images: (N, 3, S, S) in [-1, 1].
        weights: (1, 1, S, S) with mean 1; how much each place counts in the pixels' losses.

    Returns:
        Detached scalars to log.
    """
    count, size = len(images), images.shape[-1]
    bf16_or_not = autocast(config.precision, images.device)
    with torch.no_grad(), bf16_or_not:
        posterior = vae.encode(images)
    z = _latents(config, posterior, generator)
    mixed = _mixes(config, z, vae.config.coarse_size, generator)
    with bf16_or_not:
        decoded = vae.decode(torch.cat([_without_some_detail(config, z, vae.config.coarse_size), mixed]))
    decoded = decoded.float()

    # A photograph and its reconstruction are shifted and cut alike, so that their features can be compared.
    draw = {"translation": config.translation, "cutout": config.cutout, "generator": generator, "device": images.device}
    alike, other = Augmentation.draw(count, size, **draw), Augmentation.draw(len(mixed), size, **draw)
    pixels = decoded.detach().requires_grad_()
    shown = torch.cat([alike(images), alike(pixels[:count]), other(pixels[count:])])
    with bf16_or_not:
        logits, features = opponent(shown)
    real, fake = logits[:count].float(), logits[count:].float()

    # A mix pulls at the decoder as hard as a photograph does, so their number does not dilute either.
    adversarial = adversarial_loss(fake).sum() / count
    matching = feature_distance([f[:count] for f in features], [f[count : 2 * count] for f in features])
    ramp = min(1.0, progress.images / max(1, config.ramp_images))
    (pull,) = torch.autograd.grad(
        ramp * config.adversarial_weight * adversarial + config.feature_weight * matching, pixels, retain_graph=True
    )

    # Where a photograph's detail was given, the decoder owes it to the photograph and not to likelihood.
    pull[: _faithful(config, count, vae.config.coarse_size)] = 0

    verdict = discriminator_loss(real, fake)
    parts = {"discriminator": verdict, "adversarial": adversarial, "feature_matching": matching}
    parts |= {"real_logit": real.mean(), "fake_logit": fake[:count].mean()}
    if len(mixed):
        parts["mix_logit"] = fake[count:].mean()
    if config.penalty_weight and progress.step % config.penalty_steps == 0:
        slopes = gradient_penalty(opponent, shown)
        parts |= {"r1": slopes[:count].mean(), "r2": slopes[count:].mean()}
        verdict = verdict + config.penalty_steps * config.penalty_weight / 2 * (parts["r1"] + parts["r2"])
    verdict.backward(inputs=list(opponent.parameters()))

    error = decoded[:count] - images
    weights = weights * _trust(config, count, vae.config.coarse_size).to(weights)
    parts["l1"] = (error.abs() * weights).mean()
    parts["mse"] = (error.square() * weights).mean()
    parts["laplacian"] = laplacian_pyramid_distance(error, config.laplacian_levels, weights)
    parts["contrast"] = lacking_contrast(decoded[:count], images)
    fidelity = (
        config.l1_weight * parts["l1"]
        + config.mse_weight * parts["mse"]
        + config.laplacian_weight * parts["laplacian"]
        + config.contrast_weight * parts["contrast"]
    )
    torch.autograd.backward([fidelity, decoded], [None, pull], inputs=list(vae.decoder.parameters()))
    return {name: value.detach() for name, value in parts.items()}


def export(
    folder: Path,
    average: VAE,
    source: Checkpoint,
    config: SharpenConfig,
    summary: dict[str, Any],
    figures: dict[str, float],
    progress: Progress,
) -> None:
    """Writes the weight average as a checkpoint with the source's card, prior and encoder."""
    card = source.card
    sharpened = {
        **config.model_dump(mode="json"),
        "images_seen": progress.images,
        "steps": progress.step,
        "seconds": round(progress.seconds),
        "from_weights_sha256": card.weights_sha256,
        "from_code_version": card.code_version,
        "data": {"name": summary["name"], "manifest_sha256": summary["manifest_sha256"]},
    }
    if "sharpen" in card.training:
        sharpened["before"] = card.training["sharpen"]
    licence = card.licence
    if summary["licence"] != licence:
        licence = f"{licence}; sharpened on photographs whose terms are: {summary['licence']}"
    save_checkpoint(
        folder,
        average,
        prior=source.prior.without_detail(average.config.coarse_size),  # the encoder and so the latents are the same
        name=card.name,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        training={**card.training, "sharpen": sharpened},
        data=card.data,
        metrics={**card.metrics, **{name: round(value, 4) for name, value in figures.items()}},
        code_version=code_version(),
        licence=licence,
        limitations=card.limitations,
    )


def _latents(config: SharpenConfig, posterior: Posterior, generator: torch.Generator) -> torch.Tensor:
    """The posterior means, of which the first `sample_share` are drawn instead: a batch has no order."""
    z = posterior.mode().clone()
    sampled = round(config.sample_share * len(z))
    if sampled:
        z[:sampled] = posterior.sample(generator)[:sampled]
    return z


def _without_some_detail(config: SharpenConfig, z: torch.Tensor, coarse_size: int) -> torch.Tensor:
    """The latents, the last `drop_share` of them without detail: of these the decoder learns what a mix needs, to draw
    detail that is not given, with a photograph to hold on to."""
    if not coarse_size:
        return z
    z = z.clone()
    z[_faithful(config, len(z), coarse_size) :, coarse_size:] = 0
    return z


def _faithful(config: SharpenConfig, count: int, coarse_size: int) -> int:
    """How many photographs of a batch, its first, are decoded with their detail although the latent has two levels."""
    return count - round(config.drop_share * count) if coarse_size else 0


def _trust(config: SharpenConfig, count: int, coarse_size: int) -> torch.Tensor:
    """How much each photograph's pixels count, (count, 1, 1, 1): less where its detail was not given."""
    trust = torch.ones(count, 1, 1, 1)
    if coarse_size:
        trust[_faithful(config, count, coarse_size) :] = config.drop_fidelity
    return trust


def _mixes(config: SharpenConfig, z: torch.Tensor, coarse_size: int, generator: torch.Generator) -> torch.Tensor:
    """Mixes of neighbours in the batch, weights uniform in [0.25, 0.75]: (mix_share * N, Z)."""
    count = round(config.mix_share * len(z))
    weight = 0.25 + 0.5 * torch.rand(count, 1, generator=generator, device=z.device)
    mean = torch.lerp(z[:count], z.roll(1, 0)[:count], weight)
    return fade_detail(mean, torch.cat([1 - weight, weight], dim=1), coarse_size)


def _optimizer(config: SharpenConfig, vae: VAE, opponent: Discriminator) -> torch.optim.Optimizer:
    """One AdamW with a group for each player, so that one state file holds both."""
    groups = [
        {"params": list(vae.decoder.parameters()), "lr": config.learning_rate, "betas": config.adam_betas},
        {
            "params": list(opponent.parameters()),
            "lr": config.discriminator_rate,
            "betas": config.discriminator_betas,
        },
    ]
    for group in groups:
        group["initial_lr"] = group["lr"]
    return torch.optim.AdamW(groups, weight_decay=config.weight_decay, fused=True)


def _fingerprint(config: SharpenConfig, summary: dict[str, Any], source: Checkpoint) -> str:
    # How long a run is and how often it is looked at may change between its parts; what is computed may not.
    free = {"images", "checkpoint_seconds", "evaluate_images", "validation_images", "device", "precision"}
    text = config.model_dump_json(exclude=free) + summary["manifest_sha256"] + source.card.weights_sha256
    return hashlib.sha256(text.encode()).hexdigest()


class _Means:
    """Means of what the steps between two evaluations said; some say more than others."""

    def __init__(self) -> None:
        self._sums: dict[str, torch.Tensor] = {}
        self._counts: dict[str, int] = defaultdict(int)

    def add(self, scalars: Scalars) -> None:
        for name, value in scalars.items():
            self._sums[name] = self._sums.get(name, 0) + value
            self._counts[name] += 1

    def take(self) -> dict[str, float]:
        means = {name: float(value) / self._counts[name] for name, value in self._sums.items()}
        self.__init__()
        return means


def _summary_of(figures: dict[str, float]) -> str:
    return (
        f"validation {figures['psnr']:.2f} dB, sharpness {figures['sharpness']:.2f} "
        f"(pooled {figures['sharpness_pooled']:.2f}), mid-points {figures['midpoint_sharpness']:.2f}"
    )
