"""Results at the photographs' own size: sides, what is cut and kept, what is carried, what a face is put onto."""

import asyncio
import hashlib
import threading
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from files import png
from looking import here
from portraits import LANDMARKS, head, other, portrait
from tiny import TINY

from facemix.errors import DocumentStyle, PhotographMissing, RecipeInvalid
from facemix.faces.align import Alignment, native_side
from facemix.faces.look import FoundFace
from facemix.faces.paste import mask_in, onto_plain
from facemix.faces.types import Face, Quality
from facemix.imaging.enlarge import resized
from facemix.mixing.recipe import Edits, PhotoParent, PlacedPoints
from facemix.safety.document import refuse_document, refuse_document_within
from facemix.serving import bill as bill_module
from facemix.serving import detailing as module
from facemix.serving.blocking import BlockingMixer
from facemix.serving.detailing import Detailing
from facemix.serving.lookers import ThreadLookers
from facemix.serving.mixer import Mixer
from facemix.serving.observer import Observer
from facemix.serving.types import FoundPhoto, FrameSpec, LatentInput, ParentFace, PhotoInput, SampleInput

CROP = TINY.crop_size
DETAIL = Edits(detail=1.0)


def enlarged(picture, factor):
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


LARGE, SMALL = png(enlarged(head(), 3)), png(other())  # faces whose crops have some 326 and 109 pixels


class Counting(ThreadLookers):
    """Notes what is asked for."""

    def __init__(self, looked: ThreadLookers) -> None:
        self._looker, self._pool = looked._looker, looked._pool
        self.cuts, self.wholes = [], []

    async def cut(self, data, face, side, *, deadline=None):
        self.cuts.append(side)
        return await super().cut(data, face, side, deadline=deadline)

    async def whole(self, data, side, *, deadline=None):
        self.wholes.append(side)
        return await super().whole(data, side, deadline=deadline)


def made(engine, finder, **changes):
    """A mixer that keeps what it has seen, and who looks for it."""
    lookers = Counting(here(finder))
    given = {"cache_bytes": 64 << 20, "cache_seconds": 60, **changes}
    return BlockingMixer(Mixer(engine, lookers, **given)), lookers


@pytest.fixture
def own(engine, finder):
    return made(engine, finder)


@pytest.fixture(scope="module")
def shared(engine, finder):
    return made(engine, finder)[0]


def large(weight=1.0, **changes):
    return PhotoInput(**{"data": LARGE, "where": "face_a", "weight": weight, **changes})


def small(weight=1.0, **changes):
    return PhotoInput(**{"data": SMALL, "where": "face_b", "weight": weight, **changes})


def kept(mixer, photo, *, weight=1.0):
    """The same face as it is known when only its latent is kept."""
    result = mixer.latent([photo])
    (parent,) = result.recipe.parents
    assert isinstance(parent, PhotoParent)
    return LatentInput(result.z, photo.where, weight, parent)


def sample(weight=1.0, number=4):
    return SampleInput(number, "sample", weight)


def own_side(mixer, photo):
    return round(native_side(mixer.find_faces(photo).faces[0].face.landmarks))


def cut_of(mixer, photo, side):
    face = mixer.find_faces(photo).faces[0].face
    found = asyncio.run_coroutine_threadsafe(mixer.mixer._lookers.cut(photo.data, face, side), mixer._loop)
    return found.result()


# --- sides -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [{"detail": 1.0}, {"detail": 0.3}, {"size": 1024}, {"placement": {"onto": "plain"}}])
def test_no_result_is_larger_than_the_photograph(shared, wanted):
    own = own_side(shared, large())
    assert 300 < own < 350
    assert shared.mix([large()], Edits(**wanted)).image.shape == (own, own, 3)


@pytest.mark.parametrize("detail", [0.0, 1.0])
@pytest.mark.parametrize("size", [96, 100, 200])
def test_a_size_is_kept_to(shared, size, detail):
    assert shared.mix([large(0.4), small(0.6)], Edits(size=size, detail=detail)).image.shape == (size, size, 3)


