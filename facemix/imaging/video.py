"""Frames become an MP4 that browsers play, by ffmpeg in a process of its own.

H.264 is the one codec that every browser and telephone plays. Its encoder, x264, has the GPL as its licence: it is run,
not linked, and installed by the extra ``facemix[video]`` (`docs/dependencies.md` has what else was tried).
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction
from functools import cache
from typing import IO

import numpy as np

from facemix.errors import InstallationError

_OTHERWISE = "ask for image/webp or image/gif; operators: pip install 'facemix[video]'"
_NICE = 10  # the server goes first
_FLUSH_SECONDS = 120  # what the encoder may take for the frames that it has read when the last one is in

# The frames are sRGB, and the file says what was done to them. Without tags a player guesses, and skin changes colour.
_COLOURS = (
    "scale=in_range=pc:out_range=tv:out_color_matrix=bt709:flags=bicubic+accurate_rnd+full_chroma_inp,"
    "format=yuv420p,setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=iec61966-2-1"
)
# Of the presets, veryfast gives most for its time on these soft frames: 46 dB at 512 pixels for 3 kB and 7 ms each.
# The number of threads is fixed because the bytes depend on it.
_ENCODER = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-profile:v", "high", "-threads", "2")
# Nothing but pixels goes in, and what a player needs first stands first.
_FILE = ("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-movflags", "+faststart", "-f", "mp4")


def encode_mp4(frames: Iterable[np.ndarray], *, side: int, fps: float) -> bytes:
    """H.264 (High, 4:2:0, 8 bits) in an MP4, without sound and metadata. One frame at a time is in memory here.

    Whatever `frames` raises ends the encoder and is raised again.

    Args:
        frames: (side, side, 3) uint8 RGB each; at least one.
        side: even.
        fps: frames per second.

    Raises:
        InstallationError: there is no ffmpeg that writes H.264.
        RuntimeError: ffmpeg failed; its own words are in it.
    """
    program = find_ffmpeg()
    rate = Fraction(fps).limit_denominator(1001)  # the denominator of broadcasting's 30000/1001
    source = ("-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", f"{side}x{side}", "-framerate", str(rate))
    with _scratch() as film, _scratch() as said:
        path = _path(film)
        command = [program, "-hide_banner", "-nostdin", "-loglevel", "error", *source, "-i", "pipe:0"]
        command += ["-vf", _COLOURS, *_ENCODER, *_FILE, "-y", path]
        encoder = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            pass_fds=(film.fileno(),),
            process_group=0,  # a terminal's Ctrl-C is for the server, which then ends what it has begun
        )
        try:
            _feed(encoder, frames)
            status = encoder.wait(_FLUSH_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"ffmpeg did not end within {_FLUSH_SECONDS} s of its last frame") from error
        finally:
            encoder.kill()  # does nothing to one that has ended
            encoder.wait()
            with suppress(OSError):
                encoder.stdin.close()
        film.seek(0)
        data = film.read()
        if status or not data:
            said.seek(0)
            raise RuntimeError(f"ffmpeg ended with status {status}: {said.read(2000).decode(errors='replace').strip()}")
        return data


def _feed(encoder: subprocess.Popen, frames: Iterable[np.ndarray]) -> None:
    with suppress(OSError):  # a priority is a courtesy
        os.setpriority(os.PRIO_PROCESS, encoder.pid, max(_NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    for frame in frames:
        try:
            encoder.stdin.write(frame.data)
        except BrokenPipeError:  # it has ended early, and its status says why
            return
    with suppress(BrokenPipeError):
        encoder.stdin.close()


@cache
def find_ffmpeg() -> str:
    """The path of an ffmpeg that writes H.264; looked for once.

    Raises:
        InstallationError: there is none.
    """
    try:
        from imageio_ffmpeg import get_ffmpeg_exe
    except ImportError as error:
        raise InstallationError("the encoder for MP4 is not installed", hint=_OTHERWISE) from error
    try:
        program = get_ffmpeg_exe()
        listed = subprocess.run([program, "-hide_banner", "-encoders"], capture_output=True, timeout=60, check=True)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        raise InstallationError(f"ffmpeg, the encoder for MP4, does not run: {error}", hint=_OTHERWISE) from error
    if b" libx264 " not in listed.stdout:
        raise InstallationError(f"{program} cannot write H.264", hint=_OTHERWISE)
    return program


def _scratch() -> IO[bytes]:
    """A file in memory where the system has such files, else a temporary one: an MP4's index is written last, and goes
    to its front. No photograph is ever in it, only the frames that were generated."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("facemix"), "w+b")
    return tempfile.NamedTemporaryFile()


def _path(file: IO[bytes]) -> str:
    """How a child that has inherited it opens it once more, by itself and with a position of its own."""
    return f"/proc/self/fd/{file.fileno()}" if isinstance(file.name, int) else file.name
