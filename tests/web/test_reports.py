import base64

import numpy as np
import pytest
from web_client import opened

from facemix.mixing.recipe import ModelIdentity
from facemix.serving.types import StripResult
from facemix.web.release import Release, sample_recipe
from facemix.web.reports import frame_sheet, server_timing


def strip(frames):
    recipe = sample_recipe(ModelIdentity(name="m", weights="ab" * 32), 1, 0)
    return StripResult(frames, (0.5,) * len(frames), (recipe,) * len(frames), ())


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9, 33, 257])
def test_frames_lie_row_by_row(count):
    frames = np.zeros((count, 4, 4, 3), np.uint8)
    frames[:] = (np.arange(count) % 251)[:, None, None, None]
    sheet = frame_sheet(Release(), strip(frames), "image/png")
    pixels = opened(base64.b64decode(sheet.base64))
    assert pixels.shape == (sheet.rows * 4, sheet.columns * 4, 3)
    assert sheet.columns * (sheet.rows - 1) < count <= sheet.columns * sheet.rows
    for index in range(count):
        row, column = divmod(index, sheet.columns)
        cell = pixels[row * 4 : row * 4 + 4, column * 4 : column * 4 + 4]
        assert np.array_equal(cell, frames[index])


def test_the_longest_strip_fits_a_webp():
    sheet = frame_sheet(Release(), strip(np.zeros((257, 128, 128, 3), np.uint8)))
    assert max(sheet.columns, sheet.rows) * 128 < 16383
    assert opened(base64.b64decode(sheet.base64)).shape[0] == sheet.rows * 128


def test_server_timing_holds_only_tokens():
    assert server_timing({"detect": 1.26, "de code": 2, "x\r\n": 1, "mix": 3}) == "detect;dur=1.3, mix;dur=3.0"
    assert server_timing({}) == ""