@pytest.mark.parametrize("edits", [DETAIL, Edits(size=1024), Edits(detail=0.5, size=1000)])
def test_the_largest_photograph_that_has_a_part_bounds_the_side(shared, edits):
    of_large, of_small = own_side(shared, large()), own_side(shared, small())
    assert of_small < 120
    sides = [
        (large(0.5), small(0.5), of_large),
        (large(0.01), small(0.99), of_large),
        (large(0.0), small(1.0), of_small),
        (small(1.0), large(0.0), of_small),
    ]
    for *parents, side in sides:
        assert shared.mix(parents, edits).image.shape == (side, side, 3)


@pytest.mark.parametrize("changes", [{"keep": {"hair": 0}}, {"regions": {"eyes": (1.0, 0.0)}}])
def test_who_gives_a_trait_or_a_region_has_a_part(shared, changes):
    result = shared.mix([large(0.0), small(1.0)], Edits(detail=1.0, **changes))
    assert len(result.image) == own_side(shared, large())


def test_without_any_of_it_results_are_as_they_were(shared, mixer):
    np.testing.assert_array_equal(shared.mix([large(0.3), small(0.7)]).image, mixer.mix([large(0.3), small(0.7)]).image)


def found_at(side):
    """A face whose crop has so many pixels in its photograph, without the photograph."""
    points = LANDMARKS * side / native_side(LANDMARKS)
    face = Face((0.0, 0.0, float(side), float(side)), points.astype(np.float32), 0.9)
    quality = Quality(score=0.9, face_pixels=40, sharpness=0.5, yaw=0, roll=0, brightness=0.5, warnings=())
    return FoundPhoto(2000, 2000, "ab" * 32, (), (FoundFace(0, face, quality, np.zeros((8, 8, 3), np.uint8)),))


class Plain:
    """Cuts grey squares, all of one level more than the last."""

    def __init__(self):
        self.cuts = []

    async def cut(self, data, face, side, *, deadline=None):
        self.cuts.append(side)
        return np.full((side, side, 3), 50 + len(self.cuts), np.uint8)


def alone(crop=128, **changes):
    lookers = Plain()
    given = {"cache_bytes": 64 << 20, "cache_seconds": 60, "observer": Observer(), **changes}
    return Detailing(lookers, None, crop, **given), lookers


async def carried(detailing, found, edits=DETAIL, weights=(1.0,)):
    crop = detailing._crop

    async def decode(z):
        return np.full((len(z), crop, crop, 3), 100, np.uint8)

    async def beside(work):
        return work()

    parents = [PhotoInput(b"", f"face {place}", weight=weight) for place, weight in enumerate(weights)]
    faces = [ParentFace(parent.where, found, found.faces[0]) for parent in parents]
    latents = np.zeros((len(parents), 8), np.float32)
    return await detailing.carry(parents, faces, latents, [FrameSpec(tuple(weights), edits)], decode, beside)


@pytest.mark.parametrize(
    ("own", "size", "side"),
    [
        (90, None, 128),
        (100, 96, 128),
        (300, None, 300),
        (300, 400, 300),
        (700, None, 512),
        (700, 1024, 700),
        (2000, 1024, 1024),
    ],
)
def test_a_side_is_at_least_the_models_and_at_most_the_photographs(own, size, side):
    detailing, _ = alone()
    carry = asyncio.run(carried(detailing, found_at(own), Edits(detail=1.0, size=size)))
    assert carry.side == side
    spec = FrameSpec((1.0,), Edits(detail=1.0, size=size))
    picture = np.full((1, 128, 128, 3), 100, np.uint8)
    assert len(detailing.frame(carry, picture, picture[0], spec)) == min(side, size or side)


def test_a_photograph_without_more_pixels_is_not_cut_again_for_a_larger_result():
    async def go():
        detailing, lookers = alone()
        await carried(detailing, found_at(300))
        await carried(detailing, found_at(300), Edits(detail=1.0, size=1024))
        assert lookers.cuts == [300]
        await carried(detailing, found_at(700))
        assert lookers.cuts == [300]  # the same photograph and face, for whoever keeps them

    asyncio.run(go())


def test_what_is_larger_than_the_cache_is_carried_all_the_same():
    detailing, lookers = alone(cache_bytes=0)
    carry = asyncio.run(carried(detailing, found_at(300)))
    assert carry.side == 300
    assert detailing.bytes == {"cuts": 0, "carries": 0}
    assert lookers.cuts == [300]


