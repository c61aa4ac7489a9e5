import asyncio
import hashlib
import math
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch
from draw_golden import GOLDEN, PICTURES, golden_mixer
from files import cmyk_jpeg, jpeg, png, sideways_png, text_named_jpg, truncated
from looking import here
from made_directions import made_directions
from PIL import Image
from portraits import LANDMARKS, cat, crowd, far_away, head, other, portrait
from tiny import TINY

from facemix.errors import (
    AttributesMissing,
    DeadlineExceeded,
    FaceChoiceInvalid,
    FaceNotFound,
    FaceTooSmall,
    ImageCorrupt,
    ImageEmpty,
    ImageTooLarge,
    ImageUnsupported,
    LatentRefused,
    RecipeInvalid,
    ResultWithheld,
)
from facemix.faces.align import TEMPLATE, Alignment, apply
from facemix.imaging.decode import DecodeLimits
from facemix.mixing.attributes import apply as apply_attributes
from facemix.mixing.colour import transfer
from facemix.mixing.interpolation import interpolate
from facemix.mixing.latents import unpack_latent
from facemix.mixing.recipe import REGIONS, Edits, PhotoParent, PlacedPoints, Recipe
from facemix.mixing.regions import masks
from facemix.serving.assembly import mixer_from_settings
from facemix.serving.blocking import BlockingMixer
from facemix.serving.engine import Engine
from facemix.serving.mixer import Mixer
from facemix.serving.observer import Observer
from facemix.serving.types import FrameSpec, LatentInput, PhotoInput, SampleInput
from facemix.settings import Settings
from facemix.vae.checkpoint import read_card

HEAD, OTHER, CROWD, CAT = png(head()), png(other()), png(crowd()), png(cat())


def a(weight=1.0, **changes):
    return PhotoInput(**{"data": HEAD, "where": "face_a", "weight": weight, **changes})


def b(weight=1.0, **changes):
    return PhotoInput(**{"data": OTHER, "where": "face_b", "weight": weight, **changes})


def far_apart(first, second):
    """Mean difference in levels."""
    return float(np.abs(first.astype(int) - second).mean())


def reconstruction(mixer, engine, photo):
    return engine.decode(engine.encode(mixer.find_faces(photo).faces[0].crop[None]))[0]


# --- finding -----------------------------------------------------------------------------------------------


def test_the_crop_has_the_models_size_and_the_eyes_in_their_places(mixer):
    photo = mixer.find_faces(PhotoInput(png(portrait()), "portrait"))
    (found,) = photo.faces
    assert (photo.width, photo.height) == (512, 512)
    assert photo.sha256 == hashlib.sha256(png(portrait())).hexdigest()
    assert found.index == 0
    assert found.refusal is None
    assert found.crop.shape == (TINY.crop_size, TINY.crop_size, 3)
    assert np.abs(found.face.landmarks - LANDMARKS).max() < 4
    placed = apply(Alignment.from_landmarks(found.face.landmarks, TINY.crop_size).matrix, LANDMARKS)
    assert np.abs(placed[[0, 1, 3, 4]] / TINY.crop_size - TEMPLATE).max() < 0.06


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_sideways_phone_photo_gives_the_same_crop(mixer, orientation):
    upright = mixer.find_faces(PhotoInput(OTHER, "upright"))
    turned = mixer.find_faces(PhotoInput(sideways_png(other(), orientation), "turned"))
    assert (turned.width, turned.height) == (upright.width, upright.height)
    np.testing.assert_array_equal(turned.faces[0].crop, upright.faces[0].crop)
    assert any("EXIF" in note for note in turned.notes)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_photo_without_a_tag_gives_the_same_crop(mixer, turns):
    upright = mixer.find_faces(a()).faces[0]
    turned = mixer.find_faces(PhotoInput(png(np.rot90(head(), turns).copy()), "turned")).faces[0]
    assert far_apart(turned.crop, upright.crop) < 4
    lean = {1: -90, 2: 180, 3: 90}[turns]
    assert math.cos(math.radians(turned.quality.roll - lean)) > 0.99


def test_all_faces_are_offered_largest_first(mixer):
    photo = mixer.find_faces(PhotoInput(CROWD, "crowd"))
    assert [found.index for found in photo.faces] == [0, 1]
    assert photo.faces[0].face.size > 1.5 * photo.faces[1].face.size
    assert photo.faces[0].face.landmarks[:, 0].max() < 300 < photo.faces[1].face.landmarks[:, 0].min()


def test_a_face_that_the_gates_refuse_is_still_shown(mixer):
    found = mixer.find_faces(PhotoInput(png(far_away()), "far")).faces[0]
    assert isinstance(found.refusal, FaceTooSmall)
    assert found.crop.shape == (TINY.crop_size, TINY.crop_size, 3)


