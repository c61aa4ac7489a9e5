"""Pictures that are no photograph of a face, made by code from photographs that are.

There is no freely usable collection of them at hand, so these stand for what people upload: they say how a gate does on
these kinds of change, and no more than hint at how it does on drawings by hand. Every kind takes an aligned crop,
(S, S, 3) uint8 RGB, and a generator of random numbers, and gives a crop of the same shape. A kind in `HELD_OUT` is
never fitted to.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

Kind = Callable[[np.ndarray, np.random.Generator], np.ndarray]

EYES = ((0.293, 0.306), (0.707, 0.306))  # of `facemix.faces.align.TEMPLATE`
_MOUTH = (0.5, 0.70)


# --- drawings ----------------------------------------------------------------------------------------------


def cartoon(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Few flat colours with black lines between."""
    flat = crop
    for _ in range(int(rng.integers(2, 5))):
        flat = cv2.bilateralFilter(flat, 7, 40, 5)
    flat = _few_levels(flat, int(rng.integers(4, 9)))
    grey = cv2.medianBlur(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), 5)
    lines = cv2.adaptiveThreshold(
        grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, int(rng.choice([7, 9, 11])), int(rng.integers(3, 7))
    )
    return cv2.bitwise_and(flat, flat, mask=lines)


def stylised(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What many programs call a cartoon filter: smooth areas, strengthened edges."""
    return cv2.stylization(crop, sigma_s=float(rng.uniform(20, 80)), sigma_r=float(rng.uniform(0.3, 0.6)))


def pencil(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A pencil drawing, grey or coloured."""
    grey, coloured = cv2.pencilSketch(
        crop, sigma_s=float(rng.uniform(10, 60)), sigma_r=float(rng.uniform(0.05, 0.15)), shade_factor=0.05
    )
    return coloured if rng.random() < 0.4 else cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)


