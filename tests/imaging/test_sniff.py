import pytest
from files import avif, heic, jpeg, png, scene, webp
from hypothesis import given, settings
from hypothesis import strategies as st

from facemix.imaging.sniff import sniff


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    body = b"ftyp" + major + bytes(4) + b"".join(compatible)
    return (len(body) + 4).to_bytes(4, "big") + body + bytes(32)


@pytest.mark.parametrize(
    ("build", "kind"), [(jpeg, "JPEG"), (png, "PNG"), (webp, "WebP"), (heic, "HEIC"), (avif, "AVIF")]
)
def test_kinds_that_may_be_decoded(build, kind):
    assert sniff(build(scene())).kind == kind


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"GIF89a" + bytes(20), "GIF"),
        (b"BM" + bytes(60), "BMP"),
        (b"II*\0\x08\0\0\0" + bytes(20), "TIFF"),
        (b"MM\0*" + bytes(20), "TIFF"),
        (b"II*\0\x10\0\0\0CR\x02\0" + bytes(20), "CR2"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(20), "RAF"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF"),
        (b"%PDF-1.7\n", "PDF"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg">', "SVG"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\xef\xbb\xbf  <html lang=en>", "web page"),
        (b"data:image/png;base64,iVBORw0KGgo=", "data URI"),
        (b"/9j/4AAQSkZJRgABAQAAAQABAAD/", "base64"),
        (b"BMW is a make of car", "text"),
        (b"\xff\xfeh\0i\0", "text"),
        ("é".encode() * 400, "text"),
        (ftyp(b"qt  "), "video"),
        (ftyp(b"isom", b"mp41"), "video"),
        (ftyp(b"crx "), "CR3"),
        (b"RIFF\x10\0\0\0AVI LIST", "video"),
        (b"\x1aE\xdf\xa3" + bytes(20), "video"),
        (b"PK\x03\x04" + bytes(20), "ZIP"),
        (b"\xde\xad\xbe\xef" + bytes(20), "de ad be ef"),
    ],
)
def test_others_are_named(data, name):
    found = sniff(data)
    assert found.kind is None
    assert name in found.name


def test_generic_brands_are_told_apart_by_the_compatible_ones():
    assert sniff(ftyp(b"mif1", b"mif1", b"avif")).kind == "AVIF"
    assert sniff(ftyp(b"mif1", b"mif1", b"heic")).kind == "HEIC"
    assert sniff(ftyp(b"mif1")).kind == "HEIC"


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=64))
def test_any_bytes_get_a_name(data):
    assert sniff(data).name