def test_huge_photographs_are_reduced_before_faces_are_looked_for(engine, finder):
    limits = DecodeLimits(max_side=200)
    photo = BlockingMixer(Mixer(engine, here(finder, limits))).find_faces(PhotoInput(png(portrait()), "portrait"))
    assert (photo.width, photo.height) == (512, 512)
    (found,) = photo.faces
    assert np.abs(found.face.landmarks - LANDMARKS).max() < 8  # of the photograph that was sent
    assert found.quality.face_pixels == pytest.approx(45 * 200 / 512, rel=0.1)
    assert any("reduced" in note for note in photo.notes)


# --- mixing ------------------------------------------------------------------------------------------------


def test_the_same_photos_give_the_same_face(mixer):
    first, second = mixer.mix([a(0.3), b(0.7)]), mixer.mix([a(0.3), b(0.7)])
    np.testing.assert_array_equal(first.image, second.image)
    assert first.recipe == second.recipe


@pytest.mark.parametrize("interpolation", ["lerp", "slerp"])
def test_weights_of_0_and_1_give_the_parents_own_reconstructions_exactly(mixer, engine, interpolation):
    of_a, of_b = reconstruction(mixer, engine, a()), reconstruction(mixer, engine, b())
    assert far_apart(of_a, of_b) > 3
    np.testing.assert_array_equal(mixer.mix([a(1), b(0)], Edits(interpolation=interpolation)).image, of_a)
    np.testing.assert_array_equal(mixer.mix([a(0), b(1)], Edits(interpolation=interpolation)).image, of_b)
    np.testing.assert_array_equal(mixer.mix([a(0), b(0.25)], Edits(interpolation=interpolation)).image, of_b)


def test_the_mix_is_the_decoded_interpolation_of_the_latents(mixer, engine):
    crops = [mixer.find_faces(photo).faces[0].crop for photo in (a(), b())]
    z = torch.cat([engine.encode(crop[None]) for crop in crops])
    for interpolation in ("lerp", "slerp"):
        expected = engine.decode(interpolate(z, (0.25, 0.75), interpolation)[None])[0]
        np.testing.assert_array_equal(mixer.mix([a(0.25), b(0.75)], Edits(interpolation=interpolation)).image, expected)


def test_detail_fades_in_mixes_and_strips_of_a_model_that_has_it(mixer, engine, monkeypatch):
    z = torch.cat([engine.encode(mixer.find_faces(photo).faces[0].crop[None]) for photo in (a(), b())])
    whole = mixer.mix([a(0.25), b(0.75)]).image
    monkeypatch.setattr(engine, "coarse_size", 2)
    faded = engine.decode(interpolate(z, (0.25, 0.75), coarse_size=2)[None])[0]
    assert far_apart(whole, faded) > 0
    np.testing.assert_array_equal(mixer.mix([a(0.25), b(0.75)]).image, faded)
    np.testing.assert_array_equal(mixer.strip(a(), b(), steps=5).frames[3], faded)


def test_vividness_reaches_the_latents_of_a_mix_and_leaves_its_ends(mixer, engine):
    z = torch.cat([engine.encode(mixer.find_faces(photo).faces[0].crop[None]) for photo in (a(), b())])
    vivid = engine.decode(interpolate(z, (0.25, 0.75), vividness=0.5)[None])[0]
    result = mixer.mix([a(0.25), b(0.75)], Edits(vividness=0.5))
    np.testing.assert_array_equal(result.image, vivid)
    assert result.recipe.vividness == 0.5
    assert not np.array_equal(vivid, mixer.mix([a(0.25), b(0.75)]).image)
    np.testing.assert_array_equal(mixer.mix([a(1), b(0)], Edits(vividness=0.5)).image, mixer.mix([a(1), b(0)]).image)


def test_weights_are_shares(mixer):
    np.testing.assert_array_equal(mixer.mix([a(1), b(3)]).image, mixer.mix([a(0.25), b(0.75)]).image)


def test_swapped_parents_with_swapped_weights_give_the_same_face(mixer):
    first, second = mixer.mix([a(0.2), b(0.8)]), mixer.mix([b(0.8), a(0.2)])
    assert np.abs(first.image.astype(int) - second.image).max() <= 1
    assert [parent.where for parent in first.parents] == ["face_a", "face_b"]
    assert [parent.where for parent in second.parents] == ["face_b", "face_a"]


def test_three_parents_mix(mixer, engine):
    parents = [a(0.5), b(0.3), SampleInput(4, "sample:4", weight=0.2)]
    result = mixer.mix(parents, Edits(seed=9))
    z = torch.stack(
        [
            *(engine.encode(mixer.find_faces(photo).faces[0].crop[None])[0] for photo in (a(), b())),
            engine.draw(4, seed=9),
        ]
    )
    np.testing.assert_array_equal(result.image, engine.decode(interpolate(z, (0.5, 0.3, 0.2))[None])[0])
    assert result.recipe.weights == (0.5, 0.3, 0.2)
    assert result.parents[2].photo is None


