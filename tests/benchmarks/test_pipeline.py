import asyncio
from io import BytesIO

import httpx
import numpy as np
import pytest
from PIL import Image
from tiny import tiny_checkpoint

from benchmarks import photos
from benchmarks.pipeline import Pipeline, alone, limit
from benchmarks.rivals import threadpool
from facemix.serving.assembly import mixer_from_settings
from facemix.serving.blocking import BlockingMixer
from facemix.serving.types import PhotoInput
from facemix.settings import Settings

PAIR = (photos.portrait(300), photos.portrait(300, mirrored=True))


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tiny_checkpoint(tmp_path_factory.mktemp("tiny"))
    return Settings(checkpoint=folder, device="cpu", backend="torch", precision="fp32", max_batch=2, cache_bytes=0)


@pytest.fixture(scope="module")
def expected(settings):
    """What the mixer makes of the pair."""
    mixer = BlockingMixer(mixer_from_settings(settings))
    parents = [PhotoInput(photo, where) for photo, where in zip(PAIR, "ab", strict=True)]
    image = mixer.mix(parents).image
    mixer.close()
    return image.astype(int)


@pytest.fixture(scope="module")
def pipeline(settings):
    return Pipeline(settings)


def pixels(file: bytes) -> np.ndarray:
    with Image.open(BytesIO(file)) as image:
        assert image.format == "PNG"
        return np.asarray(image).astype(int)


def test_the_pipeline_makes_what_the_server_makes(pipeline, expected):
    files = pipeline.mixes([PAIR] * 3)
    assert len(files) == 3
    for file in files:
        assert abs(pixels(file) - expected).max() <= 1


def test_limit_and_lone_mixes_are_measured(pipeline):
    for overlapped in (False, True):
        assert limit(pipeline, PAIR, 0.0, overlapped=overlapped) > 0
    times = alone(pipeline, PAIR, 0.0)
    assert len(times) == 1
    assert times[0] > 0


def test_the_plain_endpoint_answers_the_same(settings, expected):
    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(threadpool.create_app(settings))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post("/api/v1/mix", files=dict(zip(("face_a", "face_b"), PAIR, strict=True)))

    answer = asyncio.run(post())
    assert answer.status_code == 200
    assert abs(pixels(answer.content) - expected).max() <= 1


def test_a_comment_makes_another_file_of_the_same_photograph():
    first, second = (photos.unique(PAIR[0], number) for number in (1, 2))
    assert first != second
    for made in (first, second):
        with Image.open(BytesIO(made)) as image, Image.open(BytesIO(PAIR[0])) as original:
            assert np.array_equal(np.asarray(image), np.asarray(original))
