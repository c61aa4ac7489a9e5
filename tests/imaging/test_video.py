import base64
import gc
import os
import struct
import subprocess
import tempfile
from io import BytesIO

import numpy as np
import pytest
from films import difference, film
from PIL import Image

from benchmarks import bench_scrub
from facemix.errors import InstallationError
from facemix.imaging import video
from facemix.imaging.enlarge import enlarge
from facemix.imaging.video import encode_mp4, find_ffmpeg

FRAMES = film(5, 128)


@pytest.fixture
def processes(monkeypatch):
    """Those that were begun."""
    begun = []

    class Recorded(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            begun.append(self)

    monkeypatch.setattr(video.subprocess, "Popen", Recorded)
    return begun


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a shell script in the place of ffmpeg."""

    def put(script):
        path = tmp_path / "ffmpeg"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(path))
        find_ffmpeg.cache_clear()
        return path

    yield put
    find_ffmpeg.cache_clear()


def test_it_says_what_its_colours_are():
    """BT.709 primaries, sRGB's transfer, BT.709 matrix (1, 13, 1 in ISO/IEC 23091-2), and limited range."""
    data = encode_mp4(FRAMES, side=128, fps=20)
    at = data.index(b"colrnclx") + 8
    assert struct.unpack(">HHHB", data[at : at + 7]) == (1, 13, 1, 0)


def test_what_a_player_needs_first_stands_first():
    data = encode_mp4(FRAMES, side=128, fps=20)
    assert data[4:8] == b"ftyp"
    assert data.index(b"moov") < data.index(b"mdat")


def test_nothing_touches_a_disk(monkeypatch):
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", lambda: pytest.fail("a file was made"))
    assert encode_mp4(FRAMES, side=128, fps=20)


def test_a_system_without_files_in_memory_takes_one_that_goes_away(monkeypatch, tmp_path):
    expected = encode_mp4(FRAMES, side=128, fps=20)
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert encode_mp4(FRAMES, side=128, fps=20) == expected
    assert list(tmp_path.iterdir()) == []


def test_no_process_and_no_file_is_left(processes):
    gc.collect()
    before = set(os.listdir("/proc/self/fd"))

    def broken():
        yield FRAMES[0]
        raise KeyError("gone")

    encode_mp4(FRAMES, side=128, fps=20)
    with pytest.raises(KeyError):
        encode_mp4(broken(), side=128, fps=20)
    assert [process.returncode is not None for process in processes] == [True, True]
    assert set(os.listdir("/proc/self/fd")) <= before  # what other tests have left behind may be gone by now


def test_what_ffmpeg_says_when_it_fails_is_told(program):
    program('case "$*" in *-encoders*) echo " libx264 "; exit;; esac; echo "no room" >&2; exit 3')
    with pytest.raises(RuntimeError, match="status 3: no room"):
        encode_mp4(iter([FRAMES[0]] * 50), side=128, fps=20)


def test_an_encoder_that_does_not_end_is_ended(program, processes, monkeypatch):
    program('case "$*" in *-encoders*) echo " libx264 "; exit;; esac; exec sleep 600')
    monkeypatch.setattr(video, "_FLUSH_SECONDS", 0.2)
    with pytest.raises(RuntimeError, match="did not end"):
        encode_mp4(FRAMES[:1], side=128, fps=20)
    assert processes[-1].returncode == -9


def test_an_ffmpeg_without_the_encoder_is_refused(program):
    path = program("echo ' V....D libvpx-vp9 '")
    with pytest.raises(InstallationError, match=r"cannot write H\.264") as refused:
        find_ffmpeg()
    assert str(path) in refused.value.message
    assert "facemix[video]" in refused.value.hint


@pytest.mark.parametrize("script", ["exit 1", "kill -9 $$"])
def test_an_ffmpeg_that_does_not_run_is_refused(program, script):
    program(script)
    with pytest.raises(InstallationError, match="does not run"):
        find_ffmpeg()


@pytest.mark.slow
@pytest.mark.browser
def test_a_browser_plays_it():
    """From the first frame to the last, in the right colours."""
    executable = bench_scrub.browser_path()
    if executable is None:
        absent = f"none of {', '.join(bench_scrub.BROWSERS)} is installed"
        if os.environ.get("FACEMIX_TEST_BROWSER") == "required":
            pytest.fail(absent)
        pytest.skip(absent)
    from playwright.sync_api import sync_playwright

    frames = [enlarge(frame, 256) for frame in film(12)]
    data = base64.b64encode(encode_mp4(frames, side=256, fps=10)).decode()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(bench_scrub.QUIET))
        found = browser.new_page().evaluate(PLAY, [data, 10, [0, 5, 11]])
        browser.close()
    assert (found["width"], found["height"]) == (256, 256)
    assert found["duration"] == pytest.approx(1.2)
    assert found["ended"] == pytest.approx(1.2, abs=0.05)
    for at, shot in zip([0, 5, 11], found["shots"], strict=True):
        with Image.open(BytesIO(base64.b64decode(shot.partition(",")[2]))) as image:
            shown = np.asarray(image.convert("RGB"))
        differences = [difference(shown, frame) for frame in frames]
        assert np.argmin(differences) == at
        assert differences[at] < 4


PLAY = """async ([data, fps, wanted]) => {
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  const video = document.createElement("video");
  video.muted = true;
  video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
  document.body.append(video);
  await new Promise((done, failed) => {
    video.onloadeddata = done;
    video.onerror = () => failed(new Error(video.error.message));
  });
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const shots = [];
  for (const frame of wanted) {
    await new Promise((done) => { video.onseeked = done; video.currentTime = (frame + 0.5) / fps; });
    // Once it has sought, a busy browser may have no frame to draw for a while: nothing is drawn then.
    for (let tries = 0; tries < 500 && context.getImageData(0, 0, 1, 1).data[3] === 0; tries += 1) {
      await new Promise((done) => setTimeout(done, 20));
      context.drawImage(video, 0, 0);
    }
    shots.push(canvas.toDataURL("image/png"));
    context.clearRect(0, 0, canvas.width, canvas.height);
  }
  video.currentTime = 0;
  const end = new Promise((done) => { video.onended = () => done(video.currentTime); });
  await video.play();
  return { width: video.videoWidth, height: video.videoHeight, duration: video.duration, ended: await end, shots };
}"""