def test_a_chosen_face_is_the_one_that_is_mixed(mixer, engine):
    faces = mixer.find_faces(PhotoInput(CROWD, "crowd")).faces
    for index in (0, 1):
        result = mixer.mix([PhotoInput(CROWD, "crowd", face=index, weight=1), b(0)])
        np.testing.assert_array_equal(result.image, engine.decode(engine.encode(faces[index].crop[None]))[0])
        assert result.parents[0].chosen.index == index
        assert result.recipe.parents[0].face == index
    assert mixer.mix([PhotoInput(CROWD, "crowd"), b()]).parents[0].chosen.index == 0


def test_samples_are_the_faces_of_their_number_and_seed(mixer):
    result = mixer.mix([SampleInput(2, "sample:2", weight=0), SampleInput(3, "sample:3", weight=1)], Edits(seed=5))
    np.testing.assert_array_equal(result.image, mixer.sample(3, seed=5))
    assert far_apart(mixer.sample(3, seed=5), mixer.sample(3, seed=6)) > 1
    assert far_apart(mixer.sample(3, seed=5), mixer.sample(4, seed=5)) > 1


def test_where_the_time_went_is_told(mixer):
    assert list(mixer.mix([a(), b()]).stage_ms) == ["look", "encode", "decode"]


# --- the strip ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("interpolation", "vividness"), [("lerp", 0.0), ("lerp", 0.5), ("slerp", 0.0)])
def test_every_frame_of_a_strip_is_the_mix_of_its_weight(mixer, interpolation, vividness):
    strip = mixer.strip(a(), b(), steps=5, edits=Edits(interpolation=interpolation, vividness=vividness))
    assert strip.frames.shape == (5, TINY.crop_size, TINY.crop_size, 3)
    assert strip.weights == (0.0, 0.25, 0.5, 0.75, 1.0)
    for frame, weight, recipe in zip(strip.frames, strip.weights, strip.recipes, strict=True):
        result = mixer.mix([a(1 - weight), b(weight)], Edits(interpolation=interpolation, vividness=vividness))
        # The latents are equal bit for bit, but the frames are decoded together, and a convolution over many
        # pictures may add its numbers up in another order.
        difference = np.abs(frame.astype(int) - result.image)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.01
        assert recipe == result.recipe


def test_a_strip_takes_no_notice_of_weights(mixer):
    strip = mixer.strip(a(0), b(5), steps=3)
    np.testing.assert_array_equal(strip.frames, mixer.strip(a(), b(), steps=3).frames)


def test_a_strip_goes_from_the_first_to_the_second(mixer, engine):
    strip = mixer.strip(b(), a(), steps=2)
    assert [parent.where for parent in strip.parents] == ["face_b", "face_a"]
    assert far_apart(strip.frames[0], reconstruction(mixer, engine, b())) < 0.01
    assert far_apart(strip.frames[1], reconstruction(mixer, engine, a())) < 0.01


@pytest.mark.parametrize("steps", [-1, 0, 1, 10])
def test_a_strip_has_as_many_frames_as_the_operator_allows(engine, finder, steps):
    mixer = BlockingMixer(Mixer(engine, here(finder), max_steps=9))
    with pytest.raises(RecipeInvalid, match=f"steps is {steps}") as caught:
        mixer.strip(a(), b(), steps=steps)
    assert caught.value.where == "steps"
    assert "2 to 9" in caught.value.hint


# --- edits -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def directed(checkpoint, finder, tmp_path_factory):
    """A mixer whose model has directions."""
    folder = shutil.copytree(checkpoint, tmp_path_factory.mktemp("directed") / "tiny")
    made_directions(read_card(folder)).save(folder)
    made = BlockingMixer(mixer_of(folder, finder))
    yield made
    made.close()


def mixer_of(folder, finder):
    return Mixer(Engine(folder, device="cpu"), here(finder))


def test_attributes_move_the_latent_along_their_directions(directed):
    plain, moved = (directed.latent([a(), b()], Edits(attributes=values)).z for values in ({}, {"age": 2.0}))
    expected = apply_attributes(torch.from_numpy(plain), {"age": 2.0}, directed.mixer.attributes)
    np.testing.assert_array_equal(moved, expected)
    result = directed.mix([a(), b()], Edits(attributes={"age": 2.0}))
    assert result.recipe.attributes == {"age": 2.0}
    np.testing.assert_array_equal(result.image, directed.mixer.engine.decode(expected[None])[0])


def test_an_edit_beyond_the_parents_is_said_and_a_mix_without_edits_says_nothing(directed):
    parents = [SampleInput(1, "sample:1"), SampleInput(2, "sample:2")]
    assert directed.mix(parents).notes == ()
    assert next(note.code for note in directed.mix(parents, Edits(attributes={"age": 3})).notes) == "beyond_parents"


def test_attributes_that_the_model_does_not_have_are_refused_before_any_work(mixer, directed):
    nothing = PhotoInput(b"", "empty")
    with pytest.raises(AttributesMissing):
        mixer.mix([nothing], Edits(attributes={"age": 1}))
    with pytest.raises(RecipeInvalid, match="beauty"):
        directed.mix([nothing], Edits(attributes={"beauty": 1}))


