import struct
import zlib

import pytest
from files import cmyk_jpeg, exif_block, jpeg, mpo, png, png_chunk, raw_png, saved, scene, webp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from facemix.errors import ImageCorrupt, ImageUnsupported
from facemix.imaging.headers import MAX_ICC_BYTES, MAX_SCANS, read_jpeg, read_png, read_webp, tiff_value


@pytest.mark.parametrize(("read", "build"), [(read_jpeg, jpeg), (read_png, png), (read_webp, webp)])
def test_the_size_is_read(read, build):
    header = read(build(scene(70, 50)))
    assert (header.width, header.height) == (70, 50)


def test_a_lossy_webp_states_its_size_elsewhere():
    header = read_webp(webp(scene(70, 50), lossless=False))
    assert (header.width, header.height) == (70, 50)


def test_a_jpeg_payload_has_no_metadata():
    secret = b"52 N 13 E"
    data = jpeg(scene(), exif=b"Exif\0\0" + exif_block(6) + secret, comment=secret, xmp=secret, icc_profile=secret)
    assert data.count(secret) == 4
    header = read_jpeg(data)
    assert secret not in header.payload
    assert header.icc == secret
    assert header.exif.startswith(exif_block(6))


def test_a_png_payload_has_no_metadata():
    secret = b"52 N 13 E"
    text = png_chunk(b"tEXt", b"GPS\0" + secret)
    data = png(scene()).replace(png_chunk(b"IEND", b""), text + png_chunk(b"IEND", b""))
    assert secret in data
    assert secret not in read_png(data).payload


def test_what_follows_the_first_picture_is_cut():
    alone = read_jpeg(jpeg(scene()))
    followed = read_jpeg(jpeg(scene()) + b"a video, or anything")
    assert followed.payload == alone.payload


@pytest.mark.parametrize("junk", [b"\xff", b"\xff\xff\xff", b"\0\0\0", b"junk"])
def test_junk_between_segments_is_left_out(junk):
    data = jpeg(scene())
    assert read_jpeg(data[:2] + junk + data[2:]).payload == read_jpeg(data).payload


def test_an_mpo_counts_its_pictures():
    assert read_jpeg(mpo(scene())).frames == 2


@pytest.mark.parametrize("adobe", [True, False])
def test_adobes_marker_is_seen(adobe):
    assert read_jpeg(cmyk_jpeg(scene(), adobe=adobe)).inverted is adobe


def test_a_profile_in_several_segments_is_put_together():
    profile = bytes(range(256)) * 600  # more than two segments of 64 KiB
    assert read_jpeg(jpeg(scene(), icc_profile=profile)).icc == profile


def test_a_profile_with_a_missing_segment_is_left_out_with_a_note():
    data = jpeg(scene(), icc_profile=bytes(150_000))
    at = data.index(b"ICC_PROFILE\0\x02") - 4
    length = int.from_bytes(data[at + 2 : at + 4], "big")
    header = read_jpeg(data[:at] + data[at + 2 + length :])
    assert header.icc is None
    assert "colour profile" in header.notes[0]


def test_a_profile_that_swells_is_left_out():
    data = png(scene())
    profile = png_chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(MAX_ICC_BYTES + 1)))
    header = read_png(data[:33] + profile + data[33:])
    assert header.icc is None
    assert header.notes


def test_a_size_stated_twice_is_refused():
    data = jpeg(scene())
    at = data.index(b"\xff\xc0")
    frame = data[at : at + 19]
    with pytest.raises(ImageCorrupt, match="twice"):
        read_jpeg(data[:at] + frame + data[at:])


def test_too_many_scans_are_refused():
    data = jpeg(scene(), progressive=True)
    at = data.rindex(b"\xff\xda")
    with pytest.raises(ImageCorrupt, match=f"more than {MAX_SCANS} scans"):
        read_jpeg(data[:at] + data[at:-2] * (MAX_SCANS + 1) + data[-2:])


def test_an_ordinary_progressive_jpeg_passes():
    assert read_jpeg(jpeg(scene(), progressive=True)).payload.endswith(b"\xff\xd9")


@pytest.mark.parametrize("marker", [0xC3, 0xC7, 0xCF])
def test_rare_jpegs_are_refused_as_unsupported(marker):
    with pytest.raises(ImageUnsupported, match="rare"):
        read_jpeg(jpeg(scene()).replace(b"\xff\xc0", bytes([0xFF, marker])))


@pytest.mark.parametrize(("width", "height"), [(0, 10), (10, 0), (2**31, 10)])
def test_impossible_png_sizes_are_refused(width, height):
    with pytest.raises(ImageCorrupt, match=f"{width} x {height}"):
        read_png(raw_png(width, height, 8, 2, b""))


@pytest.mark.parametrize(("bits", "colour"), [(3, 0), (16, 3), (4, 2), (8, 5)])
def test_impossible_png_depths_are_refused(bits, colour):
    with pytest.raises(ImageCorrupt, match=f"{bits} bits"):
        read_png(raw_png(40, 40, bits, colour, b""))


def test_a_flipped_bit_in_png_pixels_is_seen():
    data = bytearray(png(scene()))
    data[data.index(b"IDAT") + 20] ^= 1
    with pytest.raises(ImageCorrupt, match="checksum"):
        read_png(bytes(data))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_read_in_both_byte_orders(order, orientation):
    assert tiff_value(exif_block(orientation, order), 0x0112) == orientation


def test_another_type_or_a_list_is_not_a_number():
    block = exif_block(6)
    assert tiff_value(block.replace(struct.pack(">HH", 0x0112, 3), struct.pack(">HH", 0x0112, 5)), 0x0112) is None
    assert tiff_value(block.replace(struct.pack(">HI", 3, 1), struct.pack(">HI", 3, 9)), 0x0112) is None


def test_real_exif_of_another_writer_is_read():
    exif = Image.Exif()
    exif.update({0x010F: "Maker", 0x0112: 8, 0x0132: "2024:01:01 00:00:00"})
    header = read_jpeg(saved(Image.fromarray(scene()), "JPEG", exif=exif))
    assert tiff_value(header.exif, 0x0112) == 8


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=80).map(lambda tail: exif_block(6)[:8] + tail), st.integers(0, 0xFFFF))
def test_a_broken_tiff_block_never_raises(block, tag):
    value = tiff_value(block, tag)
    assert value is None or 0 <= value < 2**32
