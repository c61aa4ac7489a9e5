"""A mixer without a model: faces are coloured discs, mixing is a cross-fade. Deterministic and instant. Detail is the
photographs' own faces, cross-faded at twice its side, and lies over the mix as opaque as was asked for."""

from __future__ import annotations

import hashlib
from io import BytesIO
from types import SimpleNamespace

import numpy as np
from anyio import to_thread
from made_directions import made_directions
from PIL import Image

from facemix.errors import (
    FaceChoiceInvalid,
    FaceNotFound,
    FaceTooSmall,
    ImageEmpty,
    ImageUnsupported,
    LatentRefused,
    PhotographMissing,
    RecipeInvalid,
)
from facemix.faces.types import Face, Quality
from facemix.mixing.attributes import check
from facemix.mixing.compose import compose
from facemix.mixing.notes import Note
from facemix.mixing.recipe import (
    Edits,
    LatentParent,
    ModelIdentity,
    OntoPlain,
    PhotoParent,
    Recipe,
    SampleParent,
    normalise_weights,
)
from facemix.safety.uploads import read_credentials
from facemix.serving.held_cuts import Cut
from facemix.serving.types import (
    Cost,
    FoundFace,
    FoundPhoto,
    FrameSpec,
    FramesResult,
    LatentInput,
    LatentResult,
    MixResult,
    ParentFace,
    PhotoInput,
    SampleInput,
    SampleResult,
    StripResult,
    Vitals,
)
from facemix.vae.directions import AttributeDirections

CROP = 32
SHARP = 2  # times the crop's side, where no size is asked for


def fake_directions(crop_size: int = CROP) -> AttributeDirections:
    """Made up for the fake's latents, which are its pictures."""
    latent_size = crop_size * crop_size * 3
    model = SimpleNamespace(
        name="fake-32", weights_sha256="ab" * 32, latent_schema=1, config=SimpleNamespace(latent_size=latent_size)
    )
    return made_directions(model)


def latent_of(crop: np.ndarray) -> np.ndarray:
    return crop.astype(np.float32).ravel()


def resized(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((width, height)))


def vivid(pixels: np.ndarray, vividness: float) -> np.ndarray:
    """Contrast about the middle grey, rounded to levels."""
    return np.clip(np.round(pixels + vividness * (pixels - 128)), 0, 255).astype(np.uint8)


