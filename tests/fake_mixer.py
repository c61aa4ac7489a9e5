"""A mixer without a model: faces are coloured discs, mixing is a cross-fade. Deterministic and instant."""

from __future__ import annotations

import hashlib
from io import BytesIO

import numpy as np
from anyio import to_thread
from PIL import Image

from facemix.errors import FaceChoiceInvalid, FaceNotFound, FaceTooSmall, ImageEmpty, ImageUnsupported
from facemix.faces.types import Face, Quality
from facemix.mixing.recipe import ModelIdentity, PhotoParent, Recipe, SampleParent
from facemix.serving.types import (
    FoundFace,
    FoundPhoto,
    MixResult,
    ParentFace,
    PhotoInput,
    SampleInput,
    SampleResult,
    StripResult,
    Vitals,
)

CROP = 32


def vivid(pixels: np.ndarray, vividness: float) -> np.ndarray:
    """Contrast about the middle grey, rounded to levels."""
    return np.clip(np.round(pixels + vividness * (pixels - 128)), 0, 255).astype(np.uint8)


class Fake:
    """Behaviour by the photo's top left pixel: pure blue is a cat, pure green a crowd, pure red a defect."""

    def __init__(self, crop_size: int = CROP, hook=None) -> None:
        self.model = ModelIdentity(name="fake-32", weights="ab" * 32)
        self.card = {
            "licence": "non-commercial research",
            "limitations": ["Hats are <not> kept."],
            "metrics": {"lpips": 0.25, "nan": float("nan")},
            "data": {"name": "discs", "images": 1000},
            "config": {"latent": 256},
        }
        self.crop_size = crop_size
        self.hook = hook  # called at the start of every piece of work
        self.samples_drawn: list[tuple[int, int]] = []

    def find_faces(self, photo: PhotoInput) -> FoundPhoto:
        if self.hook is not None:
            self.hook()
        if not photo.data:
            raise ImageEmpty("the file is empty", hint="choose another photo", where=photo.where)
        try:
            with Image.open(BytesIO(photo.data)) as opened:
                pixels = np.asarray(opened.convert("RGB"))
        except Exception:
            raise ImageUnsupported("this is not a picture", hint="save it as JPEG", where=photo.where) from None
        height, width = pixels.shape[:2]
        corner = tuple(int(value) for value in pixels[0, 0])
        if corner == (0, 0, 255):
            raise FaceNotFound("no face was found", hint="use a photo of a person", where=photo.where)
        if corner == (255, 0, 0):
            raise ZeroDivisionError("secret inner workings")
        boxes = [(0.2, 0.2, 0.7, 0.8)]
        if corner == (0, 255, 0):
            boxes = [(0.35, 0.2, 0.65, 0.8), (0.05, 0.3, 0.25, 0.7), (0.8, 0.4, 0.9, 0.6)]
        faces = tuple(self._face(index, box, pixels) for index, box in enumerate(boxes))
        digest = hashlib.sha256(photo.data).hexdigest()
        return FoundPhoto(width=width, height=height, sha256=digest, notes=(), faces=faces)

    def _face(self, index: int, box, pixels: np.ndarray) -> FoundFace:
        height, width = pixels.shape[:2]
        x0, y0, x1, y1 = box[0] * width, box[1] * height, box[2] * width, box[3] * height
        xs = x0 + (x1 - x0) * np.array([0.3, 0.7, 0.5, 0.35, 0.65])
        ys = y0 + (y1 - y0) * np.array([0.4, 0.4, 0.6, 0.75, 0.75])
        landmarks = np.stack([xs, ys], axis=1).astype(np.float32)
        part = Image.fromarray(pixels).crop((int(x0), int(y0), max(int(x1), 1), max(int(y1), 1)))
        crop = np.asarray(part.resize((self.crop_size, self.crop_size)))
        warnings = (("face_dark", "The face is dark; more light keeps more likeness."),) if crop.mean() < 70 else ()
        quality = Quality(
            score=0.9,
            face_pixels=float(xs[1] - xs[0]),
            sharpness=0.5,
            yaw=0.1,
            roll=-2.0,
            brightness=float(crop.mean()) / 255,
            warnings=warnings,
        )
        refusal = None
        if index == 2:
            refusal = FaceTooSmall("the face is 5 pixels wide", hint="choose a larger face")
        return FoundFace(
            index=index,
            face=Face((x0, y0, x1, y1), landmarks, 0.9),
            quality=quality,
            crop=crop,
            refusal=refusal,
        )

    def _parent(self, given):
        if isinstance(given, SampleInput):
            recipe = SampleParent(number=given.number, weight=given.weight)
            return ParentFace(given.where, None, None), self.draw(given.number, 0), recipe
        photo = Fake.find_faces(self, given)
        index = given.face or 0
        if index >= len(photo.faces):
            raise FaceChoiceInvalid(
                f"face {index} was asked for, and there are {len(photo.faces)}",
                hint="count from 0",
                where=given.where,
            )
        chosen = photo.faces[index]
        if chosen.refusal is not None:
            raise chosen.refusal.at(given.where)
        recipe = PhotoParent(sha256=photo.sha256, face=index, weight=given.weight)
        return ParentFace(given.where, photo, chosen), chosen.crop, recipe

    def mix(self, parents, *, interpolation="lerp", vividness=0.0, seed=0) -> MixResult:
        found = [self._parent(parent) for parent in parents]
        image = sum(crop.astype(np.float64) * given.weight for (_, crop, _), given in zip(found, parents, strict=True))
        recipe = Recipe(
            model=self.model,
            parents=tuple(item[2] for item in found),
            interpolation=interpolation,
            vividness=vividness,
            seed=seed,
        )
        pixels = vivid(image, vividness)
        return MixResult(pixels, recipe, tuple(item[0] for item in found), {"detect": 1.25, "decode": 2.0})

    def strip(self, first, second, *, steps=33, interpolation="lerp", vividness=0.0, seed=0) -> StripResult:
        weights = tuple(index / (steps - 1) for index in range(steps))
        (face_a, crop_a, recipe_a), (face_b, crop_b, recipe_b) = self._parent(first), self._parent(second)
        a, b = crop_a.astype(np.float64), crop_b.astype(np.float64)
        frames = np.stack([vivid(a * (1 - w) + b * w, vividness) for w in weights])
        recipes = tuple(
            Recipe(
                model=self.model,
                parents=(
                    recipe_a.model_copy(update={"weight": 1 - w}),
                    recipe_b.model_copy(update={"weight": w}),
                ),
                interpolation=interpolation,
                vividness=vividness,
                seed=seed,
            )
            for w in weights
        )
        return StripResult(frames, weights, recipes, (face_a, face_b))

    def sample(self, number: int, *, seed: int = 0) -> np.ndarray:
        if self.hook is not None:
            self.hook()
        self.samples_drawn.append((number, seed))
        return self.draw(number, seed)

    def draw(self, number: int, seed: int) -> np.ndarray:
        """A face in three ellipses, its colours by number."""
        size = self.crop_size
        y, x = np.mgrid[0:size, 0:size] / size
        hue = np.random.default_rng([number, seed])
        background, skin, eyes = hue.integers(40, 220, (3, 3))
        image = np.broadcast_to(background, (size, size, 3)).copy()
        image[((x - 0.5) / 0.33) ** 2 + ((y - 0.52) / 0.42) ** 2 < 1] = skin
        for centre in (0.37, 0.63):
            image[((x - centre) / 0.06) ** 2 + ((y - 0.43) / 0.04) ** 2 < 1] = eyes
        image[((x - 0.5) / 0.14) ** 2 + ((y - 0.72) / 0.04) ** 2 < 1] = eyes
        return image.astype(np.uint8)


