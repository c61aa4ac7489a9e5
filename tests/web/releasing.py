"""An application that guards, holds and marks what it gives out, over a fake mixer whose results can be marked."""

import base64
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO

import cv2
import numpy as np
from fake_mixer import FakeMixer
from marked_faces import faces
from PIL import Image
from web_client import running

from facemix.imaging.encode import encode_image
from facemix.mixing.recipe import Recipe
from facemix.safety import label
from facemix.safety.detection import find_mark
from facemix.safety.watermark import chance
from facemix.settings import Settings
from facemix.storage.database import Database
from facemix.web.accounts import Accounts
from facemix.web.governed import Governed
from facemix.web.stores import Stores

SIDE = 128
PHOTOS = [encode_image(one, "image/png") for one in faces(2, 400)]
PARENTS = [{"image": base64.b64encode(photo).decode()} for photo in PHOTOS]
XMP = b'Iptc4xmpExt:DigitalSourceType="'


def large(images):
    """(..., s, s, 3) to (..., `SIDE`, `SIDE`, 3), smoothly."""
    flat = images.reshape(-1, *images.shape[-3:])
    grown = np.stack([cv2.resize(one, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for one in flat])
    return grown.reshape(*images.shape[:-3], SIDE, SIDE, 3)


class LargeMixer(FakeMixer):
    """The fake's small crops and latents, and large results."""

    async def mix(self, *given, **options):
        made = await super().mix(*given, **options)
        return replace(made, image=large(made.image))

    async def frames(self, *given, **options):
        made = await super().frames(*given, **options)
        return replace(made, frames=large(made.frames), margins=(1.0,) * len(made.frames))

    async def strip(self, *given, **options):
        made = await super().strip(*given, **options)
        return replace(made, frames=large(made.frames), margins=(1.0,) * len(made.frames))

    async def sample(self, *given, **options):
        made = await super().sample(*given, **options)
        return replace(made, image=large(made.image))


class OpenGuard:
    """Finds whom it is told to find."""

    found = None

    def match(self, frames, *, path=False):
        return self.found

    def matches(self, frames, *, path=False):
        found = self.match(frames, path=path)
        return () if found is None else (found,)


@dataclass
class Left:
    """A picture that left.

    Attributes:
        recipe_hash: of what it shows, as the answer says.
        squares: how many frames of `SIDE` pixels it is tiled with; 0 for something else.
    """

    data: bytes
    media_type: str
    recipe_hash: str
    squares: int = 1

    @property
    def pixels(self):
        with Image.open(BytesIO(self.data)) as opened:
            return np.asarray(opened.convert("RGB"))

    def frames(self):
        """(N, S, S, 3): the first `squares` of its tiles, row by row."""
        pixels = self.pixels
        tiles = pixels.reshape(pixels.shape[0] // SIDE, SIDE, pixels.shape[1] // SIDE, SIDE, 3).swapaxes(1, 2)
        return tiles.reshape(-1, SIDE, SIDE, 3)[: self.squares]


class Releasing:
    """One such application; `known` are the recipes of its ledger."""

    def __init__(self, client, governed, guard):
        self.client, self.governed, self.guard = client, governed, guard
        self.marker = governed.marker

    def signature(self, left):
        return self.marker.credentials.read(left.data, left.media_type)

    def mark(self, pixels, *known):
        return find_mark(self.marker.watermark, pixels, known)

    def is_marked(self, frame):
        """Whether a whole frame bears the mark; quicker than to look for it everywhere."""
        watermark = self.marker.watermark
        return chance(float(watermark.own_score(watermark.read(frame)))) < 1e-6

    def post(self, path, body=None, **options):
        body = {"parents": PARENTS} | (body or {})
        answer = self.client.post(path, json={name: value for name, value in body.items() if value}, **options)
        assert answer.status_code in (200, 201, 202), answer.text
        return answer

    def job(self, path, body=None, **options):
        """How a job has ended."""
        job = self.post(path, body, **options).json()["job"]
        deadline = time.monotonic() + 60
        while job["state"] in ("queued", "running"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
            job = self.client.get(f"/api/v1/jobs/{job['id']}").json()
        return job

    def result(self, job):
        assert job["state"] == "done", job
        return self.client.get(f"/api/v1/jobs/{job['id']}/result").content


def hash_of_recipe(recipe):
    return Recipe.from_json(json.dumps(recipe)).hash


def embedded(image, recipe_hash, squares=1):
    return Left(base64.b64decode(image["base64"]), image["media_type"], recipe_hash, squares)


def is_labelled(frame):
    """Whether the label stands in a frame: white letters on a dark plate."""
    stamp = label._stamp(min(frame.shape[:2]))
    height, width = stamp.keep.shape[:2]
    bottom, right = (side - stamp.margin for side in frame.shape[:2])
    place = frame[bottom - height : bottom, right - width : right]
    ink, plate = stamp.add[..., 0] > 190 << 8, (stamp.add[..., 0] < 20 << 8) & (stamp.keep[..., 0] < 110)
    return bool(place[ink].mean() > 190 and place[plate].mean() < 130)


@contextmanager
def releasing(folder, mixer=None, **settings):
    """Such an application in a folder."""
    settings["data_dir"] = folder
    made = Settings(**settings)
    database = Database.open(f"sqlite:///{folder / 'facemix.sqlite3'}")
    database.upgrade()
    governed, guard = Governed.open(made, database), OpenGuard()
    governed.guard = guard
    stores, accounts = Stores.open(made, database), Accounts(database)
    mixer = mixer or LargeMixer()
    with running(lambda: mixer, accounts=accounts, stores=stores, governed=governed, **settings) as client:
        yield Releasing(client, governed, guard)
