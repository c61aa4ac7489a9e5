import builtins
import threading
import warnings
import zlib

import files
import numpy as np
import pytest
from files import scene
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps

from facemix.errors import (
    FacemixError,
    ImageCorrupt,
    ImageEmpty,
    ImageTooLarge,
    ImageTooManyPixels,
    ImageTooSmall,
    ImageUnsupported,
    InstallationError,
)
from facemix.imaging.decode import PIXEL_CEILING, DecodeLimits, Photograph, decode_image
from facemix.settings import Settings

EVERYTHING = DecodeLimits(allow_heif=True, allow_avif=True)
SCENE = scene()
WHITE = [255, 255, 255]


def difference(decoded, expected):
    """Mean absolute difference in levels; shapes must agree."""
    assert decoded.pixels.shape == expected.shape
    return np.abs(decoded.pixels.astype(int) - expected.astype(int)).mean()


def refusal(data, limits=EVERYTHING, **options):
    with pytest.raises(FacemixError) as refused:
        decode_image(data, limits, **options)
    assert refused.value.hint
    return refused.value


# --- what is accepted --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "kind", "tolerance"),
    [
        (files.jpeg, "JPEG", 3),
        (files.png, "PNG", 0),
        (files.webp, "WebP", 0),
        (files.heic, "HEIC", 6),
        (files.avif, "AVIF", 6),
    ],
)
def test_every_format_becomes_the_same_picture(build, kind, tolerance):
    decoded = decode_image(build(SCENE), EVERYTHING)
    assert decoded.format == kind
    assert decoded.notes == ()
    assert difference(decoded, SCENE) <= tolerance


@pytest.mark.parametrize("build", [files.jpeg, files.cmyk_jpeg, files.palette_png, files.sideways_webp])
def test_the_array_is_owned_writable_and_contiguous(build):
    data = build(SCENE, 6) if build is files.sideways_webp else build(SCENE)
    pixels = decode_image(data).pixels
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable


@pytest.mark.parametrize("orientation", files.ORIENTATIONS)
@pytest.mark.parametrize(
    ("build", "tolerance"), [(files.sideways_jpeg, 3), (files.sideways_png, 0), (files.sideways_webp, 0)]
)
def test_a_sideways_photo_comes_out_upright(build, tolerance, orientation):
    decoded = decode_image(build(SCENE, orientation))
    assert difference(decoded, SCENE) <= tolerance
    assert bool(decoded.notes) == (orientation != 1)
    assert all("EXIF orientation" in note for note in decoded.notes)