def test_a_region_with_weights_of_its_own_shows_that_parent_and_the_rest_does_not(mixer):
    whole, other_face = (mixer.mix([a(first), b(1 - first)]).image for first in (1, 0))
    mixed = mixer.mix([a(1), b(0)], Edits(regions={"eyes": [0, 1]})).image
    eyes = masks(TINY.crop_size)[REGIONS.index("eyes")]
    inside, outside = eyes > 0.9, eyes < 0.001
    gone = np.abs(mixed.astype(int) - whole).mean(-1)
    left = np.abs(mixed.astype(int) - other_face).mean(-1)
    assert left[inside].mean() < gone[inside].mean()
    assert gone[outside].mean() < left[outside].mean()


def test_regions_that_weigh_as_the_whole_change_nothing(mixer):
    plain = mixer.mix([a(0.25), b(0.75)]).image
    same = mixer.mix([a(0.25), b(0.75)], Edits(regions={name: [0.25, 0.75] for name in REGIONS})).image
    np.testing.assert_array_equal(same, plain)


def test_colours_come_from_their_own_weights(mixer):
    first, second = (mixer.mix([a(share), b(1 - share)]).image for share in (1, 0))
    painted = mixer.mix([a(1), b(0)], Edits(colour=[0, 1])).image
    np.testing.assert_array_equal(painted, transfer(first, second))
    assert far_apart(painted, first) > 1


def test_a_variation_of_radius_one_is_the_draw(mixer):
    drawn = mixer.mix([SampleInput(9, "sample:9")], Edits(seed=4)).image
    varied = mixer.mix([SampleInput(2, "sample:2")], Edits(seed=4, variation={"number": 9, "radius": 1})).image
    np.testing.assert_array_equal(varied, drawn)
    near, far = (
        mixer.mix([SampleInput(2, "sample:2")], Edits(seed=4, variation={"number": 9, "radius": radius})).image
        for radius in (0.2, 0.8)
    )
    assert far_apart(near, drawn) > far_apart(far, drawn) > 0


def test_frames_are_the_mixes_of_their_specs(mixer):
    specs = [
        FrameSpec((3, 1)),
        FrameSpec((0, 2), Edits(colour=[1, 0])),
        FrameSpec((1, 1), Edits(regions={"hair": [0, 1], "mouth": [1, 0]}, vividness=0.25)),
        FrameSpec((1, 0), Edits(variation={"number": 3, "radius": 0.5})),
    ]
    made = mixer.frames([a(), b()], specs)
    assert made.frames.shape == (4, TINY.crop_size, TINY.crop_size, 3)
    assert (made.cost.frames_decoded, made.latents.shape) == (1 + 2 + 3 + 1, (2, TINY.latent_size))
    for frame, recipe, spec in zip(made.frames, made.recipes, specs, strict=True):
        alone = mixer.mix([a(spec.weights[0]), b(spec.weights[1])], spec.edits)
        np.testing.assert_array_equal(frame, alone.image)
        assert recipe == alone.recipe


def test_frames_need_a_weight_for_each_parent_in_every_place(mixer):
    with pytest.raises(RecipeInvalid, match="3 weights were given for 2 parents") as refused:
        mixer.mix([a(), b()], Edits(regions={"eyes": [0, 0, 1]}))
    assert refused.value.where == "regions.eyes"


# --- latents as parents ------------------------------------------------------------------------------------


def test_a_portable_recipe_gives_the_same_face_without_its_photographs(mixer):
    result = mixer.mix([a(0.3), b(0.7)], Edits(colour=[1, 0]))
    portable = result.recipe.portable(result.latents)
    parents = [
        LatentInput(unpack_latent(parent.z, TINY.latent_size), f"parents.{index}", parent.weight, parent)
        for index, parent in enumerate(portable.parents)
    ]
    again = mixer.mix(parents, portable.edits)
    np.testing.assert_array_equal(again.image, result.image)
    assert again.recipe == portable


def test_a_latent_that_stands_for_a_photograph_keeps_its_name(mixer):
    result = mixer.mix([a(0.3), b(0.7)])
    parents = [
        LatentInput(z, f"parents.{index}", parent.weight, parent)
        for index, (z, parent) in enumerate(zip(result.latents, result.recipe.parents, strict=True))
    ]
    again = mixer.mix(parents)
    assert again.recipe == result.recipe
    assert again.cost.frames_encoded == 0
    np.testing.assert_array_equal(again.image, result.image)


def test_the_latent_of_a_mix_decodes_to_it(mixer, engine):
    made = mixer.latent([a(0.3), b(0.7)])
    np.testing.assert_array_equal(engine.decode(torch.from_numpy(made.z)[None])[0], mixer.mix([a(0.3), b(0.7)]).image)


