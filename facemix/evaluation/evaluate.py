"""The walk of `facemix evaluate`: from a checkpoint and a prepared data set to one results file."""

from __future__ import annotations

import dataclasses
import datetime
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facemix.errors import ConfigError, DatasetError
from facemix.evaluation.baselines import PCA_IMAGES, fit_pca
from facemix.evaluation.bootstrap import Bootstrap
from facemix.evaluation.codecs import Codec, VAECodec
from facemix.evaluation.cost import cost_figures, gpu_time_per_face, time_per_face
from facemix.evaluation.gates import gate_figures, read_manifest
from facemix.evaluation.groups import age_of, group_figures, labels_of
from facemix.evaluation.identity import (
    ABSENT,
    distances,
    midpoint_identity,
    reconstruction_identity,
    same_person,
    strangers,
)
from facemix.evaluation.latent import latent_figures
from facemix.evaluation.midpoints import Paths, decoded_path, draw_pairs, face_likeness, faded_path, measure_paths
from facemix.evaluation.reconstruction import measure_reconstructions, reconstruction_figures, wrinkle_figures
from facemix.evaluation.results import Data, Figure, Figures, Identity, Margins, Results, Sharp, Subject
from facemix.evaluation.sharp import NO_GEOMETRY, PAIRS, Photographs, carry_maker, measure_sharp
from facemix.evaluation.wasserstein import SlicedWasserstein
from facemix.faces.centerface import CenterFace
from facemix.faces.embedder import IdentityEmbedder, load_embedder
from facemix.faces.types import FaceDetector
from facemix.training.dataset import FaceSet, load_split, read_summary
from facemix.training.trainer import code_version
from facemix.vae.checkpoint import Checkpoint, load_checkpoint

CROSS_FADE = "cross-fade"
# Low, so that a face that is hardly one has a figure too.
_DETECTOR_THRESHOLD = 0.05
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        split: of the data set.
        limit: measure so many faces of it, drawn by the seed; None is all.
        pairs: how many mid-points, at most half as many as faces.
        baselines: whether to measure PCA and the cross-fade, too.
        compare: further checkpoints by the name that the results give them.
        seed: of every draw: faces, pairs, resamples, PCA.
        resamples: of the bootstrap.
        pca_images: training faces that PCA is fitted on, at most.
        photos: folder of the photographs that the data set was prepared from; with it results at the photographs' own
            size are measured, on `sharp_pairs` pairs, where the checkpoint has geometry.
    """

    split: str = "test"
    limit: int | None = None
    pairs: int = 256
    baselines: bool = True
    compare: Mapping[str, Path] = field(default_factory=dict)
    seed: int = 0
    resamples: int = 1000
    pca_images: int = PCA_IMAGES
    photos: Path | None = None
    sharp_pairs: int = PAIRS


@dataclass
class _Measured:
    """One subject's figures, and the single values behind them for the margins."""

    subject: Subject
    faces: dict[str, np.ndarray] = field(default_factory=dict)
    pairs: dict[str, np.ndarray] = field(default_factory=dict)


