"""Pictures of results at the photographs' own size, side by side; `benchmarks.sharp` says which there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.morph import Morph, landmarks
from facemix.evaluation.codecs import VAECodec
from facemix.evaluation.midpoints import draw_pairs
from facemix.evaluation.sharp import NO_GEOMETRY, Photographs
from facemix.evaluation.ways import faded
from facemix.faces.align import Alignment
from facemix.faces.centerface import CenterFace
from facemix.faces.finder import FaceFinder
from facemix.faces.glasses import glasses, wears_glasses
from facemix.imaging.encode import encode_image
from facemix.imaging.enlarge import enlarge, resized
from facemix.imaging.sheet import labelled_sheet
from facemix.mixing.carry import Carry
from facemix.mixing.interpolation import interpolate
from facemix.mixing.prior import sample_noise
from facemix.training.dataset import FaceSet, load_split
from facemix.training.measures import measure_pixels
from facemix.vae.checkpoint import Checkpoint, load_checkpoint
from facemix.vae.geometry import Geometry, load_geometry

SIDE = 256  # pixels of a face on a sheet of unseen people, whose photographs have some 200
PER_KIND = 2  # rows of each kind of failure
SAMPLES = (21, 9, 11)  # the sample faces that the portrait is mixed with
LENT = 0.2  # weight of the portrait in a face that the model draws, for skin that no VAE draws
WAYS = ("VAE alone", "cross-fade", "morph", "facemix")
MADE = ("VAE alone", "facemix")  # what of them the model draws; the rest is photographs


@dataclass(frozen=True)
class Person:
    """z: (Z,) latent; crop: what the model sees; cut: (S, S, 3) uint8 of the photograph, None where there is none."""

    z: torch.Tensor
    crop: np.ndarray
    cut: np.ndarray | None


@dataclass(frozen=True)
class Middle:
    """Two people and what lies between them, (S, S, 3) uint8 each.

    Attributes:
        ends: what is shown of each.
        reconstructions: what the model makes of each, enlarged.
        ways: by their names.
        confidence: (F, F) float32 in [0, 1]: how far the photographs are trusted.
    """

    ends: np.ndarray
    reconstructions: np.ndarray
    ways: dict[str, np.ndarray]
    confidence: np.ndarray


class Studio:
    """A checkpoint and its geometry."""

    def __init__(self, folder: Path) -> None:
        self.checkpoint: Checkpoint = load_checkpoint(folder)
        geometry = load_geometry(folder)
        if geometry is None:
            raise SystemExit(NO_GEOMETRY)
        self._geometry: Geometry = geometry
        self.codec = VAECodec(self.checkpoint.vae)
        self.crop_size = self.checkpoint.card.config.crop_size

    def person(self, crop: np.ndarray, cut: np.ndarray | None) -> Person:
        return Person(self.codec.encode(crop[None])[0], crop, cut)

    def sample(self, number: int) -> Person:
        """A face of nobody, as the model draws it."""
        noise = sample_noise(number, self.codec.latent_size, ordered=self.checkpoint.card.config.linear_side > 0)
        z = self.checkpoint.prior.latents(noise[None])
        return Person(z[0], self.codec.decode(z)[0], None)

    def drawn(self, number: int, lender: Person) -> Person:
        """A face of nobody with the skin of somebody: a mix with little weight of them, taken for a photograph."""
        assert lender.cut is not None
        cut = self.middle(lender, self.sample(number), len(lender.cut), share=1 - LENT).ways["facemix"]
        return self.person(resized(cut, self.crop_size), cut)

    def middle(self, first: Person, second: Person, side: int, share: float = 0.5) -> Middle:
        """`share`: of the second in what is called facemix."""
        both, weights = (first, second), (1 - share, share)
        z = torch.stack([one.z for one in both])
        reconstructions = self.codec.decode(z)
        mixed = self.codec.decode(interpolate(z, weights, coarse_size=self.codec.coarse_size)[None])[0]
        shapes = self._geometry.shapes(np.stack([one.crop for one in both]))
        worn = [wears_glasses(one.crop) for one in both]
        carry = Carry([one.cut for one in both], reconstructions, shapes, side=side, glasses=worn)
        ends = np.stack([enlarge(one.crop, side) if one.cut is None else one.cut for one in both])
        ways = {
            "VAE alone": enlarge(mixed, side),
            "cross-fade": faded(ends)(0.5),
            "morph": Morph(ends, landmarks(carry.fields((0.5, 0.5)))).frame(0.5),
            "facemix": carry.frame(mixed, weights),
        }
        shown = np.stack([enlarge(one, side) for one in reconstructions])
        return Middle(ends, shown, ways, carry.confidence(mixed, weights))


def draw(wanted: Mapping[str, Path], folder: Path, data: Path | None, photos: Path | None, *, rows: int, seed: int):
    """Writes the pictures, by their names in `benchmarks.sharp`."""
    studio = Studio(folder)
    if "portrait" in wanted:
        _save(wanted["portrait"], portrait(studio))
    if data is None or photos is None:
        return
    faces = load_split(data, "test")
    photographs = Photographs(photos, faces.rows)

    def middle(pair: Sequence[int]) -> Middle:
        return studio.middle(
            *(studio.person(photographs.cut(one, studio.crop_size), photographs.cut(one, SIDE)) for one in pair), SIDE
        )

    if "sheet" in wanted:
        _save(
            wanted["sheet"], with_parents([middle(pair) for pair in draw_pairs(len(faces), rows, seed=seed).tolist()])
        )
    if wanted.keys() & {"failures", "failures_sheet"}:
        named = [(name, middle(pair)) for name, pair in hard_pairs(faces)]
        for name in ("failures", "failures_sheet"):
            if name in wanted:
                _save(wanted[name], failures(named, photographed=name == "failures_sheet"))


def sitter(studio: Studio) -> Person:
    """scikit-image's portrait, which is in the public domain. The face in it has some 106 pixels, fewer than the
    model's crop: it shows what the VAE lost of it, not how sharp a result can be."""
    import skimage.data

    photograph = skimage.data.astronaut()
    face = FaceFinder(CenterFace()).find(photograph)[0]
    crop, cut = (Alignment.from_landmarks(face.landmarks, size).crop(photograph) for size in (studio.crop_size, SIDE))
    return studio.person(crop, cut)