@pytest.mark.parametrize("orientation", files.ORIENTATIONS)
def test_orientation_agrees_with_pillow(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(SCENE)
    stored.info["exif"] = exif.tobytes()
    theirs = ImageOps.exif_transpose(stored)
    ours = decode_image(files.png(SCENE, exif=exif))
    np.testing.assert_array_equal(ours.pixels, np.asarray(theirs))


def test_an_impossible_orientation_is_ignored_with_a_note():
    decoded = decode_image(files.sideways_jpeg(SCENE, 42))
    assert difference(decoded, SCENE) < 3
    assert "42" in decoded.notes[0]


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0" + b"\xff" * 60_000])
def test_a_broken_exif_block_is_ignored(exif):
    data = files.jpeg(SCENE)
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    assert difference(decode_image(data[:2] + segment + data[2:]), SCENE) < 3


def test_the_first_picture_of_an_mpo_is_used():
    decoded = decode_image(files.mpo(SCENE))
    assert decoded.format == "JPEG"
    assert decoded.notes == ("the first of 2 frames was used",)
    assert difference(decoded, SCENE) < 4


@pytest.mark.parametrize(("build", "frames"), [(files.animated_webp, 12), (files.animated_png, 3)])
def test_the_first_frame_of_a_moving_picture_is_used(build, frames):
    decoded = decode_image(build(SCENE))
    assert decoded.notes == (f"the first of {frames} frames was used",)
    assert difference(decoded, SCENE) == 0


@pytest.mark.parametrize("adobe", [True, False])
def test_cmyk_keeps_its_colours(adobe):
    decoded = decode_image(files.cmyk_jpeg(SCENE, adobe=adobe))
    assert decoded.notes == ("converted from CMYK",)
    assert difference(decoded, SCENE) < 6


def test_sixteen_bit_grey_is_scaled_not_clipped():
    ramp = np.linspace(0, 65535, 64).round().astype(np.uint16)[None].repeat(40, 0)
    decoded = decode_image(files.grey16_png(ramp))
    assert decoded.notes == ("converted from 16 bits per channel",)
    expected = np.round(ramp / 257).astype(np.uint8)[..., None].repeat(3, 2)
    np.testing.assert_array_equal(decoded.pixels, expected)


def test_sixteen_bit_colour_is_scaled():
    decoded = decode_image(files.rgb16_png(SCENE.astype(np.uint16) * 257))
    assert decoded.notes == ("converted from 16 bits per channel",)
    assert difference(decoded, SCENE) == 0


def test_a_palette_keeps_its_colours():
    decoded = decode_image(files.palette_png(SCENE, see_through=False))
    assert decoded.notes == ()
    assert difference(decoded, SCENE) < 12


def test_transparent_parts_of_a_palette_become_white():
    decoded = decode_image(files.palette_png(SCENE))
    assert decoded.notes == ("transparent parts were put on white",)
    assert (decoded.pixels[:24] == 255).all()
    assert np.abs(decoded.pixels[24:].astype(int) - SCENE[24:]).mean() < 12


def test_alpha_is_flattened_on_white():
    alpha = np.full(SCENE.shape[:2], 255, np.uint8)
    alpha[0], alpha[1] = 0, 128
    decoded = decode_image(files.rgba_png(SCENE, alpha))
    assert decoded.pixels[0].tolist() == [WHITE] * 64
    np.testing.assert_allclose(decoded.pixels[1], SCENE[1] * (128 / 255) + 127, atol=1.01)
    np.testing.assert_array_equal(decoded.pixels[2:], SCENE[2:])
    assert decoded.notes == ("transparent parts were put on white",)


def test_opaque_alpha_is_not_worth_a_note():
    decoded = decode_image(files.rgba_png(SCENE, np.full(SCENE.shape[:2], 255, np.uint8)))
    assert decoded.notes == ()
    assert difference(decoded, SCENE) == 0


def test_grey_with_alpha_is_flattened_on_white():
    alpha = np.zeros(SCENE.shape[:2], np.uint8)
    alpha[24:] = 255
    decoded = decode_image(files.grey_alpha_png(SCENE[..., 0], alpha))
    assert (decoded.pixels[:24] == 255).all()
    np.testing.assert_array_equal(decoded.pixels[24:], SCENE[24:, :, :1].repeat(3, 2))


def test_one_bit_becomes_black_and_white():
    board = np.indices((40, 40)).sum(0) % 2 == 0
    decoded = decode_image(files.one_bit_png(board))
    np.testing.assert_array_equal(decoded.pixels, np.where(board, 255, 0)[..., None].repeat(3, 2))


@pytest.mark.parametrize("bits", [2, 4])
def test_few_grey_levels_are_scaled(bits):
    rows = (b"\0" + bytes([0b11100100 if bits == 2 else 0xF0]) * (40 * bits // 8)) * 40
    decoded = decode_image(files.raw_png(40, 40, bits, 0, zlib.compress(rows)))
    assert set(np.unique(decoded.pixels)) == ({0, 85, 170, 255} if bits == 2 else {0, 255})


def test_one_transparent_colour_becomes_white():
    rows = (b"\0" + b"\x0a\x14\x1e" * 20 + b"\x01\x02\x03" * 20) * 40
    transparent = files.png_chunk(b"tRNS", bytes([0, 10, 0, 20, 0, 30]))
    decoded = decode_image(files.raw_png(40, 40, 8, 2, zlib.compress(rows), transparent))
    assert decoded.pixels[0, 0].tolist() == WHITE
    assert decoded.pixels[0, 39].tolist() == [1, 2, 3]


@pytest.mark.parametrize(("build", "tolerance"), [(files.jpeg, 8), (files.png, 3), (files.webp, 3)])
def test_a_colour_profile_is_applied(build, tolerance):
    flat = np.full((40, 40, 3), (200, 60, 30), np.uint8)
    decoded = decode_image(build(flat, icc_profile=files.swapped_profile()))
    assert difference(decoded, flat[..., [1, 0, 2]]) < tolerance
    assert "profile" in decoded.notes[0]


@pytest.mark.parametrize("profile", [b"nonsense", files.swapped_profile()[:300]])
def test_a_broken_colour_profile_is_ignored_with_a_note(profile):
    decoded = decode_image(files.png(SCENE, icc_profile=profile))
    assert difference(decoded, SCENE) == 0
    assert decoded.notes == ("its colour profile cannot be read and was ignored",)


def test_a_colour_profile_for_another_space_is_ignored_with_a_note():
    grey = Image.fromarray(SCENE[..., 0])
    decoded = decode_image(files.saved(grey, "PNG", icc_profile=files.swapped_profile()))
    assert decoded.notes == ("its colour profile is for RGB and was ignored",)


@pytest.mark.parametrize("build", [files.jpeg, files.png, files.webp])
def test_max_side_reduces_and_says_so(build):
    large = scene(640, 480)
    decoded = decode_image(build(large), DecodeLimits(max_side=64))
    assert decoded.notes == ("reduced from 640 x 480 to 64 x 48 pixels",)
    expected = large.reshape(48, 10, 64, 10, 3).mean(axis=(1, 3))
    assert difference(decoded, expected) < 3


def test_max_side_counts_after_turning():
    decoded = decode_image(files.sideways_jpeg(scene(640, 480), 6), DecodeLimits(max_side=64))
    assert decoded.pixels.shape == (48, 64, 3)


def test_max_side_leaves_smaller_pictures_alone():
    decoded = decode_image(files.png(SCENE), DecodeLimits(max_side=64))
    assert decoded.notes == ()
    assert difference(decoded, SCENE) == 0


# --- what is refused ---------------------------------------------------------------------------------------


def test_an_empty_file():
    assert isinstance(refusal(b""), ImageEmpty)


def test_a_text_file_named_jpg():
    error = refusal(files.text_named_jpg())
    assert isinstance(error, ImageUnsupported)
    assert "begins with text" in error.message
    assert "JPEG" in error.hint


def test_the_refusal_lists_what_is_accepted():
    assert "JPEG, PNG or WebP" in refusal(b"GIF89a" + bytes(20), DecodeLimits()).message
    assert "WebP, HEIC or AVIF" in refusal(b"GIF89a" + bytes(20), EVERYTHING).message


@pytest.mark.parametrize("build", [files.jpeg, files.png, files.webp, files.heic, files.avif])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_file_cut_short(build, share):
    error = refusal(files.truncated(build(scene(200, 150)), share))
    assert isinstance(error, ImageCorrupt)
    assert "save it again" in error.hint


def test_a_progressive_jpeg_cut_short():
    assert isinstance(refusal(files.truncated(files.jpeg(scene(200, 150), progressive=True), 0.7)), ImageCorrupt)


def test_a_file_with_too_many_bytes_is_refused_before_it_is_looked_at():
    error = refusal(bytes(2000), DecodeLimits(max_bytes=1999))
    assert isinstance(error, ImageTooLarge)
    assert "2,000" in error.message
    assert "1,999" in error.message


@pytest.mark.parametrize(
    "data",
    [
        files.huge_png(),
        files.claimed_png(13_000, 13_000),
        files.claimed_jpeg(13_000, 13_000),
        files.claimed_webp(13_000, 13_000),
    ],
    ids=["real", "png", "jpeg", "webp"],
)
def test_too_many_pixels_are_refused_from_the_header(data, monkeypatch):
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("pixels were decoded"))
    error = refusal(data)
    assert isinstance(error, ImageTooManyPixels)
    assert "13000 x 13000" in error.message
    assert "50,000,000" in error.message


def test_the_bomb_is_real():
    data = files.huge_png(700)
    decoded = decode_image(data)
    assert decoded.pixels.shape == (700, 700, 3)
    assert len(files.huge_png()) < 600_000


@pytest.mark.parametrize("side", [2**16 - 1, 2**24 - 1, 2**31 - 1])
def test_no_claim_is_too_large_to_be_refused(side):
    assert isinstance(refusal(files.claimed_png(side, side)), ImageTooManyPixels)


def test_an_operator_cannot_raise_the_cap_beyond_what_pillow_decodes():
    error = refusal(files.claimed_png(20_000, 20_000), DecodeLimits(max_pixels=10**9))
    assert f"{PIXEL_CEILING:,}" in error.message


@pytest.mark.parametrize("build", [files.jpeg, files.png])
def test_pillows_global_limit_takes_no_part(build, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    decode_image(build(SCENE))
    error = refusal(build(SCENE), DecodeLimits(max_pixels=1000))
    assert "64 x 48" in error.message


def test_pillows_global_limit_is_left_alone():
    before = Image.MAX_IMAGE_PIXELS
    refusal(files.claimed_png(13_000, 13_000))
    decode_image(files.png(SCENE))
    assert before == Image.MAX_IMAGE_PIXELS
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


@pytest.mark.parametrize(("width", "height"), [(31, 64), (64, 31), (1, 1)])
def test_a_picture_that_is_too_small(width, height):
    error = refusal(files.png(scene(width, height)))
    assert isinstance(error, ImageTooSmall)
    assert f"{width} x {height}" in error.message


@pytest.mark.parametrize("build", [files.claimed_png, files.claimed_jpeg])
@pytest.mark.parametrize(("width", "height"), [(0, 64), (64, 0)])
def test_a_side_of_zero(build, width, height):
    assert isinstance(refusal(build(width, height)), ImageCorrupt)


def test_a_webp_that_claims_another_size_than_it_has():
    assert isinstance(refusal(files.claimed_webp(200, 200)), ImageCorrupt)


def test_compressed_text_is_never_unpacked():
    bomb = zlib.compress(bytes(64 * 2**20))
    chunk = files.png_chunk(b"zTXt", b"Comment\0\0" + bomb)
    data = files.png(SCENE)
    decoded = decode_image(data[:33] + chunk * 20 + data[33:])
    assert difference(decoded, SCENE) == 0


def test_pixels_that_do_not_unpack():
    assert isinstance(refusal(files.raw_png(64, 64, 8, 2, b"not zlib at all")), ImageCorrupt)
    assert isinstance(refusal(files.claimed_png(64, 64)), ImageCorrupt)


@pytest.mark.parametrize(
    ("build", "kind", "setting"),
    [(files.heic, "HEIC", "FACEMIX_ALLOW_HEIF"), (files.avif, "AVIF", "FACEMIX_ALLOW_AVIF")],
)
def test_heic_and_avif_are_off_by_default(build, kind, setting):
    error = refusal(build(SCENE), DecodeLimits())
    assert isinstance(error, ImageUnsupported)
    assert kind in error.message
    assert "JPEG" in error.hint
    assert setting in error.hint


def test_allowed_heic_without_its_decoder_names_the_extra(monkeypatch):
    data = files.heic(SCENE)
    whole = builtins.__import__

    def without_heif(name, *rest, **options):
        if name.startswith("pillow_heif"):
            raise ImportError(name)
        return whole(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without_heif)
    error = refusal(data)
    assert isinstance(error, InstallationError)
    assert "pip install facemix[heif]" in error.hint


def test_too_little_memory_is_a_refusal(monkeypatch):
    def out_of_memory(self):
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", out_of_memory)
    error = refusal(files.png(SCENE))
    assert isinstance(error, ImageTooManyPixels)
    assert "64 x 48" in error.message


def test_every_error_names_its_input():
    assert refusal(b"", where="face_b").where == "face_b"
    assert refusal(files.truncated(files.jpeg(SCENE)), where="parents.1").where == "parents.1"
    assert refusal(b"").where is None


def test_limits_follow_the_settings():
    chosen = Settings(max_upload_bytes=2048, max_image_pixels=4096, allow_heif=True, allow_avif=True)
    assert DecodeLimits.from_settings(chosen) == DecodeLimits(2048, 4096, True, True)
    assert DecodeLimits.from_settings(Settings()) == DecodeLimits()


def test_many_threads_get_the_same_and_leave_the_warning_filters_alone():
    before = list(warnings.filters)
    data = files.sideways_jpeg(SCENE, 6)
    expected = decode_image(data).pixels
    wrong = []

    def work():
        for _ in range(20):
            if not np.array_equal(decode_image(data).pixels, expected):
                wrong.append("pixels")
            try:
                decode_image(files.claimed_png(13_000, 13_000))
            except ImageTooManyPixels:
                continue
            wrong.append("accepted")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert warnings.filters == before


# --- hostile bytes -----------------------------------------------------------------------------------------

VALID = {
    "jpeg": files.sideways_jpeg(SCENE, 6),
    "progressive": files.jpeg(SCENE, progressive=True, icc_profile=files.swapped_profile()),
    "cmyk": files.cmyk_jpeg(SCENE),
    "mpo": files.mpo(SCENE),
    "png": files.sideways_png(SCENE, 3),
    "grey16": files.grey16_png(SCENE[..., 0].astype(np.uint16) * 257),
    "palette": files.palette_png(SCENE),
    "profile": files.png(SCENE, icc_profile=files.swapped_profile()),
    "webp": files.sideways_webp(SCENE, 8),
    "lossy": files.webp(SCENE, lossless=False),
    "moving": files.animated_webp(SCENE, 3),
    "heic": files.heic(SCENE),
    "avif": files.avif(SCENE),
}
MAGIC = (
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF\x40\0\0\0WEBP",
    b"\0\0\0\x18ftypavif",
    b"\0\0\0\x18ftypheic",
)


def answers(data):
    """Either a proper picture or one of our own refusals; any other exception fails the test by itself."""
    try:
        decoded = decode_image(data, DecodeLimits(max_pixels=10_000, allow_heif=True, allow_avif=True))
    except FacemixError as error:
        refused = error
    else:
        height, width, channels = decoded.pixels.shape
        assert channels == 3
        assert decoded.pixels.dtype == np.uint8
        assert 32 * 32 <= width * height <= 10_000
        return
    assert refused.message
    assert refused.hint
    assert 400 <= refused.status < 500


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(MAGIC), st.binary(max_size=400))
def test_arbitrary_bytes_get_an_answer(magic, tail):
    answers(magic + tail)


@pytest.mark.parametrize("name", VALID)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_mutated_files_get_an_answer(name, data):
    whole = bytearray(VALID[name])
    for _ in range(data.draw(st.integers(1, 6), label="edits")):
        # Half of the edits fall on the first bytes, where the headers are.
        reach = len(whole) if data.draw(st.booleans()) else min(200, len(whole))
        whole[data.draw(st.integers(0, reach - 1))] = data.draw(st.integers(0, 255))
    answers(bytes(whole))


@pytest.mark.parametrize("name", VALID)
@settings(max_examples=15, deadline=None)
@given(share=st.floats(0, 1))
def test_truncated_files_get_an_answer(name, share):
    answers(files.truncated(VALID[name], share))


@pytest.mark.parametrize("name", ["png", "grey16", "palette", "profile"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_mutated_png_chunks_with_right_checksums_get_an_answer(name, data):
    whole = VALID[name]
    parts, at = [whole[:8]], 8
    while at < len(whole):
        length = int.from_bytes(whole[at : at + 4], "big")
        kind, body = whole[at + 4 : at + 8], bytearray(whole[at + 8 : at + 8 + length])
        if body and data.draw(st.booleans()):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        parts.append(files.png_chunk(kind, bytes(body)))
        at += 12 + length
    answers(b"".join(parts))


# --- no more of it than is asked for -----------------------------------------------------------------------


LARGE = scene(803, 602)  # divided by none of the scales


@pytest.mark.parametrize(("side", "given"), [(1, 101), (100, 101), (102, 201), (300, 402), (401, 402), (403, 803)])
def test_a_jpeg_is_decoded_no_larger_than_it_is_asked_for(side, given):
    photo = Photograph(files.jpeg(LARGE))
    pixels = photo.pixels(side)
    assert (photo.width, photo.height) == (803, 602)
    assert max(pixels.shape[:2]) == given
    reduced = np.array(Image.fromarray(LARGE).resize(pixels.shape[1::-1], Image.Resampling.BOX))
    assert np.abs(pixels.astype(int) - reduced).mean() < 3


def test_more_is_decoded_when_more_is_asked_for_and_never_less():
    photo = Photograph(files.jpeg(LARGE))
    sizes = [photo.pixels(side).shape[1] for side in (100, 200, 50, 500, 100)]
    assert sizes == [101, 201, 201, 803, 803]
    assert photo.pixels() is photo.pixels(5000)
    np.testing.assert_array_equal(photo.pixels(), decode_image(files.jpeg(LARGE)).pixels)


@pytest.mark.parametrize("build", [files.png, files.webp, files.heic, files.avif])
def test_other_formats_are_decoded_whole(build):
    assert Photograph(build(LARGE), EVERYTHING).pixels(10).shape == LARGE.shape


@pytest.mark.parametrize("orientation", files.ORIENTATIONS)
@pytest.mark.parametrize("side", [100, 1000])
def test_a_reduced_photograph_is_upright_and_so_are_its_sides(orientation, side):
    photo = Photograph(files.sideways_jpeg(LARGE, orientation))
    pixels = photo.pixels(side)
    assert (photo.width, photo.height) == photo.sent == (803, 602)
    assert pixels.shape[1] > pixels.shape[0]
    blue = pixels[: pixels.shape[0] // 4, : pixels.shape[1] // 4, 2]
    assert blue.mean() > 200 > 50 > pixels[pixels.shape[0] // 2 :, :, 2].mean()


def test_max_side_is_the_full_size_and_less_can_be_had():
    photo = Photograph(files.jpeg(LARGE), DecodeLimits(max_side=600))
    assert (photo.width, photo.height) == (600, 450)
    assert photo.pixels(100).shape == (76, 101, 3)
    assert photo.notes == ("reduced from 803 x 602 to 600 x 450 pixels",)
    assert photo.pixels(450).shape == (450, 600, 3)
    assert photo.notes == ("reduced from 803 x 602 to 600 x 450 pixels",)
    np.testing.assert_array_equal(photo.pixels(), decode_image(files.jpeg(LARGE), DecodeLimits(max_side=600)).pixels)


@pytest.mark.parametrize("orientation", files.ORIENTATIONS)
@pytest.mark.parametrize("build", [files.sideways_jpeg, files.sideways_png])
def test_the_size_that_was_sent_is_known_and_upright_too(build, orientation):
    photo = Photograph(build(LARGE, orientation), DecodeLimits(max_side=600))
    assert photo.sent == (803, 602)
    assert (photo.width, photo.height) == (600, 450)


def test_what_the_header_shows_is_refused_before_any_pixel(monkeypatch):
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("pixels were decoded"))
    with pytest.raises(ImageTooManyPixels) as refused:
        Photograph(files.jpeg(LARGE), DecodeLimits(max_pixels=1000), where="a")
    assert refused.value.where == "a"


def test_damage_behind_the_header_shows_with_the_pixels(monkeypatch):
    def broken(self):
        raise SyntaxError("broken data stream")

    photo = Photograph(files.jpeg(LARGE), where="a")
    monkeypatch.setattr(ImageFile.ImageFile, "load", broken)
    for side in (100, 1000):
        with pytest.raises(ImageCorrupt) as refused:
            photo.pixels(side)
        assert refused.value.where == "a"


def test_each_decoding_passes_the_gate():
    class Gate:
        entered = 0

        def __enter__(self):
            self.entered += 1

        def __exit__(self, *_):
            pass

    gate = Gate()
    photo = Photograph(files.jpeg(LARGE), gate=gate)
    assert gate.entered == 0
    for side in (100, 100, 800, 800):
        photo.pixels(side)
    assert gate.entered == 2