def test_the_latent_of_a_composed_picture_is_that_of_the_picture(mixer):
    edits = Edits(regions={"hair": [0, 1]})
    made, result = mixer.latent([a(), b(0)], edits), mixer.mix([a(), b(0)], edits)
    np.testing.assert_array_equal(made.z, mixer.encode(result.image[None])[0][0])
    assert made.recipe == result.recipe


def test_a_result_too_far_out_to_be_a_parent_is_refused(mixer):
    far = np.full((2, TINY.latent_size), 1000, np.float32)
    far[1, 1:] *= -1
    kept = PhotoParent(sha256="0" * 64, weight=1)  # a face that was encoded here is not asked where it lies
    parents = [LatentInput(z, f"parents.{index}", parent=kept) for index, z in enumerate(far)]
    assert mixer.latent(parents).z.max() == 1000  # the mean lies between them
    with pytest.raises(RecipeInvalid, match="too far") as refused:
        mixer.latent(parents, Edits(interpolation="slerp"))  # their norm in one dimension
    assert refused.value.where == "parents"


def test_a_face_placed_by_hand_is_used_where_none_is_found(mixer):
    left_eye, right_eye, _, left_mouth, right_mouth = LANDMARKS.tolist()
    mouth = tuple((one + two) / 2 for one, two in zip(left_mouth, right_mouth, strict=True))
    points = PlacedPoints(left_eye=tuple(left_eye), right_eye=tuple(right_eye), mouth=mouth)
    found, placed = (mixer.mix([PhotoInput(png(portrait()), "p", placed=by)]) for by in (None, points))
    assert far_apart(placed.parents[0].chosen.crop, found.parents[0].chosen.crop) < 20
    assert placed.recipe.parents[0].placed == points
    assert placed.recipe.hash != found.recipe.hash


# --- the recipe --------------------------------------------------------------------------------------------


def test_the_recipe_names_everything_that_decides_the_face(mixer, engine):
    recipe = mixer.mix([a(0.25), SampleInput(6, "sample:6", weight=0.75)], Edits(interpolation="slerp", seed=11)).recipe
    assert recipe.model_dump(mode="json") == {
        "version": 1,
        "model": {"name": "tiny", "weights": engine.identity.weights, "latent_schema": 1},
        "parents": [
            {
                "kind": "photo",
                "sha256": hashlib.sha256(HEAD).hexdigest(),
                "face": 0,
                "placed": None,
                "weight": 0.25,
            },
            {"kind": "sample", "number": 6, "weight": 0.75},
        ],
        "interpolation": "slerp",
        "vividness": 0.0,
        "attributes": {},
        "regions": {},
        "colour": None,
        "variation": None,
        "detail": 0.0,
        "keep": {},
        "size": None,
        "placement": None,
        "seed": 11,
    }
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_the_recipes_hash_is_the_same_in_every_release():
    """Only a new field of the recipe may change it: the canonical JSON holds every field (`docs/recipe.md`)."""
    parents = [{"kind": "photo", "sha256": "ab" * 32, "face": 1, "weight": 0.25}]
    parents += [{"kind": "sample", "number": 6, "weight": 0.75}]
    model = {"name": "tiny", "weights": "cd" * 32, "latent_schema": 1}
    recipe = Recipe.model_validate({"model": model, "parents": parents})
    assert recipe.hash == "16563819093f4d844d77f3621ea2eb717d484bc933d89e4b4ac2c31888b8eac6"


def test_recipes_differ_where_the_faces_do(mixer):
    seen = {
        mixer.mix([a(0.5), b(0.5)]).recipe.hash,
        mixer.mix([a(0.25), b(0.75)]).recipe.hash,
        mixer.mix([b(0.5), a(0.5)]).recipe.hash,
        mixer.mix([a(0.5), b(0.5)], Edits(interpolation="slerp")).recipe.hash,
        mixer.mix([a(0.5), b(0.5)], Edits(vividness=0.25)).recipe.hash,
        mixer.mix([a(0.5), PhotoInput(CROWD, "crowd", face=1, weight=0.5)]).recipe.hash,
        mixer.mix([a(0.5), PhotoInput(CROWD, "crowd", face=0, weight=0.5)]).recipe.hash,
    }
    assert len(seen) == 7
    assert mixer.mix([a(2), b(2)]).recipe.hash in seen


# --- refusals ----------------------------------------------------------------------------------------------

