"""A mixed face goes back: into its photograph, into the same with all but the head blurred, or onto one colour.

What is put in is a difference, that between the mixed face and the photograph's own cut, both in the aligned crop. So
the photograph keeps what a crop cannot hold, its finest grain, and its own cut put back leaves it as it was. Before,
the mixed face is given the light and the grain of the skin along the mask's rim, and the sharpness of the face there.
"""

from __future__ import annotations

import math
import re
import zlib
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np

from facemix.faces.align import TEMPLATE, Alignment, apply
from facemix.imaging.smooth import rise

# The mask: an egg about (across, down) with these half axes, in crop fractions, from brow to chin. It ends within the
# jaw, whose outline stays the photograph's, and before the crop does.
_ACROSS, _DOWN = float(TEMPLATE[:, 0].mean()), 0.455
_WIDE, _UP, _LOW = 0.435, 0.425, 0.485
_SQUARE, _ROUND = 2.7, 2.0  # exponents of the upper half, which has brows to cover, and of the lower
# Radii between which the mask falls from 1 to 0, the egg's edge being at 1: light changes hands over a wide rim and
# detail within a narrow one, or two cheeks lie over each other there.
_LIGHT, _DETAIL = (0.62, 1.0), (0.75, 0.97)
_RIM = (0.55, 0.95)  # between which light and grain are compared
_SPLIT = 0.025  # standard deviation of the blur that tells light from detail, crop fractions
_SPLIT_PIXELS = 3.2  # of that blur, at most

_FINE = 64  # side of the grid on which light is compared
_LIGHTS_REACH, _COLOURS_REACH = 0.13, 0.3  # standard deviations of what of the rim a place takes them from, crop sides
_DOUBT = 0.004  # weight of the rim's median against what is near
_OUTLIER = 0.4  # difference of log odds from which the rim is taken for hair against skin, not for light
_ROUNDS = 4
_ENDS = 60.0  # grey levels that are added at either end, where odds are endless

_BANDS = (1.0, 2.2)  # standard deviations of the blurs that part detail into bands, pixels of the finer of both
_ALIKE = (0.75, 1.33)  # ratios of sharpness that are left alone
_MOST_CHANGED = (0.5, 1.7)
_QUIET = 25  # percentile of loudness along the rim that is skin and not hair
_LEAST_GRAIN = 0.35  # grey levels; less cannot be seen
_MOST_GRAIN = 6.0
_GRAINY = (48, 128)  # sides between which what varies from pixel to pixel becomes grain; below it is the face itself
_LOUD = 1.3  # times the skin's texture; what is louder is a contour of the old face
_SAME = 2.5  # grey levels between old and new below which even its contours stay

# The head, in crop fractions: centre, half axes to the side, upwards and downwards, and the radii of its falling off.
_HEAD = (0.30, 0.74, 0.78, 0.84)
_HEAD_EDGE = (0.86, 1.30)
_BLUR = 0.065  # standard deviation of what is around it, crop sides
_BLUR_PIXELS = 3.0  # of a picture reduced until the blur is so many pixels
_PLAIN = (0.47, 0.465, 0.46, 0.52)  # centre and half axes of what is left on a plain ground
_PLAIN_EDGE = (0.76, 1.0)

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\Z")


def onto_photo(whole: np.ndarray, alignment: Alignment, face: np.ndarray) -> np.ndarray:
    """The photograph with the face in it.

    Args:
        whole: (H, W, 3) uint8 RGB, the upright photograph.
        alignment: from its pixels to the crop; its `size` need not be the face's side.
        face: (S, S, 3) uint8 RGB, aligned as the crop.

    Returns:
        (H, W, 3) uint8; outside of `mask_in` it is `whole`, bit for bit. The same arguments give the same pixels.

    Raises:
        ValueError: pictures of another shape or type, or an alignment whose crop lies outside of the photograph.
    """
    _check(face, whole)
    made = whole.copy()
    _paste(made, alignment, face)
    return made