def portrait(studio: Studio) -> np.ndarray:
    """Every way from the portrait to faces that the model draws."""
    person = sitter(studio)
    return with_parents([studio.middle(person, studio.drawn(number, person), SIDE) for number in SAMPLES])


def with_parents(middles: Sequence[Middle]) -> np.ndarray:
    cells = [[one.ends[0], *(one.ways[way] for way in WAYS), one.ends[1]] for one in middles]
    return labelled_sheet(cells, [""] * len(cells), ["A", *WAYS, "B"])


def failures(named: Sequence[tuple[str, Middle]], *, photographed: bool) -> np.ndarray:
    """Rows of pairs; between the ends what lies between them, and how far photographs are trusted there. Without
    photographs it shows what the model draws alone, since detail is theirs."""
    cells = []
    for _, one in named:
        ends = one.ends if photographed else one.reconstructions
        ways = [one.ways[way] for way in (MADE if photographed else MADE[:1])]
        cells.append([ends[0], *ways, heat(one.ways["VAE alone"], one.confidence), ends[1]])
    columns = (
        ["A", *MADE, "confidence", "B"] if photographed else ["A, by the VAE", MADE[0], "confidence", "B, by the VAE"]
    )
    caption = "Confidence: yellow, detail is taken from the photographs; dark blue, the VAE's picture stays."
    return labelled_sheet(cells, [name for name, _ in named], columns, caption=caption)


def heat(picture: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Confidence, (F, F) in [0, 1], in colours over a grey picture, (S, S, 3) uint8."""
    side = picture.shape[0]
    levels = cv2.resize(np.clip(confidence, 0, 1).astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    colours = cv2.applyColorMap(np.rint(255 * levels).astype(np.uint8), cv2.COLORMAP_VIRIDIS)[..., ::-1]
    grey = np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    return np.rint(0.65 * colours + 0.35 * grey).astype(np.uint8)


def hard_pairs(faces: FaceSet, per_kind: int = PER_KIND) -> list[tuple[str, tuple[int, int]]]:
    """Pairs of the split that are likely to go wrong, `per_kind` of each, chosen by rule: nobody twice, and the other
    one always the face with the least of it. How far a head is turned the manifest says, the rest is measured on the
    crops."""
    crops = faces.images.numpy()
    signs = {
        "profile and frontal": np.array([row["quality"]["yaw"] for row in faces.rows]),
        "open and closed mouth": measure_pixels(crops)["mouth_open"],
        "glasses in one": np.array([glasses(crop) for crop in crops]),
    }
    # Blurred photographs have little to go wrong with.
    sharpness = np.array([row["quality"]["sharpness"] for row in faces.rows])
    usable = sharpness > np.median(sharpness)
    taken: set[int] = set()
    found = []
    for name, values in signs.items():
        members = usable & np.isfinite(values)  # the mouth in a grey picture is not measured
        for _ in range(per_kind):
            pair = []
            for order in (np.argsort(-values, kind="stable"), np.argsort(values, kind="stable")):
                pair.append(next(index for index in order.tolist() if members[index] and index not in taken))
                taken.add(pair[-1])
            found.append((name, (pair[0], pair[1])))
    return found


def _save(file: Path, pixels: np.ndarray) -> None:
    file.write_bytes(encode_image(np.ascontiguousarray(pixels), "image/png"))
    print(f"{file}: {pixels.shape[1]} x {pixels.shape[0]} pixels")
