import base64
from io import BytesIO

import numpy as np
import pytest
from files import scene
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from facemix.errors import RequestInvalid
from facemix.imaging.decode import DecodeLimits, decode_image
from facemix.imaging.encode import MEDIA_TYPES, data_uri, encode_image, encode_mask, media_type_for_path

TYPES = list(MEDIA_TYPES)


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3))))
def test_png_gives_back_every_pixel(pixels):
    decoded = decode_image(encode_image(pixels, "image/png"), DecodeLimits(min_side=1))
    np.testing.assert_array_equal(decoded.pixels, pixels)


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/webp"])
def test_lossy_types_stay_close(media_type):
    decoded = decode_image(encode_image(scene(), media_type))
    assert np.abs(decoded.pixels.astype(int) - scene()).mean() < 4


@pytest.mark.parametrize("media_type", TYPES)
def test_the_bytes_are_of_the_type_and_carry_no_metadata(media_type):
    with Image.open(BytesIO(encode_image(scene(), media_type))) as image:
        assert Image.MIME[image.format] == media_type
        assert image.mode == "RGB"
        assert not {"exif", "icc_profile", "xmp", "comment"} & set(image.info)


@pytest.mark.parametrize("media_type", TYPES)
def test_the_same_pixels_give_the_same_bytes(media_type):
    assert encode_image(scene(), media_type) == encode_image(scene().copy(), media_type)


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/webp"])
def test_quality_costs_bytes(media_type):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert len(encode_image(noise, media_type, quality=30)) < len(encode_image(noise, media_type, quality=95))


@pytest.mark.parametrize("media_type", TYPES)
def test_a_view_is_accepted(media_type):
    mirrored = scene()[:, ::-1]
    assert encode_image(mirrored, media_type) == encode_image(np.ascontiguousarray(mirrored), media_type)


@pytest.mark.parametrize("quality", [0, 101])
def test_a_quality_out_of_range_is_refused(quality):
    with pytest.raises(RequestInvalid, match=str(quality)):
        encode_image(scene(), "image/jpeg", quality=quality)


def test_an_unknown_type_is_refused_with_the_list():
    with pytest.raises(RequestInvalid) as refused:
        encode_image(scene(), "image/gif")
    assert all(media_type in refused.value.hint for media_type in TYPES)


@pytest.mark.parametrize("pixels", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_other_arrays_are_refused(pixels):
    with pytest.raises(ValueError, match="uint8"):
        encode_image(pixels, "image/png")


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("out.png", "image/png"),
        ("a/b.JPG", "image/jpeg"),
        ("x.jpeg", "image/jpeg"),
        ("x.y.webp", "image/webp"),
    ],
)
def test_the_extension_chooses_the_type(path, media_type):
    assert media_type_for_path(path) == media_type


@pytest.mark.parametrize("path", ["out.gif", "out", "png", ".png.txt"])
def test_an_unknown_extension_is_refused_with_the_list(path):
    with pytest.raises(RequestInvalid) as refused:
        media_type_for_path(path)
    assert path in refused.value.message
    assert ".png, .jpg, .jpeg, .webp" in refused.value.hint


def test_data_uri_carries_the_encoded_bytes():
    head, _, body = data_uri(scene(), "image/webp").partition(",")
    assert head == "data:image/webp;base64"
    assert base64.b64decode(body, validate=True) == encode_image(scene(), "image/webp")


@pytest.mark.parametrize(("media_type", "longest"), [("image/webp", 16_383), ("image/jpeg", 65_500)])
def test_a_picture_longer_than_its_format_can_hold_is_refused(media_type, longest):
    assert encode_image(np.zeros((1, longest, 3), np.uint8), media_type)
    for shape in ((1, longest + 1, 3), (longest + 1, 1, 3)):
        with pytest.raises(RequestInvalid, match=f"{longest:,} on a side"):
            encode_image(np.zeros(shape, np.uint8), media_type)


@pytest.mark.parametrize(("quality", "blocks"), [(89, 16), (90, 8)])
def test_colour_is_kept_at_full_resolution_from_ninety_up(quality, blocks):
    with Image.open(BytesIO(encode_image(scene(), "image/jpeg", quality=quality))) as image:
        assert image.layer[0][1] * 8 == blocks


def test_a_mask_is_white_and_as_opaque_as_it_says():
    mask = np.array([[0, 0.25, 0.5], [0.998, 1, 1e-9]], np.float32)
    with Image.open(BytesIO(encode_mask(mask))) as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("RGBA"))
    assert (pixels[..., :3] == 255).all()
    assert pixels[..., 3].tolist() == [[0, 64, 128], [254, 255, 0]]