REFUSED = {
    "nothing": (b"", ImageEmpty),
    "text": (text_named_jpg(), ImageUnsupported),
    "cut short": (truncated(jpeg(head())), ImageCorrupt),
    "a cat": (CAT, FaceNotFound),
    "far away": (png(far_away()), FaceTooSmall),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_refusal_names_the_photo_it_is_about(mixer, kind):
    data, error = REFUSED[kind]
    bad = PhotoInput(data, "photos/second.jpg")
    for parents in ([a(), bad], [bad, a()]):
        for ask in (mixer.mix, lambda parents: mixer.strip(*parents, steps=3)):
            with pytest.raises(error) as caught:
                ask(parents)
            assert caught.value.where == "photos/second.jpg"
            assert caught.value.hint


def test_of_two_bad_photos_the_first_is_named(mixer):
    with pytest.raises(ImageEmpty) as caught:
        mixer.mix([PhotoInput(b"", "one"), PhotoInput(CAT, "two")])
    assert caught.value.where == "one"


@pytest.mark.parametrize("index", [-1, 2, 1000])
def test_a_face_that_is_not_there_is_refused_with_the_ones_that_are(mixer, index):
    with pytest.raises(FaceChoiceInvalid, match="the photo has 2") as caught:
        mixer.mix([PhotoInput(CROWD, "crowd", face=index), b()])
    assert caught.value.where == "crowd"
    assert "0 (the largest) to 1" in caught.value.hint


def test_the_operators_limits_hold(engine, finder):
    mixer = BlockingMixer(Mixer(engine, here(finder, DecodeLimits(max_bytes=1000)), max_parents=2))
    with pytest.raises(ImageTooLarge):
        mixer.mix([a(), b()])
    with pytest.raises(RecipeInvalid, match="3 faces were given") as caught:
        mixer.mix([SampleInput(number, f"sample:{number}") for number in range(3)])
    assert "1 to 2" in caught.value.hint


@pytest.mark.parametrize("weights", [(0, 0), (-1, 2), (math.nan, 1), (math.inf, 1)])
def test_weights_without_a_meaning_are_refused_before_any_work(mixer, weights):
    with pytest.raises(RecipeInvalid):
        mixer.mix([PhotoInput(b"", "empty", weight=weights[0]), PhotoInput(b"", "empty", weight=weights[1])])


def test_no_face_is_no_mix(mixer):
    with pytest.raises(RecipeInvalid, match="0 faces"):
        mixer.mix([])


def test_one_face_alone_is_its_own_reconstruction(mixer, engine):
    np.testing.assert_array_equal(mixer.mix([a(0.3)]).image, reconstruction(mixer, engine, a()))


# --- threads, settings, golden pictures --------------------------------------------------------------------


@pytest.mark.slow
def test_eight_threads_each_get_their_own_face(mixer):
    photos = [HEAD, OTHER, CROWD, cmyk_jpeg(head())]
    jobs = [
        [PhotoInput(photos[n % 4], f"{n}.first", weight=1 + n), PhotoInput(photos[(n + 1 + n // 4) % 4], f"{n}.second")]
        for n in range(8)
    ]
    expected = [mixer.mix(job) for job in jobs]
    assert len({result.image.tobytes() for result in expected}) == 8
    together = Barrier(8)

    def work(job):
        together.wait(60)
        return mixer.mix(job)

    with ThreadPoolExecutor(8) as pool:
        for result, right in zip(pool.map(work, jobs), expected, strict=True):
            # The company in a batch may change a face by rounding.
            assert np.abs(result.image.astype(int) - right.image).max() <= 1
            assert result.recipe == right.recipe
            assert [parent.where for parent in result.parents] == [parent.where for parent in right.parents]


def test_the_settings_reach_every_part(checkpoint):
    settings = Settings(
        checkpoint=checkpoint, device="cpu", max_upload_bytes=2048, max_parents=3, max_steps=4, max_image_pixels=5000
    )
    mixer = BlockingMixer(mixer_from_settings(settings))
    assert mixer.model.name == "tiny"
    assert mixer.card["name"] == "tiny"
    with pytest.raises(ImageTooLarge):
        mixer.find_faces(a())
    with pytest.raises(RecipeInvalid, match="4 faces"):
        mixer.mix([SampleInput(0, "sample")] * 4)
    with pytest.raises(RecipeInvalid, match="steps is 5"):
        mixer.strip(SampleInput(0, "a"), SampleInput(1, "b"), steps=5)


@pytest.fixture(scope="module")
def of_release():
    return golden_mixer()


@pytest.mark.parametrize("name", PICTURES)
def test_the_pictures_are_those_of_earlier_releases(of_release, name):
    """`tests/draw_golden.py` draws them anew where a change is meant."""
    with Image.open(GOLDEN / f"{name}.png") as image:
        golden = np.asarray(image)
    drawn = PICTURES[name](of_release)
    assert drawn.shape == golden.shape
    difference = np.abs(drawn.astype(int) - golden)
    # Detector, resampling and convolutions round differently between processors.
    assert difference.mean() < 1
    assert difference.max() <= 12


# --- no work twice -----------------------------------------------------------------------------------------


class Counted(Observer):
    """What reached the device, and what came out of the caches."""

    def __init__(self) -> None:
        self.frames = {"encode": 0, "decode": 0}
        self.hits = []
        self.stages = []

    def batch(self, kind, frames, jobs, seconds):
        self.frames[kind] += frames

    def cache(self, name, hit):
        self.hits.append((name, hit))

    def stage(self, name, seconds):
        self.stages.append(name)


@pytest.fixture
def watched(checkpoint, finder):
    counted = Counted()
    engine = Engine(checkpoint, device="cpu", observer=counted)
    made = BlockingMixer(Mixer(engine, here(finder), cache_bytes=1 << 20, cache_seconds=600, observer=counted))
    yield made, counted
    made.close()


def test_a_photo_is_looked_at_and_encoded_once(watched):
    mixer, counted = watched
    first = mixer.mix([a(0.3), b(0.7)])
    assert (first.cost.frames_encoded, first.cost.frames_decoded) == (2, 1)
    assert first.cost.device_seconds > 0
    counted.hits.clear()
    second = mixer.mix([PhotoInput(OTHER, "renamed", weight=0.7), a(0.3)])
    assert (second.cost.frames_encoded, second.cost.frames_decoded) == (0, 1)
    assert counted.frames["encode"] == 2
    assert [hit for _, hit in counted.hits] == [True] * 4
    assert [parent.where for parent in second.parents] == ["renamed", "face_a"]
    assert np.abs(first.image.astype(int) - second.image).max() <= 1


def test_a_strip_is_one_job(watched):
    mixer, counted = watched
    strip = mixer.strip(a(), b(), steps=33)
    assert counted.frames == {"encode": 2, "decode": 33}
    assert strip.cost.frames_decoded == 33
    assert counted.stages == ["look", "encode", "decode"]


def test_the_crops_of_one_request_meet_in_one_batch(checkpoint, finder):
    """Where the device is busy when they come; alone, it may take the first before the second is there."""
    batches = []

    class Batches(Observer):
        def batch(self, kind, frames, jobs, seconds):
            batches.append((kind, frames))

    engine = Engine(checkpoint, device="cpu", observer=Batches())
    gate, entered = threading.Event(), threading.Event()
    decode = engine.batcher._work["decode"]

    def held(z):
        entered.set()
        assert gate.wait(60)
        return decode(z)

    engine.batcher._work = {**engine.batcher._work, "decode": held}
    mixer = Mixer(engine, here(finder, threads=2))

    async def go():
        first = asyncio.ensure_future(mixer.sample(0))
        await asyncio.to_thread(entered.wait, 60)
        second = asyncio.ensure_future(mixer.mix([a(), b(), PhotoInput(CROWD, "crowd")]))
        while engine.batcher.depth < 3:
            await asyncio.sleep(0.001)
        gate.set()
        await asyncio.gather(first, second)

    asyncio.run(go())
    mixer.close()
    assert batches == [("decode", 1), ("encode", 3), ("decode", 1)]


def test_another_face_of_a_photo_is_encoded_but_not_looked_for_again(watched):
    mixer, counted = watched
    for index in (0, 1):
        mixer.mix([PhotoInput(CROWD, "crowd", face=index), SampleInput(0, "sample:0")])
    assert counted.hits == [("photos", False), ("latents", False), ("photos", True), ("latents", False)]


def test_a_refusal_that_is_remembered_names_each_photo_by_its_own_name(watched):
    mixer, _ = watched
    far = png(far_away())
    for name in ("first.jpg", "second.jpg"):
        with pytest.raises(FaceTooSmall) as caught:
            mixer.mix([PhotoInput(far, name), a()])
        assert caught.value.where == name


def test_a_refusal_that_is_kept_keeps_nothing_of_those_who_met_it(watched):
    mixer, _ = watched
    far = png(far_away())
    for _ in range(3):
        with pytest.raises(FaceTooSmall):
            mixer.mix([PhotoInput(far, "far.jpg"), a()])
    kept = mixer.find_faces(PhotoInput(far, "far.jpg")).faces[0].refusal
    assert kept.__traceback__ is None
    assert kept.where is None


def test_two_equal_bad_photos_are_each_named_rightly(watched):
    mixer, _ = watched
    with pytest.raises(FaceNotFound) as caught:
        mixer.mix([PhotoInput(CAT, "one"), PhotoInput(CAT, "two")])
    assert caught.value.where == "one"
    with pytest.raises(FaceNotFound) as caught:
        mixer.mix([a(), PhotoInput(CAT, "two")])
    assert caught.value.where == "two"


def test_nothing_is_kept_after_the_end(checkpoint, finder):
    inner = Mixer(Engine(checkpoint, device="cpu"), here(finder), cache_bytes=1 << 20, cache_seconds=600)
    mixer = BlockingMixer(inner)
    mixer.mix([a(), b()])
    kept = inner.vitals().cache_bytes
    assert kept["photos"] > 0
    assert kept["latents"] > 0
    mixer.close()
    assert set(inner.vitals().cache_bytes.values()) == {0}


# --- deadlines, leaving, a full queue ----------------------------------------------------------------------


def test_past_its_deadline_a_request_is_given_up(mixer):
    past = time.monotonic() - 1
    for ask in (lambda: mixer.mix([a(), b()], deadline=past), lambda: mixer.strip(a(), b(), steps=3, deadline=past)):
        with pytest.raises(DeadlineExceeded):
            ask()
    samples = [SampleInput(0, "sample:0"), SampleInput(1, "sample:1")]
    with pytest.raises(DeadlineExceeded):
        mixer.mix(samples, deadline=past)
    assert mixer.mix([a(), b()], deadline=time.monotonic() + 60).image.shape


def test_who_leaves_takes_their_work_along(checkpoint, finder):
    """Cancelled while another holds the device, a mix never reaches it."""
    counted = Counted()
    engine = Engine(checkpoint, device="cpu", observer=counted)
    mixer = Mixer(engine, here(finder), observer=counted)
    gate, entered = threading.Event(), threading.Event()
    work = engine.batcher._work["decode"]

    def held(z):
        entered.set()
        assert gate.wait(60)
        return work(z)

    engine.batcher._work = {**engine.batcher._work, "decode": held}

    async def go():
        first = asyncio.ensure_future(mixer.sample(0))
        await asyncio.to_thread(entered.wait, 60)
        second = asyncio.ensure_future(mixer.sample(1))
        while not engine.batcher.depth:
            await asyncio.sleep(0.001)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        gate.set()
        return await first

    assert asyncio.run(go()).image.shape == (TINY.crop_size, TINY.crop_size, 3)
    mixer.close()
    assert counted.frames["decode"] == 1


def test_a_device_that_hangs_costs_nobody_more_than_their_patience(checkpoint, finder, monkeypatch):
    monkeypatch.setattr("facemix.serving.inference.GRACE_SECONDS", 0.1 - 60)  # of a deadline that is far away
    engine = Engine(checkpoint, device="cpu")
    gate = threading.Event()
    work = engine.batcher._work["decode"]
    engine.batcher._work = {**engine.batcher._work, "decode": lambda z: gate.wait(60) and work(z)}
    mixer = BlockingMixer(Mixer(engine, here(finder)))
    with pytest.raises(DeadlineExceeded, match="did not answer"):
        mixer._wait(mixer.mixer.sample(0, deadline=time.monotonic() + 60))
    gate.set()
    mixer.close()


def test_a_latent_from_outside_that_is_no_face_is_refused(mixer):
    far = np.full(TINY.latent_size, 100, np.float32)
    near = LatentInput(np.zeros(TINY.latent_size, np.float32), "parents.0")
    with pytest.raises(LatentRefused, match="as far out") as refused:
        mixer.mix([near, LatentInput(far, "parents.1")])
    assert refused.value.where == "parents.1"
    kept = LatentInput(far, "parents.1", parent=PhotoParent(sha256="0" * 64, weight=1))
    assert mixer.mix([near, kept]).image.shape  # it was encoded here


def test_results_are_judged_with_the_latents_they_were_decoded_from(mixer, monkeypatch):
    class Gate:
        def __init__(self) -> None:
            self.seen = []

        def margins(self, frames, latents):
            self.seen.append((frames.copy(), latents.copy()))
            if len(frames) == 3:
                raise ResultWithheld("the result is withheld", hint="mix others", frame=1)
            return tuple(0.5 - index / 10 for index in range(len(frames)))

    gate = Gate()
    monkeypatch.setattr(mixer.mixer.finisher, "gate", gate)
    parents = [SampleInput(1, "parents.0", 0.5), SampleInput(2, "parents.1", 0.5)]
    plain, parted = Edits(), Edits.of(regions={"eyes": (1.0, 0.0)})
    made = mixer.frames(parents, [FrameSpec((0.5, 0.5), parted), FrameSpec((0.0, 1.0), plain)])
    assert made.margins == (0.5, 0.4)
    frames, latents = gate.seen[0]
    np.testing.assert_array_equal(frames, made.frames)
    np.testing.assert_allclose(latents, [made.latents.mean(0), made.latents[1]], atol=1e-5)
    assert mixer.mix(parents).margin == 0.5
    with pytest.raises(ResultWithheld):
        mixer.strip(*parents, steps=3)


def test_a_sample_is_judged_as_every_result_is(mixer, monkeypatch):
    class Gate:
        def margins(self, frames, latents):
            np.testing.assert_array_equal(latents, mixer.mixer.engine.draw(3, seed=5)[None].numpy())
            assert frames.shape[0] == 1
            return self.found()

    def refuse():
        raise ResultWithheld("the result is withheld", hint="mix others", frame=0)

    gate = Gate()
    assert mixer._wait(mixer.mixer.sample(3, seed=5)).margin == 1.0
    monkeypatch.setattr(mixer.mixer.finisher, "gate", gate)
    gate.found = lambda: (0.25,)
    assert mixer._wait(mixer.mixer.sample(3, seed=5)).margin == 0.25
    gate.found = refuse
    with pytest.raises(ResultWithheld):
        mixer.sample(3, seed=5)