def onto_blurred(whole: np.ndarray, alignment: Alignment, face: np.ndarray) -> np.ndarray:
    """`onto_photo`, with all but the head blurred; a head is what an oval about face and hair holds.

    What is blurred is mixed of pixels around the head alone, so that no shine of it lies about it. Arguments, result
    and errors as of `onto_photo`, but nothing is promised of the pixels around.
    """
    made = onto_photo(whole, alignment, face)
    height, width = made.shape[:2]
    side = alignment.size / alignment.scale
    factor = max(1.0, _BLUR * side / _BLUR_PIXELS)
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    # What is reduced first is without the head's pixels, or a reduced pixel at its edge would have some of them.
    around = 1 - _head(alignment, (width, height), small)
    weights = around**2 + 1e-4
    reduced = cv2.resize(made, small, interpolation=cv2.INTER_AREA).astype(np.float32)
    sigma = _BLUR * side / factor
    blurred = cv2.GaussianBlur(reduced * weights[..., None], (0, 0), sigma)
    blurred /= cv2.GaussianBlur(weights, (0, 0), sigma)[..., None]
    ground = cv2.resize(_bytes(blurred), (width, height), interpolation=cv2.INTER_CUBIC)
    head = cv2.resize(1 - around, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.blendLinear(made, ground, head, 1 - head)


def onto_plain(face: np.ndarray, colour: str) -> np.ndarray:
    """The face alone, an oval that fades into one colour.

    Args:
        face: (S, S, 3) uint8 RGB, aligned as the crop.
        colour: sRGB, as in ``#e8e4da``.

    Returns:
        (S, S, 3) uint8; its edge is of that colour.

    Raises:
        ValueError: a picture of another shape or type, or no colour.
    """
    _check(face)
    if not _COLOUR.match(colour):
        raise ValueError(f"a colour is written as in #e8e4da, not {colour!r}")
    ground = np.array(list(bytes.fromhex(colour[1:])), np.float32)
    shown = _plain(len(face))[..., None]
    return _bytes(ground + shown * (face - ground))


def mask_in(shape: tuple[int, ...], alignment: Alignment) -> np.ndarray:
    """How much of each pixel of a photograph `onto_photo` takes from the face: (H, W) float32 in [0, 1].

    Args:
        shape: of the photograph, (H, W) or (H, W, 3).
        alignment: from its pixels to the crop.
    """
    return _fall(_radius(alignment, (0, 0, shape[1], shape[0])), *_LIGHT)


def _paste(whole: np.ndarray, alignment: Alignment, face: np.ndarray) -> None:
    """Puts the face into the photograph, in place, and looks at no more of it than is needed."""
    alignment = alignment.resized(len(face))
    seed, window = zlib.crc32(np.ascontiguousarray(face)), _window(whole.shape, alignment)
    left, top, right, bottom = window
    own = alignment.crop(whole)
    if alignment.scale > 1:  # the face has more pixels than its place has
        side = max(8, round(len(face) / alignment.scale))
        own, face = (cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) for one in (own, face))
        alignment = alignment.resized(side)
    place, radius = whole[top:bottom, left:right], _radius(alignment, window)
    delta = _into_window(_change(face.astype(np.float32), own.astype(np.float32), seed), alignment, window)
    # What the crop cannot hold of the photograph: its skin's texture stays, the old face's contours go.
    rest = cv2.subtract(place, _into_window(own, alignment, window), dtype=cv2.CV_32F)
    goes = _fall(radius, *_DETAIL) * (1 - _texture(_grey(rest), _grey(delta), radius))
    delta -= rest * goes[..., None]
    delta[radius >= 1] = 0
    place[:] = _bytes(place + delta)


def _change(face: np.ndarray, own: np.ndarray, seed: int) -> np.ndarray:
    """What is added to the old face, both (T, T, 3) float32: the new one's light, sharpness and grain made to fit, its
    light joined under the wide mask and its detail under the narrow one."""
    side, face = len(own), _relit(face, own)
    old, new = _bands(_grey(own)), _bands(_grey(face))
    more = _sharper(new, old)
    more.append(_grain([band + one for band, one in zip(new, more, strict=True)], old, seed))
    delta = face - own + sum(more[1:], more[0])[..., None]
    # The blur is done on a reduced picture, as one so wide takes long.
    small = max(8, round(_SPLIT_PIXELS / _SPLIT)) if side * _SPLIT > _SPLIT_PIXELS else side
    light = cv2.resize(delta, (small, small), interpolation=cv2.INTER_AREA)
    light = cv2.GaussianBlur(light, (0, 0), max(0.5, _SPLIT * small))
    light = cv2.resize(light, (side, side), interpolation=cv2.INTER_CUBIC)
    wide, narrow = (_mask(side, *edge)[..., None] for edge in (_LIGHT, _DETAIL))
    return narrow * delta + (wide - narrow) * light


