"""`facemix doctor`: is this installation whole, and if not, how is it mended?"""

from __future__ import annotations

import platform
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

import numpy as np
import torch
from PIL import features

from facemix.errors import FacemixError, InstallationError, ModelError
from facemix.faces.centerface import CenterFace
from facemix.faces.finder import FaceFinder
from facemix.faces.runners import RunnerChoice
from facemix.imaging.video import encode_mp4, find_ffmpeg
from facemix.resources import resource_dir
from facemix.safety.photo_gate import load_gate
from facemix.safety.result_statistics import load_statistics
from facemix.serving.engine import Engine, engine_from_settings
from facemix.serving.tuning import tune_allocator
from facemix.settings import Settings
from facemix.vae.checkpoint import newest_checkpoint, read_card

_SAMPLES = 8
_RUNNERS = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}

Verdict = Literal["ok", "note", "fail"]


@dataclass(frozen=True)
class Finding:
    """One line of the report. `hint` says how to mend what is not ``ok``."""

    check: str
    verdict: Verdict
    message: str
    hint: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Runs every check; a check that fails never keeps the next from running."""
    checks: dict[str, Callable[[Settings], Finding]] = {
        "python": _python,
        "allocator": _allocator,
        "torch": _torch,
        "torchvision": _torchvision,
        "image formats": _formats,
        "animations": _animations,
        "templates and static files": _files,
        "face detector": _detector,
        "model": _model,
        "photograph gate": _gate,
        "result checks": _results,
        "database": _database,
        "likeness guard": _guard,
        "blob store": _blobs,
        "address": _address,
    }
    for name, check in checks.items():
        try:
            yield check(settings)
        except FacemixError as error:
            yield Finding(name, "fail", error.message, error.hint)
        except Exception as error:
            yield Finding(name, "fail", f"{type(error).__name__}: {error}", "install facemix again")


def _python(settings: Settings) -> Finding:
    # Older Pythons do not get here: pyproject.toml keeps pip from installing on them.
    return Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _allocator(settings: Settings) -> Finding:
    """Tunes it as `facemix serve` does, so that the model is tried as it is served."""
    if tune_allocator():
        return Finding("allocator", "ok", "glibc's, which `facemix serve` lets keep the large blocks of batches")
    return Finding("allocator", "ok", "not glibc's, or it refused; `facemix serve` leaves it as it is")


def _torch(settings: Settings) -> Finding:
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    return Finding("torch", "ok", f"{torch.__version__} on {where}")


def _torchvision(settings: Settings) -> Finding:
    """Serving never imports torchvision; a build that does not fit torch only costs training its own grids."""
    try:
        version = metadata.version("torchvision")
    except metadata.PackageNotFoundError:
        return Finding("torchvision", "ok", "not installed, and not needed for serving")
    return Finding("torchvision", "ok", f"{version}, used for training only")


def _formats(settings: Settings) -> Finding:
    missing = [name for name in ("jpg", "zlib", "webp", "littlecms2") if not features.check(name)]
    if missing:
        return Finding(
            "image formats", "fail", f"Pillow lacks {', '.join(missing)}", "pip install --force-reinstall pillow"
        )
    if settings.allow_avif and not features.check("avif"):
        return Finding("image formats", "fail", "FACEMIX_ALLOW_AVIF is on, but Pillow lacks AVIF", "update Pillow")
    if settings.allow_heif:
        try:
            metadata.version("pillow-heif")
        except metadata.PackageNotFoundError:
            return Finding(
                "image formats",
                "fail",
                "FACEMIX_ALLOW_HEIF is on, but pillow-heif is not installed",
                "pip install 'facemix[heif]'",
            )
    extra = [name for name, on in (("HEIC", settings.allow_heif), ("AVIF", settings.allow_avif)) if on]
    return Finding("image formats", "ok", ", ".join(["JPEG", "PNG", "WebP", *extra]))


def _animations(settings: Settings) -> Finding:
    """GIF and WebP are Pillow's; MP4 is an extra."""
    try:
        program = find_ffmpeg()
    except InstallationError as error:
        return Finding("animations", "note", f"GIF, WebP; no MP4: {error.message}", "pip install 'facemix[video]'")
    encode_mp4([np.full((128, 128, 3), 128, np.uint8)], side=128, fps=10)
    return Finding("animations", "ok", f"GIF, WebP, MP4 by {program}")


def _files(settings: Settings) -> Finding:
    for name in ("templates", "static"):
        resource_dir(name)
    return Finding("templates and static files", "ok", str(resource_dir("templates").parent))


def _detector(settings: Settings) -> Finding:
    blank = np.full((64, 64, 3), 128, np.uint8)
    detector = CenterFace(threads=1, runner=settings.detector)
    if FaceFinder(detector).find(blank):
        return Finding("face detector", "fail", "it finds a face on a blank page", f"install {detector.runner} again")
    what = f"CenterFace on {_RUNNERS[detector.runner]} {metadata.version(detector.runner)}"
    return Finding("face detector", "ok", what)