def evaluate(
    checkpoint: Path, data: Path, options: Options = Options(), *, say: Callable[[str], None] = lambda line: None
) -> Results:
    """Measures a checkpoint, and what it is compared with, on the same faces and pairs.

    Everything is computed on the CPU in float32, on 8-bit pictures as they would be shown.

    Args:
        checkpoint: folder with ``model.safetensors`` and ``card.json``.
        data: a prepared data set.
        say: receives a line before every long step, and one where identity distances are skipped.

    Raises:
        InstallationError: the identity embedder is there, but damaged.
        CheckpointMissing, CheckpointCorrupt: see `load_checkpoint`.
        DatasetError: the data set cannot be used, has too few faces, or has crops of another size than a model takes.
        ConfigError: a name in `compare` is not one or is taken, or the model itself is called as a baseline is.
    """
    started = time.monotonic()
    summary = read_summary(data)
    model = load_checkpoint(checkpoint)
    if options.baselines and _is_baseline(model.card.name):
        raise ConfigError(
            f"the model is called {model.card.name!r}, as a baseline is",
            hint="give --no-baselines, or rename the model",
        )
    models = {model.card.name: model, **_compared(model.card.name, options.compare)}
    for name, one in models.items():
        _check_size(name, one, data, summary)
    faces, whole = _draw_faces(data, options)
    embedder = load_embedder()
    if embedder is None:
        say(ABSENT)
    walk = _Walk(faces, options, embedder)
    measured: dict[str, _Measured] = {}
    seconds: dict[str, float] = {}
    per_face: dict[str, dict[str, float]] = {}

    for name, one in models.items():
        say(f"{name}: {len(faces):,} faces, {len(walk.pairs):,} mid-points")
        before = time.monotonic()
        codec = VAECodec(one.vae)
        measured[name] = walk.measure_model(codec, one, summary)
        per_face[name] = time_per_face(codec, walk.crops) | gpu_time_per_face(one.vae, walk.crops)
        seconds[name] = time.monotonic() - before
    if options.baselines:
        before = time.monotonic()
        train = _sample(load_split(data, "train"), options.pca_images, seed=options.seed).images
        say(f"pca: {model.card.config.latent_size} components of {len(train):,} training faces")
        pca = fit_pca(train, model.card.config.latent_size, seed=options.seed)
        walk.measure_training_faces(train)
        del train
        name = f"pca-{pca.latent_size}"
        measured[name] = walk.measure_codec(pca, pca.latents, Subject(kind="pca", fitted_images=pca.fitted_images))
        seconds[name] = time.monotonic() - before
        measured[CROSS_FADE] = walk.measure_cross_fade()
    sharp = None
    if options.photos is not None:
        before = time.monotonic()
        sharp = walk.measure_sharp(model, checkpoint, options, say)
        seconds["sharp"] = time.monotonic() - before

    return Results(
        model=model.card.name,
        data=Data(
            name=summary["name"],
            manifest_sha256=summary["manifest_sha256"],
            crop_size=summary["crop_size"],
            split=options.split,
            faces=len(faces),
            split_faces=whole,
            pairs=len(walk.pairs),
        ),
        seed=options.seed,
        resamples=options.resamples,
        code_version=code_version(),
        subjects={name: one.subject for name, one in measured.items()},
        margins={
            name: _margins(measured[model.card.name], one, walk.bootstrap)
            for name, one in measured.items()
            if name != model.card.name
        },
        embedder=embedder.name if embedder else None,
        reference=walk.reference,
        gates=gate_figures(read_manifest(data), walk.bootstrap),
        sharp=sharp,
        timing={
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - started, 1),
            "seconds_by_subject": {name: round(value, 1) for name, value in seconds.items()},
            "per_face": per_face,
            "threads": torch.get_num_threads(),
        },
    )