# --- what is cut and kept ----------------------------------------------------------------------------------


def test_a_photograph_that_is_forgotten_while_another_is_cut_is_not_kept_in_what_is_carried():
    async def go(forgotten):
        detailing, lookers = alone()
        first, second = found_at(300), replace(found_at(300), sha256="cd" * 32)

        async def cut(data, face, side, *, deadline=None):
            if data == b"second":
                while not detailing.bytes["cuts"]:
                    await asyncio.sleep(0)
                if forgotten:
                    detailing.forget(first.sha256)
            return np.full((side, side, 3), 60, np.uint8)

        lookers.cut = cut
        parents = [PhotoInput(b"first", "a", weight=0.5), PhotoInput(b"second", "b", weight=0.5)]
        faces = [ParentFace("a", first, first.faces[0]), ParentFace("b", second, second.faces[0])]

        async def decode(z):
            return np.full((len(z), 128, 128, 3), 100, np.uint8)

        async def beside(work):
            return work()

        specs = [FrameSpec((0.5, 0.5), DETAIL)]
        carry = await detailing.carry(parents, faces, np.zeros((2, 8), np.float32), specs, decode, beside)
        assert carry.side == 300  # whoever sends it gets their mix
        return detailing.bytes

    kept, left = asyncio.run(go(False)), asyncio.run(go(True))
    assert kept["carries"] > 0
    assert left == {"cuts": kept["cuts"] // 2, "carries": 0}


def test_a_second_mix_of_the_same_parents_cuts_nothing_and_draws_one_picture(own):
    mixer, lookers = own
    first = mixer.mix([large(0.5), small(0.5)], DETAIL)
    assert len(lookers.cuts) == 2
    assert (first.cost.frames_encoded, first.cost.frames_decoded) == (2, 3)  # the mix, and the parents' own
    second = mixer.mix([large(0.2), small(0.8)], Edits(detail=0.7, keep={"hair": 1}))
    assert len(lookers.cuts) == 2
    assert (second.cost.frames_encoded, second.cost.frames_decoded) == (0, 1)
    again = mixer.mix([large(0.5), small(0.5)], DETAIL)
    np.testing.assert_array_equal(again.image, first.image)
    sizes = mixer.mixer.vitals().cache_bytes
    assert sizes["cuts"] > 0 < sizes["carries"]


def test_nothing_is_cut_of_who_has_no_part(own):
    mixer, lookers = own
    mixer.mix([large(1.0), small(0.0)], DETAIL)
    assert len(lookers.cuts) == 1


def test_who_wants_only_a_size_has_nothing_cut(own):
    mixer, lookers = own
    result = mixer.mix([large(0.5), small(0.5)], Edits(size=200))
    assert lookers.cuts == []
    assert result.cost.frames_decoded == 1
    assert list(result.stage_ms) == ["look", "encode", "decode"]
    plain = mixer.mix([large(0.5), small(0.5)])
    np.testing.assert_array_equal(result.image, resized(plain.image, 200))


def test_without_a_cache_each_mix_cuts_anew(engine, finder):
    mixer, lookers = made(engine, finder, cache_bytes=0)
    for _ in range(2):
        mixer.mix([large(0.5), small(0.5)], DETAIL)
    assert len(lookers.cuts) == 4


def test_pixels_are_not_worked_on_by_the_event_loop(own, monkeypatch):
    mixer, _ = own
    threads = []

    def noted(work):
        def run(*given):
            threads.append(threading.current_thread().name)
            return work(*given)

        return run

    monkeypatch.setattr(module, "resized", noted(resized))
    mixer.mix([large(0.5), small(0.5)], DETAIL)
    mixer.mix([large(0.5), small(0.5)], Edits(size=150))
    assert len(threads) > 3
    assert {name.partition("_")[0] for name in threads} == {"carry"}


# --- faces whose photograph is not there -------------------------------------------------------------------


@pytest.mark.parametrize("size", [None, 200, 1024])
def test_a_kept_face_has_the_detail_of_its_photograph(own, size):
    mixer, lookers = own
    edits = Edits(detail=1.0, size=size)
    wanted = mixer.mix([large(0.5), small(0.5)], edits)
    faces = [kept(mixer, large(), weight=0.5), kept(mixer, small(), weight=0.5)]
    cut = len(lookers.cuts)
    found = mixer.mix(faces, edits)
    np.testing.assert_array_equal(found.image, wanted.image)
    assert found.recipe == wanted.recipe
    assert len(lookers.cuts) == cut


def test_a_face_is_cut_for_later_when_it_is_kept(own):
    mixer, lookers = own
    face, photo = kept(mixer, large()), large()

    async def keep():
        await mixer.mixer.keep_cuts(photo, await mixer.mixer.find_faces(photo), [0])

    mixer._wait(keep())
    assert len(lookers.cuts) == 1
    found = mixer.mix([face], DETAIL)
    np.testing.assert_array_equal(found.image, cut_of(mixer, photo, len(found.image)))


@pytest.mark.parametrize("lost", ["never cut", "forgotten", "no cache"])
def test_a_photograph_that_is_gone_is_asked_for_again_before_any_work(engine, finder, lost):
    mixer, lookers = made(engine, finder, **({"cache_bytes": 0} if lost == "no cache" else {}))
    face = kept(mixer, large())
    if lost == "forgotten":
        mixer.mix([large()], DETAIL)
        mixer.mixer.detailing.clear()
    cut = list(lookers.cuts)
    with pytest.raises(PhotographMissing) as missing:
        mixer.mix([small(0.5), face], DETAIL)
    error = missing.value
    assert (error.code, error.status, error.where) == ("photograph_missing", 409, "face_a")
    assert hashlib.sha256(LARGE).hexdigest()[:12] in error.message
    assert "send it again" in error.hint
    assert lookers.cuts == cut
    assert mixer.mix([small(0.5), face]).image.shape == (CROP, CROP, 3)  # without detail nobody needs it


def test_the_photograph_of_who_has_no_part_is_not_missed(own):
    mixer, _ = own
    face = kept(mixer, large(), weight=0.0)
    assert len(mixer.mix([small(1.0), face], DETAIL).image) == own_side(mixer, small())
    with pytest.raises(PhotographMissing):
        mixer.mix([small(1.0), face], Edits(detail=1.0, keep={"hair": 1}))


def test_faces_without_photographs_are_the_same_at_every_detail(own):
    mixer, lookers = own
    z = mixer.mixer.engine.draw(9, seed=0).numpy()
    parents = [sample(0.5), LatentInput(z, "latent", 0.5)]
    for wanted in ({}, {"size": 200}):
        plain, detailed = mixer.mix(parents, Edits(**wanted)), mixer.mix(parents, Edits(detail=1.0, **wanted))
        np.testing.assert_array_equal(plain.image, detailed.image)
        assert detailed.cost.frames_decoded == 1
        assert detailed.recipe.detail == 1
    assert lookers.cuts == []
    assert mixer.mix(parents, Edits(size=1024)).image.shape == (1024, 1024, 3)  # no photograph speaks against it


def test_a_sample_beside_a_photograph_takes_its_detail(own):
    mixer, lookers = own
    result = mixer.mix([large(0.5), sample(0.5)], DETAIL)
    assert len(lookers.cuts) == 1
    assert len(result.image) == own_side(mixer, large())
    plain = mixer.mix([large(0.5), sample(0.5)], Edits(size=512))
    assert far_apart(result.image, plain.image) > 2


def far_apart(one, another):
    """Mean difference in levels."""
    return float(np.abs(one.astype(int) - another).mean())


def sharpness(picture):
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float((grey - cv2.GaussianBlur(grey, (0, 0), 2)).std())


# --- what is carried ---------------------------------------------------------------------------------------


def test_who_is_alone_is_the_photograph_itself(shared):
    for photo in (large(), small()):
        side = own_side(shared, photo)
        np.testing.assert_array_equal(shared.mix([photo], DETAIL).image, cut_of(shared, photo, side))


def test_a_strip_goes_from_one_photograph_to_the_other(own):
    mixer, lookers = own
    strip = mixer.strip(large(), small(), steps=5, edits=Edits(detail=1.0, size=200))
    assert strip.frames.shape == (5, 200, 200, 3)
    assert len(lookers.cuts) == 2
    side = own_side(mixer, large())
    np.testing.assert_array_equal(strip.frames[0], resized(cut_of(mixer, large(), side), 200))
    last = resized(cut_of(mixer, small(), own_side(mixer, small())), 200)
    np.testing.assert_array_equal(strip.frames[-1], last)
    assert all(recipe.detail == 1 and recipe.size == 200 for recipe in strip.recipes)
    assert strip.cost.frames_decoded == 5 + 2
    middle = mixer.mix([large(0.5), small(0.5)], Edits(detail=1.0, size=200))
    assert np.abs(middle.image.astype(int) - strip.frames[2]).max() <= 2


def test_with_an_edit_the_mix_without_it_is_drawn_too(own):
    mixer, _ = own
    variation = {"number": 2, "radius": 0.9}
    result = mixer.mix([large()], Edits(detail=1.0, variation=variation))
    assert result.cost.frames_decoded == 3  # the mix, the mix without its edits, and the parent's own
    photograph = mixer.mix([large()], DETAIL)
    assert photograph.cost.frames_decoded == 1  # what the parent's own is, is known by now
    assert far_apart(result.image, photograph.image) > 2


def test_what_an_edit_changes_is_handed_on(monkeypatch):
    detailing, _ = alone(crop=32)
    carry = asyncio.run(carried(detailing, found_at(200)))
    handed = {}
    monkeypatch.setattr(
        type(carry), "frame", lambda self, mixed, weights, **given: handed.update(given) or np.zeros((200, 200, 3))
    )
    pictures = np.stack([np.full((32, 32, 3), level, np.uint8) for level in (90, 50, 10, 70)])
    pictures[0, :, :, 2] = 75
    edits = Edits(detail=0.5, regions={"mouth": (1.0,)}, colour=(1.0,), variation={"number": 1, "radius": 0.5})
    assert edits.pictures == len(pictures)
    detailing.frame(carry, pictures, pictures[1], FrameSpec((1.0,), edits))
    np.testing.assert_array_equal(handed["change"], np.full((32, 32), 20))  # against the last, by the largest channel
    assert handed["moved"].shape == (2, module.GRID, module.GRID)
    assert handed["detail"] == 0.5
    plain = FrameSpec((1.0,), Edits(detail=0.5))
    detailing.frame(carry, pictures[:1], pictures[0], plain)
    assert handed["change"] is handed["moved"] is None


def test_frames_have_one_size(shared):
    specs = [FrameSpec((1.0,), Edits(size=100)), FrameSpec((1.0,), Edits(size=200))]
    with pytest.raises(ValueError, match="one size"):
        shared.frames([large()], specs)


def test_frames_with_and_without_detail_have_one_side(shared):
    specs = [FrameSpec((0.5, 0.5), Edits(detail=detail)) for detail in (0.0, 1.0)]
    found = shared.frames([large(), small()], specs).frames
    assert found.shape[1] == own_side(shared, large())
    np.testing.assert_array_equal(found[0], shared.mix([large(0.5), small(0.5)], Edits(size=512)).image)
    assert far_apart(*found) > 2


def test_a_latent_is_of_what_the_model_draws(shared):
    plain, detailed = (
        shared.latent([large(0.5), small(0.5)], edits) for edits in (Edits(), Edits(detail=1.0, size=100))
    )
    np.testing.assert_array_equal(plain.z, detailed.z)


# --- what a face is put onto -------------------------------------------------------------------------------


def test_a_photograph_too_narrow_to_be_labelled_is_refused(own, monkeypatch):
    mixer, _ = own
    monkeypatch.setattr(module, "LEAST_SIDE", 901)
    with pytest.raises(RecipeInvalid, match="900 x 900") as caught:
        mixer.mix([large(0.5), small(0.5)], Edits(detail=1.0, placement={"onto": "photo"}))
    assert caught.value.where == "placement"


def test_where_nothing_is_kept_no_cut_is_made_to_be_kept():
    for kept, cuts in ((64 << 20, [512]), (0, [])):
        detailing, lookers = alone(cache_bytes=kept)
        asyncio.run(detailing.keep(PhotoInput(b"", "face_a"), found_at(700), 0))
        assert lookers.cuts == cuts


def test_onto_its_photograph(own):
    mixer, lookers = own
    result = mixer.mix([large(0.5), small(0.5)], Edits(detail=1.0, placement={"onto": "photo"}))
    assert lookers.wholes == [900]
    assert result.image.shape == (900, 900, 3)
    assert result.face.shape[0] == result.face.shape[1] == own_side(mixer, large())
    points = mixer.find_faces(large()).faces[0].face.landmarks
    outside = mask_in((900, 900), Alignment.from_landmarks(points, len(result.face))) == 0
    assert 0.3 < outside.mean() < 1
    np.testing.assert_array_equal(result.image[outside], enlarged(head(), 3)[outside])
    assert np.abs(result.image[~outside].astype(int) - enlarged(head(), 3)[~outside]).mean() > 3
    assert list(result.stage_ms) == ["look", "encode", "decode", "cut", "carry", "place"]


def test_onto_the_second_parents_photograph(shared):
    result = shared.mix([large(0.5), small(0.5)], Edits(placement={"onto": "photo", "parent": 1}))
    assert result.image.shape == (300, 345, 3)
    assert result.recipe.placement.parent == 1


def test_no_more_of_a_large_photograph_is_decoded_than_the_face_needs(own):
    mixer, lookers = own
    result = mixer.mix([large(0.5), small(0.5)], Edits(size=164, placement={"onto": "photo"}))
    (asked,) = lookers.wholes
    assert 400 < asked < 500  # the face in it has 164 pixels
    assert result.image.shape == (asked, asked, 3)


def test_onto_its_blurred_photograph(shared):
    sharp, blurred = (
        shared.mix([large(0.5), small(0.5)], Edits(detail=1.0, placement={"onto": onto}))
        for onto in ("photo", "blurred")
    )
    assert blurred.image.shape == sharp.image.shape
    np.testing.assert_array_equal(blurred.face, sharp.face)
    corner = np.s_[:150, :150]
    assert sharpness(blurred.image[corner]) < 0.5 * sharpness(sharp.image[corner])


def test_onto_a_plain_colour(shared):
    edits = Edits(detail=1.0, placement={"onto": "plain", "colour": "#204060"})
    result = shared.mix([large(0.5), small(0.5)], edits)
    np.testing.assert_array_equal(result.image, onto_plain(result.face, "#204060"))
    np.testing.assert_array_equal(result.face, shared.mix([large(0.5), small(0.5)], DETAIL).image)
    assert result.image[0, 0].tolist() == [0x20, 0x40, 0x60]


def test_a_sample_is_put_onto_a_plain_colour_at_the_usual_side(shared):
    assert shared.mix([sample()], Edits(placement={"onto": "plain"})).image.shape == (512, 512, 3)


@pytest.mark.parametrize("onto", ["photo", "blurred"])
def test_a_parent_without_a_photograph_is_refused_before_any_work(own, onto):
    mixer, lookers = own
    with pytest.raises(RecipeInvalid, match="no photograph") as refused:
        mixer.mix([PhotoInput(b"no picture", "face_a"), sample()], Edits(placement={"onto": onto, "parent": 1}))
    assert refused.value.where == "placement.parent"
    face = kept(mixer, large())
    mixer.mix([large()], DETAIL)  # its cut is kept, its photograph is not
    with pytest.raises(PhotographMissing) as missing:
        mixer.mix([face], Edits(placement={"onto": onto}))
    assert missing.value.where == "placement.parent"
    assert lookers.wholes == []


def test_several_pictures_are_not_put_onto_anything(shared):
    edits = Edits(placement={"onto": "plain"})
    with pytest.raises(RecipeInvalid) as refused:
        shared.strip(large(), small(), steps=3, edits=edits)
    assert refused.value.where == "placement"
    with pytest.raises(RecipeInvalid):
        shared.frames([large()], [FrameSpec((1.0,), edits)])


@pytest.mark.parametrize("onto", ["photo", "blurred"])
def test_a_face_at_the_rim_of_its_photograph(shared, onto):
    cropped = np.ascontiguousarray(enlarged(head(), 3)[150:480, 330:])  # ends beside an eye and below the mouth
    left, right, _, *mouth = (LANDMARKS - [80, 0]) * 3 - [330, 150]
    placed = PlacedPoints(left_eye=tuple(left), right_eye=tuple(right), mouth=tuple(np.mean(mouth, axis=0)))
    photo = large(data=png(cropped), placed=placed)
    result = shared.mix([photo, small()], Edits(detail=1.0, placement={"onto": onto}))
    assert result.image.shape == cropped.shape


class Documents:
    """Checks nothing but that it is no document."""

    def __init__(self, detector):
        self.detector, self.looked = detector, []

    def margins(self, frames, latents):
        return (1.0,) * len(frames)

    def refuse_document(self, picture, landmarks=None):
        self.looked.append(picture.shape)
        if landmarks is None:
            refuse_document(picture[None], self.detector)
        else:
            refuse_document_within(picture, landmarks, self.detector)


@pytest.fixture(scope="module")
def gated(engine, finder):
    from facemix.faces.centerface import CenterFace

    gate = Documents(CenterFace(threshold=0.05, threads=1))
    return made(engine, finder, results=gate)[0], gate


def passport(margin=0):
    """A whole head on a plain light ground, with so many more pixels of it on each side."""
    crop = Alignment.from_landmarks(LANDMARKS, 384).crop(portrait())
    y, x = (np.mgrid[:384, :384] + 0.5) / 384
    oval = np.clip((1.06 - np.hypot((x - 0.5) / 0.46, (y - 0.5) / 0.55)) / 0.12, 0, 1)[..., None]
    page = np.full((740, 740, 3), 240, np.uint8)
    page[250:634, 178:562] = crop * oval + 240 * (1 - oval)
    return np.pad(page, [(margin, margin), (margin, margin), (0, 0)], constant_values=240)


@pytest.mark.parametrize("margin", [0, 400, 1500])
@pytest.mark.parametrize("onto", ["photo", "blurred"])
def test_what_would_pass_for_a_document_is_refused(gated, onto, margin):
    """Also where one could be cut out of it."""
    mixer, _ = gated
    parents = [
        PhotoInput(png(passport(margin)), "face_a", weight=1.0),
        large(0.0),
    ]  # this model draws no faces of its own
    assert mixer.mix(parents, DETAIL).image.shape[0] > 300  # the crop alone shows no whole head
    with pytest.raises(DocumentStyle):
        mixer.mix(parents, Edits(detail=1.0, placement={"onto": onto}))


def test_frames_with_detail_are_looked_at_too(gated):
    mixer, gate = gated
    gate.looked.clear()
    result = mixer.strip(large(), small(), steps=3, edits=Edits(detail=1.0, size=200))
    assert gate.looked == [(200, 200, 3)] * 3
    assert "check" in result.stage_ms


def test_a_crop_that_shows_a_whole_head_is_refused_once_it_has_detail(gated):
    mixer, _ = gated
    wide = PlacedPoints(left_eye=(217.0, 226.0), right_eye=(523.0, 226.0), mouth=(370.0, 518.0))
    photo = PhotoInput(png(passport()), "face_a", placed=wide)
    assert mixer.mix([photo]).image.shape == (CROP, CROP, 3)  # what this model draws of it is no portrait
    with pytest.raises(DocumentStyle):
        mixer.mix([photo], DETAIL)


# --- the bill ----------------------------------------------------------------------------------------------


def test_stages_within_a_stage_are_not_counted_twice(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(bill_module, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    told = []

    class Told(Observer):
        def stage(self, name, seconds):
            told.append((name, round(seconds, 3)))

    bill = bill_module.Bill(Told())
    with bill.stage("decode"):
        now[0] += 0.1
    with bill.stage("cut"):
        now[0] += 0.02
        with bill.stage("decode"):
            now[0] += 0.3
        now[0] += 0.01
    assert told == [("decode", 0.1), ("decode", 0.3), ("cut", 0.03)]
    assert bill.milliseconds == pytest.approx({"decode": 400, "cut": 30})
