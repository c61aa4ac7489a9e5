import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

README = Path(__file__).parents[2] / "README.md"
pytestmark = pytest.mark.slow


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_the_curl_line_works_as_printed(server, client, crop_size, photos, tmp_path):
    found = re.findall(r"<!-- test: curl -->\n```sh\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(found) == 1, "README.md marks its curl line with <!-- test: curl -->"
    assert found[0].count("http://127.0.0.1:8000") == 1
    printed = found[0].replace("http://127.0.0.1:8000", server)
    for name in ("a.jpg", "b.jpg"):
        assert f"@{name}" in printed
        shutil.copy(photos / name, tmp_path / name)
    done = subprocess.run(
        ["bash", "-euc", printed], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    (written,) = set(tmp_path.iterdir()) - {tmp_path / "a.jpg", tmp_path / "b.jpg"}
    with Image.open(written) as image:
        assert (image.format, image.size) == ("PNG", (crop_size, crop_size))
        assert np.asarray(image).std() > 10
