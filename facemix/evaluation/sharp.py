"""Results at the photographs' own size: as sharp as the photographs, without ghosts, steady, and like both people?

Ways from one person to another are measured side by side on pairs of strangers (`facemix.evaluation.ways`): the mix
that carries the photographs' detail, the model's own decode, enlarged, and the pixel cross-fade; and whatever else the
caller brings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facemix.errors import DatasetError
from facemix.evaluation.bootstrap import Bootstrap
from facemix.evaluation.codecs import Codec
from facemix.evaluation.edges import double_edges
from facemix.evaluation.face_sharpness import sharpness
from facemix.evaluation.flicker import flicker, shares
from facemix.evaluation.ghosts import Ghosts
from facemix.evaluation.identity import midpoint_identity, path_identity
from facemix.evaluation.midpoints import draw_pairs, landmark_figures
from facemix.evaluation.results import Sharp, SharpView
from facemix.evaluation.texture import kept, textured
from facemix.evaluation.ways import Carrying, MakeCarry, Parents, Rival, Way, carried, decoded, faded
from facemix.faces.align import native_side
from facemix.faces.crops import face_in_crop
from facemix.faces.cuts import cut
from facemix.faces.embedder import IdentityEmbedder
from facemix.faces.glasses import wears_glasses
from facemix.faces.types import Face, FaceDetector
from facemix.imaging.decode import WORKING_SIDE, DecodeLimits
from facemix.imaging.enlarge import SIDES
from facemix.mixing.carry import Carry
from facemix.mixing.interpolation import interpolate
from facemix.mixing.warp import take
from facemix.vae.geometry import load_geometry

CARRY, VAE, CROSS_FADE = "carry", "vae", "cross-fade"
PAIRS = 64
LARGE = 512  # pixels: the side that results are drawn at where nothing else is said
NO_GEOMETRY = (
    "results at the photographs' size are skipped: the checkpoint has no geometry (`facemix geometry` fits one)"
)
_IDENTITY_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_LIMITS = DecodeLimits(max_bytes=100 * 2**20, max_side=WORKING_SIDE)


@dataclass(frozen=True)
class Photographs:
    """The photographs that a prepared data set was made of.

    Attributes:
        folder: below which lies what the manifest's ``source`` names.
        rows: the manifest's rows, with ``landmarks`` in pixels of the upright photograph.
    """

    folder: Path
    rows: Sequence[dict[str, Any]]

    def side(self, index: int) -> float:
        """The side in pixels that the face's crop has in its photograph."""
        return native_side(self._landmarks(index))

    def cut(self, index: int, side: int) -> np.ndarray:
        """The aligned crop, (side, side, 3) uint8, out of the photograph itself.

        Raises:
            DatasetError: the photograph is not there, or is another one.
            ImageError: it cannot be read any more.
        """
        row = self.rows[index]
        path = self.folder / row["source"]
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DatasetError(
                f"{path} cannot be read: {error.strerror}",
                hint="name the folder that `facemix prepare` was given",
            ) from error
        if hashlib.sha256(data).hexdigest() != row["sha256"]:
            raise DatasetError(
                f"{path} is not the photograph that was prepared", hint="run `facemix prepare` on this folder again"
            )
        face = Face((0.0, 0.0, 0.0, 0.0), self._landmarks(index), row.get("quality", {}).get("score", 1.0))
        return cut(data, _LIMITS, face, side, where=row["source"])

    def _landmarks(self, index: int) -> np.ndarray:
        row = self.rows[index]
        if "landmarks" not in row:
            raise DatasetError(
                f"the manifest does not say where the face in {row['source']} is",
                hint="run `facemix prepare` on its folder again",
            )
        return np.array(row["landmarks"], np.float32)


@dataclass(frozen=True)
class View:
    """A side that is measured, in pixels, and whether known texture is added to the photographs there."""

    side: int
    textured: bool = False


def views(photographs: Photographs, faces: Sequence[int]) -> dict[str, View]:
    """What is measured: ``own``, the median of the sides that the faces have in their photographs, rounded to 8 pixels;
    ``large``, `LARGE` pixels; and ``textured``, the same with texture on the photographs."""
    own = round(float(np.median([photographs.side(face) for face in faces])) / 8) * 8
    return {
        "own": View(int(np.clip(own, *SIDES))),
        "large": View(LARGE),
        "textured": View(LARGE, textured=True),
    }