def _model(settings: Settings) -> Finding:
    engine = engine_from_settings(settings)
    found = _faces_among_samples(engine, settings.detector)
    engine.close()
    what = f"{engine.identity} at {engine.crop_size} px by {engine.backend} on {engine.device}, from {engine.folder}"
    if found == 0:
        return Finding(
            "model",
            "fail",
            f"{what}: none of {_SAMPLES} faces drawn from its prior is found to be one",
            "the checkpoint is not trained; serve another with FACEMIX_CHECKPOINT",
        )
    return Finding(
        "model",
        "ok",
        f"{what}; {found} of {_SAMPLES} faces drawn from its prior are found to be faces; "
        f"terms of the weights: {engine.card['licence']}. {' '.join(engine.notes)}",
    )


def _gate(settings: Settings) -> Finding:
    if not settings.gate:
        return Finding("photograph gate", "note", "switched off: drawings are mixed, too", "unset FACEMIX_GATE")
    try:
        folder = settings.checkpoint or newest_checkpoint(resource_dir("checkpoints"))
        weights = read_card(folder).weights_sha256
    except ModelError:  # the check of the model has said so
        return Finding("photograph gate", "note", "there is no model beside which it could lie", "mend the model first")
    gate = load_gate(folder, weights)
    if gate is None:
        return Finding(
            "photograph gate",
            "note",
            f"{folder} has none: drawings, statues and masks are mixed, too",
            "fit one with `facemix gate DATA`",
        )
    return Finding("photograph gate", "ok", f"fitted to {gate.fitting.get('photographs', 'some')} photographs")


def _results(settings: Settings) -> Finding:
    unseen = "nothing looks at results after the mix, neither for a face nor for a document's portrait"
    if not settings.check_results:
        return Finding("result checks", "note", f"switched off: {unseen}", "unset FACEMIX_CHECK_RESULTS")
    try:
        folder = settings.checkpoint or newest_checkpoint(resource_dir("checkpoints"))
        card = read_card(folder)
    except ModelError:  # the check of the model has said so
        return Finding("result checks", "note", "there is no model beside which they could lie", "mend the model first")
    if load_statistics(folder, card) is None:
        hint = f"fit them with `facemix fit-checks {folder}`"
        return Finding("result checks", "note", f"{folder} has none: {unseen}", hint)
    return Finding("result checks", "ok", "what is no face, or a document's portrait, is withheld")


def _faces_among_samples(engine: Engine, runner: RunnerChoice) -> int:
    finder = FaceFinder(CenterFace(runner=runner))
    z = torch.stack([engine.draw(number) for number in range(_SAMPLES)])
    return sum(bool(finder.find(image)) for image in engine.decode(z))


def _database(settings: Settings) -> Finding:
    from facemix.storage import migrate
    from facemix.storage.database import Database
    from facemix.storage.engine import default_url

    with Database.open(settings.database_url or default_url(settings.data_dir)) as database:
        found, newest = migrate.revisions(database.engine)
        if found is None:
            return Finding(
                "database",
                "note",
                f"{database.location} has no tables yet",
                "nothing to mend: `facemix serve` makes them",
            )
        if found != newest:
            return Finding(
                "database",
                "note",
                f"the schema of {database.location} is {found!r}, not {newest!r}",
                "make a backup: `facemix serve` brings it up to date",
            )
        report = database.check()
    return Finding("database", "ok", f"{report.kind} at {report.location}, schema {report.schema}")


def _guard(settings: Settings) -> Finding:
    from facemix.faces.embedder import load_embedder
    from facemix.governance.secrets import open_secrets
    from facemix.safety.gallery import Gallery
    from facemix.safety.guard import Guard
    from facemix.storage import migrate
    from facemix.storage.database import Database
    from facemix.storage.engine import default_url

    with Database.open(settings.database_url or default_url(settings.data_dir)) as database:
        found, newest = migrate.revisions(database.engine)
        if found != newest:
            return Finding("likeness guard", "note", "the database has no gallery yet", "`facemix serve` makes it")
        gallery = Gallery(database, open_secrets(settings))
        state = Guard(gallery, load_embedder, settings.guard_distance).state()
    if not state.available:
        # Where nobody is protected, nothing is lost.
        verdict: Verdict = "fail" if state.people else "note"
        message = f"{state.people} people in the gallery; {state.reason}"
        return Finding("likeness guard", verdict, message, "pip install 'facemix[identity]', or enrol them again")
    return Finding("likeness guard", "ok", f"{state.people} people in the gallery")


def _blobs(settings: Settings) -> Finding:
    from facemix.storage.blobs import open_blobs

    if settings.blob_url is None:
        return Finding("blob store", "ok", "the data folder")
    store = open_blobs(settings)
    name = store.put("doctor", b"written by facemix doctor")
    store.get(name)
    store.delete(name)
    return Finding("blob store", "ok", f"{settings.blob_url} takes a blob and gives it back")


def _address(settings: Settings) -> Finding:
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            return Finding(
                "address",
                "note",
                f"{settings.host}:{settings.port} cannot be bound: {error.strerror}",
                "stop what is using it (facemix itself, perhaps), or set FACEMIX_PORT",
            )
    return Finding("address", "ok", f"http://{settings.host}:{settings.port} is free")