def lines(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Dark lines on light paper, or chalk on a board."""
    grey = cv2.GaussianBlur(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (0, 0), float(rng.uniform(0.8, 1.6)))
    strength = cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    drawn = np.clip(strength / (np.percentile(strength, rng.uniform(90, 97)) + 1e-3), 0, 1)
    paper = 1 - drawn if rng.random() < 0.75 else drawn
    tint = rng.uniform(0.85, 1.0, 3)
    return _bytes(paper[..., None] * 255 * tint)


def flat_face(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A face of simple shapes, as in a comic; of the photograph nothing is left."""
    side = 4 * crop.shape[0]

    def colour() -> tuple[int, int, int]:
        return tuple(int(value) for value in rng.integers(20, 256, 3))  # type: ignore[return-value]

    skin = np.array([rng.integers(170, 256), rng.integers(120, 220), rng.integers(80, 190)])
    page = np.full((side, side, 3), colour(), np.uint8)
    middle = (side // 2, int(side * 0.52))
    hair, line = colour(), int(rng.integers(4, 14))
    cv2.ellipse(page, (side // 2, int(side * 0.35)), (int(side * 0.5), int(side * 0.48)), 0, 0, 360, hair, -1)
    axes = (int(side * rng.uniform(0.38, 0.48)), int(side * rng.uniform(0.44, 0.54)))
    cv2.ellipse(page, middle, axes, 0, 0, 360, skin.tolist(), -1)
    cv2.ellipse(page, middle, axes, 0, 0, 360, (10, 10, 10), line)
    for x, y in EYES:
        at, wide = (int(side * x), int(side * y)), int(side * rng.uniform(0.06, 0.12))
        cv2.ellipse(page, at, (wide, int(wide * rng.uniform(0.5, 1.2))), 0, 0, 360, (255, 255, 255), -1)
        cv2.ellipse(page, at, (wide, wide), 0, 180, 360, (10, 10, 10), line)
        cv2.circle(page, at, wide // 2, colour(), -1)
        cv2.circle(page, at, wide // 4, (5, 5, 5), -1)
        brow = (at[0], int(at[1] - 1.6 * wide))
        cv2.line(page, (brow[0] - wide, brow[1]), (brow[0] + wide, brow[1]), hair, 2 * line)
    nose = (side // 2, int(side * 0.5))
    cv2.line(page, nose, (nose[0] + int(side * 0.03), nose[1] + int(side * 0.06)), (60, 40, 30), line)
    mouth = (int(side * _MOUTH[0]), int(side * (_MOUTH[1] - 0.03)))
    if rng.random() < 0.5:
        cv2.ellipse(page, mouth, (int(side * 0.16), int(side * 0.07)), 0, 0, 180, (150, 20, 40), -1)
    cv2.ellipse(page, mouth, (int(side * 0.17), int(side * 0.08)), 0, 0, 180, (20, 10, 10), line)
    return cv2.resize(page, crop.shape[1::-1], interpolation=cv2.INTER_AREA)


def oil(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brush strokes: in every small neighbourhood the mean colour of its most frequent grey level."""
    levels, size = int(rng.integers(6, 12)), int(rng.choice([5, 7]))
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.int32) * levels // 256
    best = np.full(grey.shape, -1.0, np.float32)
    made = np.zeros(crop.shape, np.float32)
    for level in range(levels):
        member = (grey == level).astype(np.float32)
        count = cv2.blur(member, (size, size))
        colour = cv2.blur(crop.astype(np.float32) * member[..., None], (size, size)) / (count[..., None] + 1e-6)
        ahead = count > best
        best[ahead], made[ahead] = count[ahead], colour[ahead]
    return _bytes(made)


def watercolour(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Washed areas on white paper with grain."""
    smooth = cv2.edgePreservingFilter(crop, flags=1, sigma_s=float(rng.uniform(20, 60)), sigma_r=0.5)
    paper = cv2.GaussianBlur(rng.normal(0, 1, crop.shape[:2]).astype(np.float32), (0, 0), 1.0) * 14
    pale = 255 - (255 - smooth.astype(np.float32)) * rng.uniform(0.5, 0.8)
    return _bytes(pale + paper[..., None])


def engraving(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Parallel lines whose thickness gives the shade, as on a banknote."""
    side = crop.shape[0]
    grey = cv2.GaussianBlur(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (0, 0), 1.2).astype(np.float32) / 255
    y, x = np.mgrid[:side, :side].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), rng.uniform(3.0, 6.0)
    wave = 0.5 + 0.5 * np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
    ink = np.clip((grey - wave * 0.9) * 5 + 0.5, 0, 1)
    paper = np.array([rng.uniform(220, 255), rng.uniform(215, 250), rng.uniform(190, 245)])
    return _bytes(ink[..., None] * paper + (1 - ink[..., None]) * rng.uniform(0, 60, 3))


# --- sculpture ---------------------------------------------------------------------------------------------


def statue(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Marble: smooth, nearly grey, eyes without pupils."""
    return _sculpted(crop, rng, np.array([rng.uniform(0.93, 1.0), rng.uniform(0.92, 0.99), rng.uniform(0.85, 0.97)]))


def bronze(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Metal: dark, tinted, with hard highlights, eyes without pupils."""
    tint = np.array([rng.uniform(0.75, 0.95), rng.uniform(0.55, 0.75), rng.uniform(0.25, 0.5)])
    if rng.random() < 0.3:
        tint = tint[[1, 0, 2]]  # with verdigris
    shaped = _sculpted(crop, rng, tint).astype(np.float32) / 255
    return _bytes(np.clip(shaped**1.5 + np.clip(shaped - 0.6, 0, 1) ** 2 * 2, 0, 1) * 255)


def doll(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Skin like plastic: all texture gone, colours strong, edges kept."""
    smooth = crop
    for _ in range(3):
        smooth = cv2.edgePreservingFilter(smooth, flags=2, sigma_s=float(rng.uniform(20, 40)), sigma_r=0.35)
    hsv = cv2.cvtColor(smooth, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 1] *= rng.uniform(1.2, 1.8)
    hsv[..., 2] *= rng.uniform(1.0, 1.15)
    return cv2.cvtColor(np.clip(hsv, 0, [179, 255, 255]).astype(np.uint8), cv2.COLOR_HSV2RGB)


def _sculpted(crop: np.ndarray, rng: np.random.Generator, tint: np.ndarray) -> np.ndarray:
    side = crop.shape[0]
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    smooth = cv2.bilateralFilter(cv2.bilateralFilter(grey, 7, 22, 4), 7, 22, 4).astype(np.float32)
    smooth = cv2.createCLAHE(2.0, (4, 4)).apply(smooth.astype(np.uint8)).astype(np.float32)
    level = np.median(smooth)
    for x, y in EYES:  # stone has no iris
        blank = np.zeros((side, side), np.float32)
        axes = (int(side * 0.075), int(side * 0.04))
        cv2.ellipse(blank, (int(side * x), int(side * y)), axes, 0, 0, 360, 1.0, -1)
        blank = cv2.GaussianBlur(blank, (0, 0), side * 0.008)
        local = cv2.GaussianBlur(smooth, (0, 0), side * 0.04)
        smooth = smooth * (1 - blank) + (0.5 * local + 0.5 * level) * blank
    bright = rng.uniform(0.6, 1.0)
    grain = cv2.GaussianBlur(rng.normal(0, 1, (side, side)).astype(np.float32), (0, 0), rng.uniform(0.6, 6))
    smooth = np.clip(smooth * bright + 255 * (1 - bright), 0, 255) + grain / (grain.std() + 1e-6) * rng.uniform(0, 5)
    return _bytes(smooth[..., None] * tint)


# --- something before the face -----------------------------------------------------------------------------


def surgical_mask(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cloth from the bridge of the nose to below the chin."""
    side = crop.shape[0]
    top = rng.uniform(0.44, 0.52)
    points = np.array(
        [
            [0.12, top + 0.06],
            [0.35, top],
            [0.5, top - 0.04],
            [0.65, top],
            [0.88, top + 0.06],
            [0.82, 0.85],
            [0.5, 1.02],
            [0.18, 0.85],
        ]
    )
    points += rng.normal(0, 0.012, points.shape)
    cloth = [(150, 190, 215), (235, 238, 240), (25, 25, 28), (240, 200, 210), (60, 80, 120), (90, 140, 110)]
    colour = np.array(cloth[int(rng.integers(len(cloth)))]) + rng.normal(0, 12, 3)
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    folds = 8 * np.sin((y + 0.05 * np.cos(6 * x)) * rng.uniform(40, 80)) - 60 * (x - 0.5) ** 2 * rng.uniform(0.5, 2)
    fabric = colour + folds[..., None] + rng.normal(0, rng.uniform(1, 4), (side, side, 1))
    return _over(crop, points * side, fabric, soft=side * 0.005)


def box(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A rectangle of one colour, noise or stripes over a third to two thirds of the face."""
    side = crop.shape[0]
    wide, high = rng.uniform(0.55, 1.0), rng.uniform(0.4, 0.7)
    left, top = rng.uniform(0, 1 - wide), rng.uniform(0.1, max(0.11, 0.95 - high))
    if rng.random() < 0.4:  # a half of the face instead
        wide, high, top = rng.uniform(0.45, 0.6), rng.uniform(0.8, 1.0), 0.0
        left = 0.0 if rng.random() < 0.5 else 1 - wide
    corners = np.array([[left, top], [left + wide, top], [left + wide, top + high], [left, top + high]]) * side
    return _over(crop, corners, _texture(side, rng), soft=0.4)


def hand(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fingers and a palm of the face's own colour over its lower half or one side."""
    side = crop.shape[0]
    skin = np.median(crop[side // 3 : side // 2, side // 3 : 2 * side // 3].reshape(-1, 3), 0)
    shape = np.zeros((side, side), np.float32)
    base = np.array([rng.uniform(0.3, 0.7), 1.0])
    aim = np.array([rng.uniform(0.35, 0.65), 0.5])
    across = np.array([1.0, 0.1])
    cv2.ellipse(
        shape,
        tuple(int(v * side) for v in (base + aim) / 2 + [0, 0.08]),
        (int(side * 0.3), int(side * 0.22)),
        0,
        0,
        360,
        1.0,
        -1,
    )
    for finger in range(4):
        tip = aim + across * (finger - 1.5) * 0.14 + [0, rng.uniform(-0.12, 0.0)]
        start = (base + aim) / 2 + across * (finger - 1.5) * 0.11
        cv2.line(shape, tuple(int(v * side) for v in start), tuple(int(v * side) for v in tip), 1.0, int(side * 0.11))
    depth = cv2.GaussianBlur(shape, (0, 0), side * 0.04)
    skin = np.clip(skin * rng.uniform(0.8, 1.15), 0, 245)
    fabric = skin * (0.55 + 0.5 * depth[..., None]) + rng.normal(0, 2.5, (side, side, 1))
    share = cv2.GaussianBlur(shape, (0, 0), 0.6)[..., None]
    return _bytes(crop * (1 - share) + fabric * share)


def scribble(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Words or strokes across the face."""
    side, page = crop.shape[0], crop.copy()
    colour = tuple(int(value) for value in rng.integers(0, 256, 3))
    for row in range(int(rng.integers(4, 9))):
        if rng.random() < 0.5:
            text = "".join(rng.choice(list("ABCDEFGHKLMNPRSTUVXYZ "), 9))
            at = (int(rng.uniform(-8, 8)), int(side * (0.15 + 0.8 * rng.random())))
            cv2.putText(
                page, text, at, cv2.FONT_HERSHEY_SIMPLEX, side / 128 * rng.uniform(0.7, 1.2), colour, 3, cv2.LINE_AA
            )
        else:
            points = (rng.uniform(0, 1, (5, 2)) * side).astype(np.int32)
            cv2.polylines(page, [points], row % 2 == 0, colour, int(rng.integers(4, 9)), cv2.LINE_AA)
    return page


def scarf(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Checked cloth over mouth and chin, up to the nose."""
    side = crop.shape[0]
    top = rng.uniform(0.5, 0.58)
    corners = np.array([[-0.05, top - 0.08], [0.5, top], [1.05, top - 0.08], [1.05, 1.05], [-0.05, 1.05]])
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    lines, first, second = rng.uniform(25, 70), rng.uniform(0, 255, 3), rng.uniform(0, 255, 3)
    checks = 0.5 + 0.25 * (np.sign(np.sin(x * lines)) + np.sign(np.sin((y + 0.1 * x * x) * lines)))
    fabric = checks[..., None] * first + (1 - checks[..., None]) * second + rng.normal(0, 6, (side, side, 1))
    return _over(crop, (corners + rng.normal(0, 0.01, corners.shape)) * side, fabric, soft=side * 0.01)


# --- other media -------------------------------------------------------------------------------------------


def mosaic(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Large square pixels."""
    side = crop.shape[0]
    cells = int(rng.integers(9, 18))
    small = cv2.resize(crop, (cells, cells), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (side, side), interpolation=cv2.INTER_NEAREST)


def low_poly(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Triangles of one colour each."""
    side, page = crop.shape[0], crop.copy()
    plan = cv2.Subdiv2D((-1, -1, side + 2, side + 2))
    for point in rng.uniform(0, side - 1, (int(rng.integers(90, 260)), 2)):
        plan.insert((float(point[0]), float(point[1])))
    for corner in ((0, 0), (side - 1, 0), (0, side - 1), (side - 1, side - 1)):
        plan.insert((float(corner[0]), float(corner[1])))
    for triangle in plan.getTriangleList():
        points = triangle.reshape(3, 2)
        if ((points < -0.5) | (points > side + 0.5)).any():
            continue
        x, y = np.clip(points.mean(0), 0, side - 1).astype(int)
        cv2.fillConvexPoly(page, points.astype(np.int32), crop[y, x].tolist())
    return page


def moire(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A screen photographed: its rows beat with the sensor's, and its colours split."""
    side = crop.shape[0]
    y, x = np.mgrid[:side, :side].astype(np.float32)
    made = crop.astype(np.float32)
    for channel in range(3):
        angle, period = rng.uniform(0, np.pi), rng.uniform(2.2, 6)
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle) + 0.01 * x * y / 16) * 2 * np.pi / period)
        made[..., channel] *= 1 + rng.uniform(0.2, 0.4) * wave
    return _bytes(made)


def halftone(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Dots of a print under a glass."""
    side = crop.shape[0]
    y, x = np.mgrid[:side, :side].astype(np.float32)
    period = rng.uniform(3.5, 6)
    made = np.empty(crop.shape, np.float32)
    for channel, angle in enumerate((0.26, 1.31, 0.0)):
        u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        dots = 0.5 + 0.25 * (np.cos(u * 2 * np.pi / period) + np.cos(v * 2 * np.pi / period))
        made[..., channel] = np.clip((crop[..., channel] / 255 - dots) * 4 + 0.5, 0, 1) * 255
    return _bytes(made)


def texture(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """No face at all: noise in clouds, stripes, or one colour."""
    return _bytes(_texture(crop.shape[0], rng))


# --- parts -------------------------------------------------------------------------------------------------


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _few_levels(crop: np.ndarray, levels: int) -> np.ndarray:
    step = 256 / levels
    return _bytes((np.floor(crop / step) + 0.5) * step)


def _over(crop: np.ndarray, corners: np.ndarray, fabric: np.ndarray, soft: float) -> np.ndarray:
    share = np.zeros(crop.shape[:2], np.float32)
    cv2.fillPoly(share, [corners.astype(np.int32)], 1.0, cv2.LINE_AA)
    share = cv2.GaussianBlur(share, (0, 0), max(soft, 0.3))[..., None]
    return _bytes(crop * (1 - share) + fabric * share)


def _texture(side: int, rng: np.random.Generator) -> np.ndarray:
    base = np.broadcast_to(rng.uniform(0, 255, 3), (side, side, 3)).copy()
    kind = rng.integers(4)
    if kind == 1:
        noise = cv2.GaussianBlur(rng.normal(0, 1, (side, side, 3)).astype(np.float32), (0, 0), rng.uniform(0.5, 8))
        base += noise / (noise.std() + 1e-6) * rng.uniform(10, 60)
    elif kind == 2:
        y, x = np.mgrid[:side, :side]
        angle, period = rng.uniform(0, np.pi), rng.uniform(4, 30)
        base += (np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period) * rng.uniform(20, 90))[..., None]
    elif kind == 3:
        cells = int(rng.integers(3, 12))
        coarse = rng.uniform(0, 255, (cells, cells, 3)).astype(np.float32)
        base = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_NEAREST).astype(np.float64)
    return base


# Which class of `facemix.safety.photo_gate.CLASSES` the kinds are that are fitted to.
CLASS_OF = {
    "cartoon": "drawing",
    "cartoon filter": "drawing",
    "flat drawing": "drawing",
    "pencil drawing": "drawing",
    "line drawing": "drawing",
    "oil painting": "drawing",
    "marble statue": "sculpture",
    "doll": "sculpture",
    "surgical mask": "covered",
    "box over the face": "covered",
    "hand over the face": "covered",
    "mosaic": "medium",
    "screen": "medium",
    "texture": "medium",
}
FITTED: dict[str, Kind] = {
    "cartoon": cartoon,
    "cartoon filter": stylised,
    "flat drawing": flat_face,
    "pencil drawing": pencil,
    "line drawing": lines,
    "oil painting": oil,
    "marble statue": statue,
    "doll": doll,
    "surgical mask": surgical_mask,
    "box over the face": box,
    "hand over the face": hand,
    "mosaic": mosaic,
    "screen": moire,
    "texture": texture,
}
HELD_OUT: dict[str, Kind] = {
    "watercolour": watercolour,
    "engraving": engraving,
    "bronze statue": bronze,
    "scarf": scarf,
    "text and strokes": scribble,
    "low-poly": low_poly,
    "halftone print": halftone,
}


def made(kind: Kind, crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A crop of that kind, made at the crop's own size or at twice it, as a crop of a larger picture would be."""
    side = crop.shape[0]
    if rng.random() < 0.5:
        large = cv2.resize(crop, (2 * side, 2 * side), interpolation=cv2.INTER_CUBIC)
        return cv2.resize(kind(large, rng), (side, side), interpolation=cv2.INTER_AREA)
    return kind(crop, rng)
