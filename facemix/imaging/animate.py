"""Frames become a film: GIF, WebP or MP4. Frames are taken one at a time, and only what is written of them is kept."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from itertools import count as counted
from typing import Literal

import numpy as np
from PIL import GifImagePlugin, Image

from facemix.errors import RequestInvalid
from facemix.imaging.enlarge import check_side, check_square, enlarge
from facemix.imaging.video import encode_mp4

AnimationType = Literal["image/gif", "image/webp", "video/mp4"]

ANIMATION_TYPES: dict[AnimationType, str] = {"image/gif": ".gif", "image/webp": ".webp", "video/mp4": ".mp4"}
# Most frames per second. A GIF counts in hundredths, and browsers show a frame of one hundredth for ten.
FASTEST: dict[AnimationType, int] = {"image/gif": 50, "image/webp": 60, "video/mp4": 60}
LONGEST_SECONDS = 60
# All frames of a GIF together. A pixel takes about half a byte, so 70 MB; the other types need far less.
MOST_GIF_PIXELS = 2**27

_PALETTE_SIDE = 64  # so many rows and columns show as good a palette as all of them
_WEBP_METHOD = 2  # twice as fast as Pillow's usual 4, for 6 % more bytes


class Stopped(Exception):
    """Whoever asked for the animation does not want it any more."""


def encode_animation(
    frames: Iterable[np.ndarray],
    *,
    media_type: AnimationType,
    fps: float,
    loop: bool,
    side: int,
    count: int,
    on_progress: Callable[[int], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    quality: int = 85,
) -> bytes:
    """Encodes an animation, enlarged by `enlarge`, without metadata. Equal frames give equal bytes on one installation.

    GIF and WebP show equal frames that follow one another as one that stays longer.

    Args:
        frames: (S, S, 3) uint8 RGB each, all of one size; not to be changed once they are given.
        media_type: one of `ANIMATION_TYPES`.
        fps: frames per second, 1 to `FASTEST`. Where its frames are no whole number of the format's units (hundredths
            of a second, milliseconds), they differ by one such that the errors do not add up. A GIF is exact at 10,
            20, 25 and 50.
        loop: repeat for ever, or stop at the last frame. An MP4 cannot say; its player is told.
        side: of the result, in pixels (`SIDES`); even for an MP4.
        count: how many frames there are, for the checks made before the first; `LONGEST_SECONDS` at most.
        on_progress: called with the number of frames that are done, 1 to `count`.
        stop: asked before each frame is taken, and after the last.
        quality: 1 to 100, of a WebP; the others take no notice.

    Raises:
        RequestInvalid: an unknown type, or a number out of its range.
        InstallationError: MP4 without its encoder (`facemix.imaging.video`).
        Stopped: `stop` said so.
        ValueError: frames of another shape or type, or not `count` of them (a mistake of the program).
    """
    check_animation(media_type, fps=fps, side=side, count=count, quality=quality)
    taken = _taken(frames, count, on_progress, stop)
    if media_type == "image/gif":
        return _gif(taken, fps, loop, side)
    if media_type == "image/webp":
        return _webp(taken, fps, loop, side, quality)
    return encode_mp4((enlarge(frame, side) for frame in taken), side=side, fps=fps)


def check_animation(media_type: str, *, fps: float, side: int, count: int, quality: int = 85) -> None:
    """Refuses what `encode_animation` would refuse, before any frame was drawn. Raises `RequestInvalid`."""
    if media_type not in ANIMATION_TYPES:
        raise RequestInvalid(
            f"animations of the type {media_type!r} cannot be written",
            hint=f"ask for one of {', '.join(ANIMATION_TYPES)}",
        )
    check_side(side)
    fastest = FASTEST[media_type]
    if not 1 <= fps <= fastest:
        raise RequestInvalid(
            f"the animation has {fps:g} frames per second", hint=f"choose 1 to {fastest} for {media_type}", where="fps"
        )
    if not 1 <= count <= LONGEST_SECONDS * fps:
        raise RequestInvalid(
            f"the animation has {count} frames, {count / fps:.1f} s",
            hint=f"choose one of at most {LONGEST_SECONDS} s",
            where="seconds",
        )
    if not 1 <= quality <= 100:
        raise RequestInvalid(f"the quality is {quality}", hint="choose a quality from 1 to 100")
    if media_type == "video/mp4" and side % 2:
        raise RequestInvalid(
            f"the side is {side} pixels", hint="choose an even number: colour has half the resolution", where="size"
        )
    if media_type == "image/gif" and count * side * side > MOST_GIF_PIXELS:
        raise RequestInvalid(
            f"a GIF of {count} frames of {side} x {side} pixels would be too large a file",
            hint="ask for fewer or smaller frames, or for image/webp or video/mp4",
            where="size",
        )


def _taken(
    frames: Iterable[np.ndarray], count: int, on_progress: Callable[[int], None] | None, stop: Callable[[], bool]
) -> Iterator[np.ndarray]:
    """The frames, checked; each is reported when the next one is asked for."""
    rest = iter(frames)
    shape = None
    for done in counted():
        if done and on_progress is not None:
            on_progress(done)
        if stop():
            raise Stopped(f"after {done} of {count} frames")
        frame = next(rest, None)
        if frame is None or done == count:
            break
        check_square(frame)
        if frame.shape != (shape or frame.shape):
            raise ValueError(f"a frame is {frame.shape}, those before it {shape}")
        shape = frame.shape
        yield frame
    if frame is not None or done != count:
        raise ValueError(f"there are {'more' if frame is not None else done} frames, not {count}")


def _timed(frames: Iterable[np.ndarray], fps: float, units: int) -> Iterator[tuple[np.ndarray, int]]:
    """Each frame with how long it stays, in `units` per second. One that equals the frame before lengthens that one."""
    held, since = None, 0
    for number, frame in enumerate(frames):
        if held is not None and np.array_equal(held, frame):
            continue
        now = round(number * units / fps)
        if held is not None:
            yield held, now - since
        held, since = frame, now
    yield held, round((number + 1) * units / fps) - since


def _gif(frames: Iterable[np.ndarray], fps: float, loop: bool, side: int) -> bytes:
    """A palette for each frame, and Floyd and Steinberg's dithering.

    On films of drawn faces a palette for each frame halves the grain that one for the whole film leaves, for an
    eighth more bytes; neither flickers, since dithering keeps the colours of small neighbourhoods within half a level.
    Without dithering cheeks show bands, and ordered dithering (also Knoll's) is no smaller for the same error.
    """
    parts = [b"GIF89a", struct.pack("<HHBBB", side, side, 0x70, 0, 0)]
    if loop:
        parts.append(b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0")
    for frame, hundredths in _timed(frames, fps, 100):
        step = max(1, len(frame) // _PALETTE_SIDE)
        seen = Image.fromarray(np.ascontiguousarray(frame[::step, ::step]))
        palette = seen.quantize(256, method=Image.Quantize.MAXCOVERAGE)
        drawn = Image.fromarray(enlarge(frame, side)).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        parts += GifImagePlugin.getdata(drawn, duration=10 * hundredths, include_color_table=True)
    return b"".join([*parts, b";"])


def _webp(frames: Iterable[np.ndarray], fps: float, loop: bool, side: int, quality: int) -> bytes:
    """Whole frames in the container of https://developers.google.com/speed/webp/docs/riff_container.

    libwebp's own animations take over from the frame before whatever is nearly alike. In faces that change slowly
    everything is, and patches of old faces stay: 38 dB at Pillow's defaults, where whole frames have 44 for half as
    many bytes again.
    """
    canvas = (side - 1).to_bytes(3, "little") * 2
    animated = b"\x02\0\0\0"
    parts = [_chunk(b"VP8X", animated + canvas), _chunk(b"ANIM", bytes(4) + struct.pack("<H", 0 if loop else 1))]
    for frame, milliseconds in _timed(frames, fps, 1000):
        buffer = BytesIO()
        Image.fromarray(enlarge(frame, side)).save(buffer, "WEBP", quality=quality, method=_WEBP_METHOD)
        still = buffer.getvalue()[12:]  # after RIFF, its length, and WEBP
        place = bytes(6) + canvas
        opaque = b"\x02"
        parts.append(_chunk(b"ANMF", place + milliseconds.to_bytes(3, "little") + opaque + still))
    return _chunk(b"RIFF", b"WEBP" + b"".join(parts))


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