class FakeMixer(Fake):
    """The same as the application wants it: nothing of it holds up the event loop."""

    def __init__(self, *arguments, **changes) -> None:
        super().__init__(*arguments, **changes)
        self.illness: str | None = None
        self.closed = False
        self.given_up = 0  # pieces of work whose client left
        self.deadlines: list[float | None] = []

    async def _away(self, work, deadline):
        self.deadlines.append(deadline)
        try:
            return await to_thread.run_sync(work, abandon_on_cancel=True)
        except BaseException as error:
            self.given_up += not isinstance(error, Exception)
            raise

    async def find_faces(self, photo, *, deadline=None):
        return await self._away(lambda: Fake.find_faces(self, photo), deadline)

    async def mix(self, parents, *, deadline=None, **wanted):
        return await self._away(lambda: Fake.mix(self, parents, **wanted), deadline)

    async def strip(self, first, second, *, deadline=None, **wanted):
        return await self._away(lambda: Fake.strip(self, first, second, **wanted), deadline)

    async def sample(self, number, *, seed=0, deadline=None):
        return SampleResult(await self._away(lambda: Fake.sample(self, number, seed=seed), deadline))

    async def write(self, work, *args):
        return await to_thread.run_sync(lambda: work(*args))

    def ill(self):
        return self.illness

    def vitals(self):
        return Vitals("fake", "cpu", 0, 0.1, {"photos": 10, "latents": 5})

    def close(self):
        self.closed = True
