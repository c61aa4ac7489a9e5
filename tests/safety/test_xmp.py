from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
from marked_faces import faces
from PIL import Image

from facemix.imaging.animate import encode_animation
from facemix.imaging.encode import encode_image
from facemix.safety.xmp import PACKET, SOURCE_TYPE, with_xmp

RDF, IPTC = "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
FRAMES = faces(3)
STILLS = ("image/png", "image/jpeg", "image/webp")
FILMS = ("image/gif", "image/webp")


def film(media_type):
    return encode_animation(FRAMES, media_type=media_type, fps=10, loop=True, side=128, count=3)


def frames_of(data):
    with Image.open(BytesIO(data)) as opened:
        found = []
        for number in range(getattr(opened, "n_frames", 1)):
            opened.seek(number)
            found.append(np.asarray(opened.convert("RGB")))
        return np.stack(found)


@pytest.mark.parametrize(
    ("data", "media_type"),
    [(encode_image(FRAMES[0], kind), kind) for kind in STILLS] + [(film(kind), kind) for kind in FILMS],
    ids=[*STILLS, *(f"film of {kind}" for kind in FILMS)],
)
def test_a_reader_finds_the_source_type_and_the_same_pixels(data, media_type):
    told = with_xmp(data, media_type)
    np.testing.assert_array_equal(frames_of(told), frames_of(data))
    with Image.open(BytesIO(told)) as opened:
        if media_type == "image/gif":  # whose packets Pillow steps over
            assert opened.info["extension"][0] == b"XMP DataXMP"
            assert PACKET in told
            return
        packet = opened.info["xmp"]
    (description,) = ElementTree.fromstring(packet).iter(f"{{{RDF}}}Description")
    assert description.get(f"{{{IPTC}}}DigitalSourceType") == SOURCE_TYPE


def test_lossless_webp_is_told_its_size():
    buffer = BytesIO()
    Image.fromarray(FRAMES[0][:90]).save(buffer, "WEBP", lossless=True)
    told = with_xmp(buffer.getvalue(), "image/webp")
    np.testing.assert_array_equal(frames_of(told)[0], FRAMES[0][:90])


def test_an_mp4_gets_a_box_at_its_end():
    data = b"\0\0\0\x18ftypisom\0\0\0\0isommp42\0\0\0\x08mdat"
    told = with_xmp(data, "video/mp4")
    assert told.startswith(data)
    box = told[len(data) :]
    assert int.from_bytes(box[:4], "big") == len(box)
    assert box[4:8] == b"uuid"
    assert box.endswith(PACKET)


@pytest.mark.parametrize("media_type", [*STILLS, "image/gif", "video/mp4", "image/tiff"])
def test_what_is_no_such_file_is_refused(media_type):
    with pytest.raises(ValueError, match=r"not|cannot"):
        with_xmp(b"something else altogether", media_type)
