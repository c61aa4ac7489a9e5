"""Every line that the page about the interface prints, run against the running server as it stands."""

import html
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from served import ROOT

pytestmark = pytest.mark.slow
BLOCK = re.compile(r'<pre class="run"[^>]*><code>(.*?)</code></pre>', re.DOTALL)
PYTHON = re.compile(r'<pre class="python"[^>]*><code>(.*?)</code></pre>', re.DOTALL)
# A refusal ends the script; curl says of what it got nothing but that it came.
STRICT = 'set -euo pipefail\ncurl() { command curl --fail-with-body --show-error "$@"; }\n'


@pytest.fixture(scope="module")
def key(server, server_folder):
    """An API key of the running server."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FACEMIX_")}
    done = subprocess.run(
        [sys.executable, "-m", "facemix", "keys", "add", "docs"],
        env={**environment, "FACEMIX_DATA_DIR": str(server_folder / "data")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return re.search(r"fmx_\S+", done.stdout + done.stderr)[0]


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_every_line_of_the_page_works_as_printed(server, client, crop_size, photos, key, tmp_path):
    lines = [html.unescape(found) for found in BLOCK.findall(client.get("/docs").text)]
    assert len(lines) > 10
    given = {"a.jpg", "b.jpg"}
    for name in given:
        shutil.copy(photos / name, tmp_path / name)
    done = subprocess.run(
        ["bash", "-c", STRICT + "\n".join(lines)],
        cwd=tmp_path,
        env={**os.environ, "KEY": key},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-2000:]
    written = {path.name for path in tmp_path.iterdir()} - given
    assert written == set(re.findall(r'(?:-o |open\("|> |zipfile -c )([\w.]+)', "\n".join(lines)))
    with zipfile.ZipFile(tmp_path / "mixes.zip") as archive:
        assert len(archive.namelist()) == 3  # a picture for each row, and the manifest
    drawn = {}
    for name in written:
        if name.endswith((".csv", ".zip")):
            continue
        if name.endswith(".json"):
            json.loads((tmp_path / name).read_text())
            continue
        with Image.open(tmp_path / name) as image:
            assert image.format == name.rpartition(".")[2].upper()
            assert getattr(image, "n_frames", 1) > 5 or name != "film.gif"
            drawn[name] = np.asarray(image.convert("RGB"))
        assert drawn[name].std() > 10, name
    for name in ("mix.png", "three.png", "again.png", "child.png", "sample.png"):
        assert drawn[name].shape == (crop_size, crop_size, 3)
    np.testing.assert_array_equal(drawn["saved.png"], drawn["replayed.png"])


def test_the_python_of_the_page_works_as_printed(server, client, photos, tmp_path):
    (printed,) = PYTHON.findall(client.get("/docs").text)
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(photos / name, tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", html.unescape(printed)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    *_, link = done.stdout.split()
    assert link.startswith(f"{server}/r/")
    assert client.get(link).status_code == 404  # deleted again
    mixed, again = (
        np.asarray(Image.open(BytesIO((tmp_path / name).read_bytes()))) for name in ("mix.png", "again.png")
    )
    np.testing.assert_array_equal(mixed, again)
    assert (tmp_path / "film.gif").stat().st_size > 1000