class _Walk:
    """The faces, pairs, resamples, detector and embedder that all subjects share.

    Attributes:
        reference: figures of the photographs themselves.
    """

    def __init__(self, faces: FaceSet, options: Options, embedder: IdentityEmbedder | None) -> None:
        self.crops = faces.images.numpy()
        self._rows = faces.rows
        self.pairs = draw_pairs(len(faces), options.pairs, seed=options.seed)
        self.bootstrap = Bootstrap(resamples=options.resamples, seed=options.seed)
        self._ages = np.array([age_of(row) for row in faces.rows])
        self._labels = labels_of(faces.rows)
        # One thread: sums stay in one order, and a second one gains little on pictures this small.
        self._detector: FaceDetector = CenterFace(threshold=_DETECTOR_THRESHOLD, threads=1)
        self._embedder = embedder
        self._points = self._embed(self.crops)
        first, second = self._points[self.pairs.T]
        apart = distances(first, second)
        self.reference: Figures = {
            "identity_between_parents": self.bootstrap.median(apart),
            "same_person": self.bootstrap.mean(same_person(apart)),
        }
        # As many real faces as there are mid-points, for only sets of one size compare; strangers to the parents where
        # there are enough.
        others = np.setdiff1d(np.arange(len(faces)), self.pairs)
        drawn_from = others if len(others) >= len(self.pairs) else np.arange(len(faces))
        drawn = np.random.default_rng((options.seed, 4)).permutation(drawn_from)[: len(self.pairs)]
        self._sliced = SlicedWasserstein(self.crops[drawn], seed=options.seed)
        self._seed = options.seed

    def measure_training_faces(self, train: torch.Tensor) -> None:
        """The floor of the sliced Wasserstein distances: real faces against real faces. train: (N, S, S, 3) uint8."""
        count = len(self.pairs)
        if len(train) < count:
            return  # only sets of one size compare
        drawn = np.random.default_rng((self._seed, 5)).permutation(len(train))[:count]
        self.reference |= self._sliced_figures(train[torch.from_numpy(drawn)].numpy())

    def measure_model(self, codec: VAECodec, checkpoint: Checkpoint, summary: dict[str, Any]) -> _Measured:
        card = checkpoint.card
        trained_on = card.data.get("manifest_sha256")
        identity = Identity(
            name=card.name,
            weights_sha256=card.weights_sha256,
            created=card.created,
            latent_schema=card.latent_schema,
            code_version=card.code_version,
            same_manifest=None if trained_on is None else trained_on == summary["manifest_sha256"],
        )
        subject = Subject(
            kind="vae",
            identity=identity,
            latent=latent_figures(codec.posterior(self.crops), self.bootstrap),
            cost=cost_figures(checkpoint.vae, card.training),
        )
        return self.measure_codec(codec, checkpoint.prior.latents, subject)

    def measure_codec(self, codec: Codec, prior: Callable[[torch.Tensor], torch.Tensor], subject: Subject) -> _Measured:
        """Adds to `subject` what can be measured of anything that encodes and decodes.

        prior: standard normal noise, (N, Z), to latents of new faces.
        """
        z = codec.encode(self.crops)
        outputs = codec.decode(z)
        values = measure_reconstructions(self.crops, outputs)
        values["identity_distance"] = distances(self._embed(outputs), self._points)
        paths = self._with_identity(
            measure_paths(self.pairs, self.crops, lambda a, b: decoded_path(codec, z[[a, b]]), self._detector)
        )
        noise = torch.randn(len(self.pairs), codec.latent_size, generator=torch.Generator().manual_seed(self._seed))
        added = {
            "latent_size": codec.latent_size,
            "reconstruction": reconstruction_figures(values, self.crops, outputs, self.bootstrap)
            | reconstruction_identity(values["identity_distance"], self.bootstrap),
            "samples": self._sample_figures(codec.decode(prior(noise))),
            "midpoints": self._path_figures(paths),
            "wrinkles": wrinkle_figures(values, self._ages, self.bootstrap),
            "groups": {
                label: group_figures(values | {"strangers": strangers(self._points, groups)}, groups, self.bootstrap)
                for label, groups in self._labels.items()
                if any(group is not None for group in groups)
            },
        }
        return _Measured(subject.model_copy(update=added), values, paths.values)

    def measure_cross_fade(self) -> _Measured:
        """The photographs themselves laid over each other: ends without any loss, mid-points with two faces."""
        paths = self._with_identity(
            measure_paths(self.pairs, self.crops, lambda a, b: faded_path(self.crops[a], self.crops[b]), self._detector)
        )
        return _Measured(Subject(kind="cross-fade", midpoints=self._path_figures(paths)), pairs=paths.values)

    def measure_sharp(
        self, model: Checkpoint, folder: Path, options: Options, say: Callable[[str], None]
    ) -> Sharp | None:
        """None, and a line that says so, where the checkpoint in `folder` has no geometry."""
        make_carry = carry_maker(folder)
        if make_carry is None or options.photos is None:
            say(NO_GEOMETRY)
            return None
        return measure_sharp(
            VAECodec(model.vae),
            Photographs(options.photos, self._rows),
            make_carry,
            self.bootstrap,
            self._detector,
            crop_size=model.card.config.crop_size,
            pairs=options.sharp_pairs,
            seed=options.seed,
            embedder=self._embedder,
            say=say,
        )

    def _embed(self, crops: np.ndarray) -> np.ndarray:
        """(N, 128) points; NaN, and so every figure drawn from them, without an embedder."""
        return np.full((len(crops), 1), np.nan) if self._embedder is None else self._embedder.embed(crops)

    def _with_identity(self, paths: Paths) -> Paths:
        first, second = self._points[self.pairs.T]
        found = midpoint_identity(self._embed(paths.middles), first, second)
        return dataclasses.replace(paths, values=paths.values | found)

    def _path_figures(self, paths: Paths) -> Figures:
        means = {name: self.bootstrap.mean(one) for name, one in paths.values.items()}
        return means | self._sliced_figures(paths.middles)

    def _sample_figures(self, samples: np.ndarray) -> Figures:
        confidence = np.array([face_likeness(sample, self._detector) for sample in samples])
        return {"confidence": self.bootstrap.mean(confidence)} | self._sliced_figures(samples)

    def _sliced_figures(self, pictures: np.ndarray) -> Figures:
        """``swd``, the mean over the levels of the pyramid, and every level by its side. They have no interval: a
        resample that holds a picture twice is by that alone farther from the real faces."""
        return {
            "swd" if level == "mean" else f"swd_{level}": Figure(mean=value, low=None, high=None, n=len(pictures))
            for level, value in self._sliced.distance(pictures).items()
        }