class Fake:
    """Behaviour by the photo's top left pixel: pure blue is a cat, pure green a crowd, pure red a defect."""

    def __init__(self, crop_size: int = CROP, hook=None, attributes=None, neighbours=None) -> None:
        self.model = ModelIdentity(name="fake-32", weights="ab" * 32)
        self.card = {
            "licence": "non-commercial research",
            "limitations": ["Hats are <not> kept."],
            "metrics": {"lpips": 0.25, "nan": float("nan")},
            "data": {"name": "discs", "images": 1000},
            "config": {"latent": 256},
        }
        self.crop_size = crop_size
        self.latent_size = crop_size * crop_size * 3
        self.attributes = attributes
        self.neighbours = neighbours
        self.hook = hook  # called at the start of every piece of work
        self.samples_drawn: list[tuple[int, int]] = []
        self.cuts: dict[tuple, np.ndarray] = {}  # by photograph, hand-placed points and number of the face

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
        brought = read_credentials(photo.data)
        found = FoundPhoto(width=width, height=height, sha256=digest, notes=(), faces=faces, credentials=brought)
        if photo.watch is not None:
            photo.watch.arrived(digest)
            photo.watch.looked(found)
        return found

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

    def keep_cuts(self, photo: PhotoInput, found: FoundPhoto, indexes) -> None:
        for index in indexes:
            self.cuts[found.sha256, photo.placed, index] = self._cut(photo, found.faces[index].face.box)

    def hold_cuts(self, held, parents, faces, specs) -> None:
        if not any(spec.edits.detail for spec in specs):
            return
        for given, used in zip(parents, faces, strict=True):
            photo, named = isinstance(given, PhotoInput), getattr(given, "parent", None)
            if photo:
                named = PhotoParent(sha256=used.photo.sha256, face=used.chosen.index, placed=given.placed, weight=0)
            cut = self._detail(given, used, named)
            if cut is not None:
                held.add(Cut(cut, (named.sha256, named.placed, named.face, SHARP * self.crop_size)))

    def forget(self, sha256: str) -> None:
        self.cuts = {key: cut for key, cut in self.cuts.items() if key[0] != sha256}

    def _cut(self, photo: PhotoInput, box) -> np.ndarray:
        with Image.open(BytesIO(photo.data)) as opened:
            part = opened.convert("RGB").crop(tuple(int(side) for side in box))
        return np.asarray(part.resize((SHARP * self.crop_size,) * 2))

    def _detail(self, given, used: ParentFace, recipe) -> np.ndarray | None:
        """What detail takes of a parent; None of one that never was a photograph."""
        if isinstance(given, PhotoInput):
            return self._cut(given, used.chosen.face.box)
        if not isinstance(given, LatentInput) or not isinstance(recipe, PhotoParent):
            return None
        name = (recipe.sha256, recipe.placed, recipe.face)
        held = None if given.cuts is None else given.cuts.get((*name, SHARP * self.crop_size))
        cut = self.cuts.get(name) if held is None else held.pixels
        if cut is None:
            raise PhotographMissing("the photograph is not kept any more", hint="send it again", where=given.where)
        return cut

    def _sharp(self, frame: np.ndarray, cuts, weights, edits: Edits) -> np.ndarray:
        """A frame at the side that is asked for, with the photographs over it."""
        if not edits.enlarged:
            return frame
        side = edits.size or SHARP * self.crop_size
        enlarged = resized(frame, side, side).astype(np.float64)
        for cut, weight in zip(cuts, weights, strict=True):
            if cut is not None:
                enlarged += edits.detail * weight * (resized(cut, side, side) - enlarged)
        return np.round(enlarged).astype(np.uint8)

    def _placed(self, parents, made: FramesResult, edits: Edits) -> np.ndarray:
        """The face in its photograph's middle, or in the middle of a colour, each side half of the ground's."""
        face, onto = made.frames[0], edits.placement
        if onto is None:
            return face
        height, width = 2 * face.shape[0], 2 * face.shape[1]
        if isinstance(onto, OntoPlain):
            ground = np.empty((height, width, 3), np.uint8)
            ground[:] = tuple(bytes.fromhex(onto.colour[1:]))
        else:
            given = parents[onto.parent]
            if not isinstance(given, PhotoInput):
                if isinstance(given, LatentInput) and isinstance(given.parent, PhotoParent):
                    raise PhotographMissing("the photograph is not here", hint="send it again", where=given.where)
                raise RecipeInvalid("this parent has no photograph", hint="name another", where="placement.parent")
            with Image.open(BytesIO(given.data)) as opened:
                ground = np.array(opened.convert("RGB").resize((width, height)))
        ground[height // 4 : height // 4 + face.shape[0], width // 4 : width // 4 + face.shape[1]] = face
        return ground

    def _parent(self, given):
        """What was used of it, its latent (a crop as numbers) and its name in a recipe."""
        if isinstance(given, SampleInput):
            recipe = SampleParent(number=given.number, weight=0)
            return ParentFace(given.where, None, None), latent_of(self.draw(given.number, 0)), recipe
        if isinstance(given, LatentInput):
            used = ParentFace(given.where, None, None, given.credentials, given.quality)
            return used, given.z, given.parent or LatentParent.from_latent(given.z)
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
        recipe = PhotoParent(sha256=photo.sha256, face=index, placed=given.placed, weight=0)
        return ParentFace(given.where, photo, chosen, photo.credentials), latent_of(chosen.crop), recipe

    def frames(self, parents, specs) -> FramesResult:
        found = [self._parent(parent) for parent in parents]
        frames, recipes = [], []
        carried = any(spec.edits.detail for spec in specs)
        cuts = [
            self._detail(given, used, recipe) if carried else None
            for given, (used, _, recipe) in zip(parents, found, strict=True)
        ]
        for spec in specs:
            weights = normalise_weights(spec.weights)
            spec.edits.check_parents(len(parents))
            if spec.edits.attributes:
                check(spec.edits.attributes, self.attributes)
            shares = [weights, *spec.edits.regions.values(), *filter(None, [spec.edits.colour])]
            composed = compose(np.stack([self._picture(found, one, spec.edits) for one in shares]), spec.edits)
            frames.append(self._sharp(composed, cuts, weights, spec.edits))
            named = [
                parent.model_copy(update={"weight": weight})
                for (_, _, parent), weight in zip(found, weights, strict=True)
            ]
            recipes.append(Recipe(model=self.model, parents=named, **dict(spec.edits)))
        used, latents = tuple(item[0] for item in found), np.stack([item[1] for item in found])
        return FramesResult(np.stack(frames), tuple(recipes), used, latents, {"detect": 1.25, "decode": 2.0})

    def _picture(self, found, weights, edits) -> np.ndarray:
        mixed = sum(z.astype(np.float64) * weight for (_, z, _), weight in zip(found, weights, strict=True))
        if edits.variation is not None:
            draw = latent_of(self.draw(edits.variation.number, edits.seed))
            mixed = mixed + edits.variation.radius * (draw - mixed)
        mixed = mixed + 10 * sum(edits.attributes.values())
        return vivid(mixed.reshape(self.crop_size, self.crop_size, 3), edits.vividness)

    def mix(self, parents, edits=Edits()) -> MixResult:  # noqa: B008 (it is frozen)
        made = Fake.frames(self, parents, [FrameSpec(tuple(given.weight for given in parents), edits)])
        notes = tuple(Note(f"{name}_moved", f"The {name} was moved.") for name in edits.attributes)
        image = self._placed(parents, made, edits)
        face = None if edits.placement is None else made.frames[0]
        return MixResult(
            image, made.recipes[0], made.parents, made.latents, notes, made.stage_ms, margin=1.0, face=face
        )

    def strip(self, first, second, *, steps=33, edits=Edits()) -> StripResult:  # noqa: B008
        weights = tuple(index / (steps - 1) for index in range(steps))
        made = Fake.frames(self, (first, second), [FrameSpec((1 - w, w), edits) for w in weights])
        return StripResult(made.frames, weights, made.recipes, made.parents)

    def latent(self, parents, edits=Edits()) -> LatentResult:  # noqa: B008
        made = Fake.mix(self, parents, edits.as_decoded())
        return LatentResult(latent_of(made.image), made.recipe)

    def encode(self, crops):
        return np.stack([latent_of(crop) for crop in crops]), Cost(frames_encoded=len(crops))

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

    async def keep_cuts(self, photo, found, indexes, *, deadline=None):
        await self._away(lambda: Fake.keep_cuts(self, photo, found, indexes), deadline)

    async def hold_cuts(self, held, parents, faces, specs, *, deadline=None):
        Fake.hold_cuts(self, held, parents, faces, specs)

    async def mix(self, parents, edits=Edits(), *, deadline=None):  # noqa: B008
        return await self._away(lambda: Fake.mix(self, parents, edits), deadline)

    async def frames(self, parents, specs, *, deadline=None):
        return await self._away(lambda: Fake.frames(self, parents, specs), deadline)

    async def latent(self, parents, edits=Edits(), *, deadline=None):  # noqa: B008
        return await self._away(lambda: Fake.latent(self, parents, edits), deadline)

    async def encode(self, crops, *, deadline=None):
        return await self._away(lambda: Fake.encode(self, crops), deadline)

    async def strip(self, first, second, *, deadline=None, **wanted):
        return await self._away(lambda: Fake.strip(self, first, second, **wanted), deadline)

    async def sample(self, number, *, seed=0, deadline=None):
        return SampleResult(await self._away(lambda: Fake.sample(self, number, seed=seed), deadline))

    async def write(self, work, *args):
        return await to_thread.run_sync(lambda: work(*args))

    def check_outside(self, z, *, where=None):
        if np.abs(z).max() > 900:
            raise LatentRefused("the latent lies too far out", hint="send another", where=where)

    def ill(self):
        return self.illness

    def vitals(self):
        return Vitals("fake", "cpu", 0, 0.1, {"photos": 10, "latents": 5})

    def close(self):
        self.closed = True