def _relit(face: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The face in the light of the photograph, (T, T, 3) float32 both.

    Their difference along the rim is spread over the face, brightness more closely than colour. What differs there from
    all around it is hair against skin, and no matter of light.
    """
    there, here = (_odds(cv2.resize(one, (_FINE, _FINE), interpolation=cv2.INTER_AREA)) for one in (own, face))
    wanted, rim = np.log(there / here), _rim(_FINE)
    middle = np.median(wanted[rim > 0.5], axis=0)
    spread = np.broadcast_to(middle, wanted.shape)
    for _ in range(_ROUNDS):
        off = np.sqrt(np.square(wanted - spread).mean(-1))
        weights = rim / np.square(1 + np.square(off / _OUTLIER))
        colour = _spread(wanted, weights, _COLOURS_REACH, middle)
        bright = (wanted - colour).mean(-1, keepdims=True)
        spread = colour + _spread(bright, weights, _LIGHTS_REACH, np.zeros(1, np.float32))
    odds = _odds(face) * cv2.resize(np.exp(spread), face.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return (255 + 2 * _ENDS) * odds / (1 + odds) - _ENDS


def _odds(picture: np.ndarray) -> np.ndarray:
    """Grey levels as odds of white against black. To multiply them brightens or darkens and clips at neither end."""
    return (picture + _ENDS) / (255 + _ENDS - picture)


def _spread(values: np.ndarray, weights: np.ndarray, reach: float, middle: np.ndarray) -> np.ndarray:
    """The weighted mean of the values within reach of each place, which is `middle` where hardly any have weight."""
    sigma = reach * len(values)
    near = cv2.GaussianBlur(weights, (0, 0), sigma)[..., None]
    sums = cv2.GaussianBlur((values - middle) * weights[..., None], (0, 0), sigma).reshape(values.shape)
    return middle + sums / (near + _DOUBT)


def _sharper(new: list[np.ndarray], old: list[np.ndarray]) -> list[np.ndarray]:
    """What to add to every band, (T, T), for it to be about as strong as the old face's, where they differ by much."""
    inside, found = _mask(len(old[0]), *_DETAIL), []
    for after, before in zip(new, old, strict=True):
        strength = [math.sqrt(np.average(np.square(band), weights=inside)) for band in (before, after)]
        ratio = strength[0] / max(strength[1], 1e-3)
        gain = np.clip(ratio / np.clip(ratio, *_ALIKE), *_MOST_CHANGED)
        found.append(float(gain - 1) * after)
    return found


def _grain(new: list[np.ndarray], old: list[np.ndarray], seed: int) -> np.ndarray:
    """The grain that the photograph's skin has along the rim and the face has not: (T, T) float32."""
    side, lacking = len(old[0]), []
    rim, fits = _rim(side) > 0.5, float(np.interp(side, _GRAINY, (0, 1)))
    for after, before in zip(new, old, strict=True):
        # The quieter part of it is skin, whatever hair there is.
        has, wants = (float(np.percentile(_loudness(band)[rim], _QUIET)) for band in (after, before))
        lacking.append(fits * min(_MOST_GRAIN, math.sqrt(max(0.0, wants**2 - has**2))))
    if max(lacking) < _LEAST_GRAIN:
        return np.zeros_like(old[0])
    chance = np.random.default_rng(seed)
    noise = _bands(chance.standard_normal(rim.shape, np.float32))
    grain = [level / float(band.std()) * band for level, band in zip(lacking, noise, strict=True)]
    return sum(grain[1:], grain[0])


def _texture(rest: np.ndarray, delta: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """How much stays, (h, w) from 0 to 1, of what the crop could not hold, where the face changes by `delta`."""
    loud = _loudness(rest)
    rim = loud[(radius > _RIM[0]) & (radius < _RIM[1])]
    level = _LOUD * float(np.percentile(rim[::7], 2 * _QUIET)) if rim.size else 0.0
    changed = cv2.blur(np.abs(delta), (7, 7)) / _SAME
    return np.maximum(np.minimum(1, level / np.maximum(loud, 1e-3)), np.exp(-np.square(changed)))


def _loudness(band: np.ndarray) -> np.ndarray:
    """The root mean square around every pixel."""
    return np.sqrt(np.maximum(cv2.blur(np.square(band), (7, 7)), 0))


def _bands(grey: np.ndarray) -> list[np.ndarray]:
    """The finest bands of a picture, finest first."""
    blurs = [grey, *(cv2.GaussianBlur(grey, (0, 0), sigma) for sigma in _BANDS)]
    return [finer - coarser for finer, coarser in pairwise(blurs)]


def _grey(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def _window(shape: tuple[int, ...], alignment: Alignment) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the part of a photograph that the mask reaches."""
    side = alignment.size
    edges = np.array([_ACROSS - _WIDE, _DOWN - _UP, _ACROSS + _WIDE, _DOWN + _LOW]) * side
    corners = apply(alignment.inverse, np.array([[x, y] for x in edges[::2] for y in edges[1::2]]))
    left, top = np.maximum(np.floor(corners.min(0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(corners.max(0)), [shape[1], shape[0]]).astype(int)
    if left >= right or top >= bottom:
        raise ValueError(f"the face lies outside of the photograph, which is {shape[1]} x {shape[0]} pixels")
    return int(left), int(top), int(right), int(bottom)


def _into_window(crop: np.ndarray, alignment: Alignment, window: tuple[int, int, int, int]) -> np.ndarray:
    """(T, T, 3) of the crop to where its pixels lie in the window: (h, w, 3) of the same type."""
    left, top, right, bottom = window
    matrix = alignment.inverse
    # OpenCV counts the centres of pixels at whole numbers.
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5 - [left, top]
    size = (right - left, bottom - top)
    return cv2.warpAffine(crop, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _radius(alignment: Alignment, window: tuple[int, int, int, int]) -> np.ndarray:
    """The egg's radius at every pixel of a window of the photograph: (h, w) float32."""
    return _egg(*_fractions(alignment, window), _DOWN, _WIDE, _UP, _LOW)


def _fractions(
    alignment: Alignment, window: tuple[float, float, float, float], step: tuple[float, float] = (1.0, 1.0)
) -> tuple[np.ndarray, np.ndarray]:
    """Where the pixels of a window lie in the crop, as fractions of its side: x and y, (h, w) float32 each."""
    left, top, right, bottom = window
    across = (np.arange(left, right, step[0], dtype=np.float32) + np.float32(step[0] / 2))[None]
    down = (np.arange(top, bottom, step[1], dtype=np.float32) + np.float32(step[1] / 2))[:, None]
    (a, b, c), (d, e, f) = (alignment.matrix / alignment.size).astype(np.float32)
    return a * across + b * down + c, d * across + e * down + f


@lru_cache(maxsize=4)
def _mask(side: int, inner: float, outer: float) -> np.ndarray:
    """The mask in the crop, (side, side) float32. Read-only, as it is shared."""
    return _shared(_fall(_crop_radius(side), inner, outer))


@lru_cache(maxsize=4)
def _rim(side: int) -> np.ndarray:
    """Where face and photograph are compared, (side, side) float32 in [0, 1]. Read-only, as it is shared."""
    radius, (inner, outer) = _crop_radius(side), _RIM
    middle, half = (inner + outer) / 2, (outer - inner) / 2
    return _shared(np.clip(1 - np.square((radius - middle) / half), 0, 1))


@lru_cache(maxsize=2)
def _plain(side: int) -> np.ndarray:
    """What is left of a face on a plain ground, (side, side) float32. Read-only, as it is shared."""
    x, y = _grid(side)
    down, wide, up, low = _PLAIN
    return _shared(_fall(_egg(x, y, down, wide, up, low), *_PLAIN_EDGE))


def _head(alignment: Alignment, size: tuple[int, int], small: tuple[int, int]) -> np.ndarray:
    """How much each pixel of a reduced photograph is of the head: (h, w) float32 in [0, 1]."""
    step = (size[0] / small[0], size[1] / small[1])
    x, y = _fractions(alignment, (0, 0, size[0] - step[0] / 2, size[1] - step[1] / 2), step)
    return _fall(_egg(x, y, *_HEAD), *_HEAD_EDGE)


def _crop_radius(side: int) -> np.ndarray:
    return _egg(*_grid(side), _DOWN, _WIDE, _UP, _LOW)


def _grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    at = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / np.float32(side)
    return at[None], at[:, None]


def _egg(x: np.ndarray, y: np.ndarray, down: float, wide: float, up: float, low: float) -> np.ndarray:
    """The radius of every place in units of an egg's half axes: squarer above its middle, round below."""
    across, high = np.abs(x - _ACROSS) / wide, (y - down) / np.where(y < down, up, low)
    above = (across**_SQUARE + np.abs(high) ** _SQUARE) ** (1 / _SQUARE)
    below = (across**_ROUND + np.abs(high) ** _ROUND) ** (1 / _ROUND)
    return np.where(y < down, above, below).astype(np.float32)


def _fall(value: np.ndarray, inner: float, outer: float) -> np.ndarray:
    """From 1 at `inner` smoothly to 0 at `outer`."""
    return rise(value, outer, inner).astype(np.float32)


def _bytes(picture: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _shared(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _check(face: np.ndarray, whole: np.ndarray | None = None) -> None:
    for name, one in (("face", face), ("photograph", face if whole is None else whole)):
        if one.ndim != 3 or one.shape[2] != 3 or one.dtype != np.uint8 or 0 in one.shape:
            raise ValueError(f"the {name} must be (H, W, 3) uint8, not {one.shape} {one.dtype}")
    if face.shape[0] != face.shape[1]:
        raise ValueError(f"the face must be square, not {face.shape[1]} x {face.shape[0]}")