def _margins(model: _Measured, other: _Measured, bootstrap: Bootstrap) -> Margins:
    """The model minus another subject on the same faces and pairs: an interval without 0 is a difference."""

    def difference(mine: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> Figures:
        shared = [name for name in mine if name in theirs and not name.startswith("detail_")]
        return {name: bootstrap.mean(mine[name] - theirs[name]) for name in shared}

    return Margins(reconstruction=difference(model.faces, other.faces), midpoints=difference(model.pairs, other.pairs))


def _compared(taken: str, compare: Mapping[str, Path]) -> dict[str, Checkpoint]:
    for name in compare:
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{name!r} cannot name a checkpoint in the results",
                hint="use up to 64 lower-case letters, digits, dots, dashes and underscores",
            )
        if name == taken or _is_baseline(name):
            raise ConfigError(
                f"the name {name!r} is taken by the model or a baseline",
                hint="give the other checkpoint another name, as in --compare older=FOLDER",
            )
    return {name: load_checkpoint(folder) for name, folder in compare.items()}


def _is_baseline(name: str) -> bool:
    return name == CROSS_FADE or name.startswith("pca-")


def _check_size(name: str, checkpoint: Checkpoint, data: Path, summary: dict[str, Any]) -> None:
    size = checkpoint.card.config.crop_size
    if summary["crop_size"] != size:
        raise DatasetError(
            f"the crops in {data} are {summary['crop_size']} pixels wide, the model {name} takes {size}",
            hint=f"prepare the photographs into another folder with `facemix prepare --size {size}`",
        )


def _draw_faces(data: Path, options: Options) -> tuple[FaceSet, int]:
    """The faces to measure, in the manifest's order, and how many the split has."""
    whole = load_split(data, options.split)
    count = len(whole) if options.limit is None else options.limit
    faces = _sample(whole, count, seed=options.seed)
    if len(faces) < 2:
        raise DatasetError(
            f"{len(faces)} face is too few: a mid-point needs two",
            hint="raise --limit, or prepare more photographs",
        )
    return faces, len(whole)


def _sample(faces: FaceSet, count: int, *, seed: int) -> FaceSet:
    """`count` of the faces at random; the first ones would be those whose file names come first."""
    if count >= len(faces):
        return faces
    kept = np.sort(np.random.default_rng((seed, 0)).permutation(len(faces))[:count])
    return FaceSet(faces.images[torch.from_numpy(kept)], tuple(faces.rows[index] for index in kept))