def measure_sharp(
    codec: Codec,
    photographs: Photographs,
    make_carry: MakeCarry,
    bootstrap: Bootstrap,
    detector: FaceDetector,
    *,
    crop_size: int,
    pairs: int = PAIRS,
    seed: int = 0,
    embedder: IdentityEmbedder | None = None,
    rivals: Mapping[str, Rival] | None = None,
    chosen: Callable[[Photographs, Sequence[int]], Mapping[str, View]] = views,
    say: Callable[[str], None] = lambda line: None,
) -> Sharp:
    """Every figure of every way in every view; docs/evaluation.md says what each is.

    Args:
        make_carry: from the parents to what brings their detail into the mix.
        detector, embedder: for landmarks and identity; without an embedder identity has no figures.
        crop_size: of the crops that the model sees, in pixels.
        pairs: of strangers, drawn as `facemix evaluate` draws its mid-points.
        rivals: further ways by their names.
        chosen: the views, from the faces that were drawn.
        say: receives a line before the long work begins.

    Raises:
        DatasetError: the photographs are not those of the data set, or fewer than two.
        ImageError: one of them cannot be read.
    """
    drawn = draw_pairs(len(photographs.rows), pairs, seed=seed)
    if not len(drawn):
        raise DatasetError("one photograph is too few: a mix needs two", hint="prepare more photographs")
    wanted = chosen(photographs, drawn.ravel().tolist())
    said = ", ".join(f"{name} ({view.side} px)" for name, view in wanted.items())
    say(f"results at the photographs' size: {len(drawn):,} pairs; {said}")
    looks = {name: _Look(detector, embedder, view.textured) for name, view in wanted.items()}
    for number, (first, second) in enumerate(drawn.tolist()):
        crops = np.stack([photographs.cut(index, crop_size) for index in (first, second)])
        z = codec.encode(crops)
        reconstructions = codec.decode(z)

        @cache
        def decode(share: float, z=z) -> np.ndarray:  # all views and ways ask for the same few shares
            return codec.decode(interpolate(z, [1 - share, share], coarse_size=codec.coarse_size)[None])[0]

        middles: dict[tuple[int, str], np.ndarray] = {}
        for name, view in wanted.items():
            plain = np.stack([photographs.cut(index, view.side) for index in (first, second)])
            cuts = plain
            if view.textured:
                cuts = np.stack([textured(one, (seed, 6, number, which)) for which, one in enumerate(plain)])
            parents = Parents(cuts, crops, reconstructions)
            carry = make_carry(parents)
            halfway = carry.fields((0.5, 0.5))
            others = {rival: make(parents, halfway) for rival, make in (rivals or {}).items()}
            geometries = [[take(one, field) for one, field in zip(cuts, halfway, strict=True)]]
            geometries += [other.warped(0.5) for other in others.values()]
            looks[name].begin(cuts, geometries)
            ways = {CARRY: carried(carry, decode), VAE: decoded(decode, view.side), CROSS_FADE: faded(cuts)}
            for way, path in (ways | {rival: other.frame for rival, other in others.items()}).items():
                middle, found = looks[name].measure(way, path)
                if view.textured:
                    if (view.side, way) in middles:
                        found["texture_kept"] = kept((middle, middles[view.side, way]), (cuts, plain))
                else:
                    middles[view.side, way] = middle
    return Sharp(
        pairs=len(drawn),
        views={name: looks[name].figures(view, bootstrap) for name, view in wanted.items()},
    )


def carry_maker(folder: Path) -> MakeCarry | None:
    """What makes carries with the geometry beside the checkpoint in `folder`; None where there is none.

    Raises:
        CheckpointCorrupt: the geometry is damaged.
    """
    geometry = load_geometry(folder)
    if geometry is None:
        return None

    def make(parents: Parents) -> Carrying:
        worn = [wears_glasses(crop) for crop in parents.crops]
        return Carry(list(parents.cuts), parents.reconstructions, geometry.shapes(parents.crops), glasses=worn)

    return make


class _Look:
    """Measures ways in one view, pair after pair, and keeps the values."""

    def __init__(self, detector: FaceDetector, embedder: IdentityEmbedder | None, textured: bool) -> None:
        self._detector = detector
        # Texture does not move anybody's landmarks.
        self._embedder = None if textured else embedder
        self._landmarks = not textured
        self._values: dict[str, list[dict[str, float]]] = {}
        self._small: dict[str, list[np.ndarray]] = {}
        self._ends: list[np.ndarray] = []

    def begin(self, cuts: np.ndarray, geometries: Sequence[Sequence[np.ndarray]]) -> None:
        """The next pair: both photographs, (2, S, S, 3) uint8, and the same as somebody brings them to the middle."""
        self._cuts = cuts
        self._ghosts = Ghosts(cuts, geometries)
        self._faces = [face_in_crop(one, self._detector) for one in cuts] if self._landmarks else []
        self._points = np.zeros((2, 0)) if self._embedder is None else self._embedder.embed(cuts)
        self._ends += [_reduced(one) for one in cuts]

    def measure(self, way: str, path: Way) -> tuple[np.ndarray, dict[str, float]]:
        """One way of the pair: its mid-point, and its values, which the caller may add to."""
        middle = path(0.5)
        values = sharpness(middle, self._cuts) | self._ghosts.figures(middle)
        values |= flicker([np.stack([path(share) for share in run]) for run in shares()])
        if self._landmarks:
            values |= landmark_figures(self._faces[0], face_in_crop(middle, self._detector), self._faces[1])
        if self._embedder is not None:
            along = self._embedder.embed(np.stack([path(share) for share in _IDENTITY_SHARES]))
            at_middle = along[_IDENTITY_SHARES.index(0.5)]
            found = midpoint_identity(at_middle[None], self._points[:1], self._points[1:])
            values |= {name: float(value[0]) for name, value in found.items()}
            values["identity_monotone"] = path_identity(along, *self._points)
        self._values.setdefault(way, []).append(values)
        self._small.setdefault(way, []).append(_reduced(middle))
        return middle, values

    def figures(self, view: View, bootstrap: Bootstrap) -> SharpView:
        starts, ends = np.stack(self._ends[0::2]), np.stack(self._ends[1::2])
        found: dict[str, dict[str, np.ndarray]] = {}
        for way, pairs in self._values.items():
            found[way] = {name: np.array([values[name] for values in pairs]) for name in pairs[0]}
            found[way]["double_edges"] = double_edges(np.stack(self._small[way]), starts, ends)
        return SharpView(
            side=view.side,
            textured=view.textured,
            ways={way: {name: bootstrap.mean(one) for name, one in values.items()} for way, values in found.items()},
            margins={
                way: {name: bootstrap.mean(found[CARRY][name] - one) for name, one in values.items()}
                for way, values in found.items()
                if way != CARRY
            },
        )


def _reduced(picture: np.ndarray) -> np.ndarray:
    """At the 128 pixels that `double_edges` is measured at elsewhere: finer, hardly any contours of two people meet."""
    return cv2.resize(picture, (128, 128), interpolation=cv2.INTER_AREA)
