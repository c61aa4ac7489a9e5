"""The IPTC's digital source type, in XMP, put into a file without encoding it again.

The type is that of https://cv.iptc.org/newscodes/digitalsourcetype: made of several things, with a trained model. Where
each format keeps its packet is laid down in part 3 of Adobe's XMP specification (2020).
"""

from __future__ import annotations

import struct
import zlib

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    f'Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}"/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
).encode()

_PNG_HEAD = 33  # signature and IHDR
_XMP_FLAG = 0x04  # in the first byte of VP8X
_MP4_NAME = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
# A GIF's reader skips blocks by their first byte; wherever it falls into the packet, this leads it to the end.
_GIF_TRAILER = b"\x01" + bytes(range(255, -1, -1)) + b"\0"


def with_xmp(data: bytes, media_type: str) -> bytes:
    """The file with the packet in it; every other byte of the picture stays as it is.

    Args:
        data: a file that `facemix.imaging` wrote.
        media_type: of a picture or an animation.

    Raises:
        ValueError: the file is not of that type, or the type is none of these (a mistake of the program).
    """
    insert = _INSERT.get(media_type)
    if insert is None:
        raise ValueError(f"XMP cannot be put into {media_type}")
    return insert(data)


def _png(data: bytes) -> bytes:
    _check(data.startswith(b"\x89PNG\r\n\x1a\n"), "a PNG")
    body = b"iTXt" + b"XML:com.adobe.xmp" + bytes(5) + PACKET  # not compressed, no language, no translation
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:_PNG_HEAD] + chunk + data[_PNG_HEAD:]


def _jpeg(data: bytes) -> bytes:
    _check(data.startswith(b"\xff\xd8\xff"), "a JPEG")
    body = b"http://ns.adobe.com/xap/1.0/\0" + PACKET
    place = 2
    if data[2:4] == b"\xff\xe0":  # the JFIF segment stays first
        place += 2 + struct.unpack(">H", data[4:6])[0]
    return data[:place] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[place:]


def _webp(data: bytes) -> bytes:
    """https://developers.google.com/speed/webp/docs/riff_container: XMP wants the extended form."""
    _check(data[:4] == b"RIFF" and data[8:12] == b"WEBP", "a WebP")
    kind, body = data[12:16], data[20:]
    if kind == b"VP8X":
        chunks = data[12:20] + bytes((body[0] | _XMP_FLAG,)) + body[1:]
    else:
        width, height = _webp_size(kind, body)
        alpha = 0x10 if kind == b"VP8L" and body[4] & 0x10 else 0
        canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        chunks = _chunk(b"VP8X", bytes((_XMP_FLAG | alpha, 0, 0, 0)) + canvas) + data[12:]
    return _chunk(b"RIFF", b"WEBP" + chunks + _chunk(b"XMP ", PACKET))


def _webp_size(kind: bytes, body: bytes) -> tuple[int, int]:
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", body[6:10])
        return width & 0x3FFF, height & 0x3FFF
    _check(kind == b"VP8L", "a WebP of a known kind")
    bits = int.from_bytes(body[1:5], "little")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def _gif(data: bytes) -> bytes:
    _check(data.startswith(b"GIF89a") and not data[10] & 0x80, "a GIF of ours")  # which has no palette for all frames
    place = 13
    if data.startswith(b"\x21\xff\x0bNETSCAPE2.0", place):  # how often it repeats stays first
        place += 19
    return data[:place] + b"\x21\xff\x0bXMP DataXMP" + PACKET + _GIF_TRAILER + data[place:]


def _mp4(data: bytes) -> bytes:
    _check(data[4:8] == b"ftyp", "an MP4")
    return data + struct.pack(">I", 24 + len(PACKET)) + b"uuid" + _MP4_NAME + PACKET


def _check(good: bool, wanted: str) -> None:
    if not good:
        raise ValueError(f"the file is not {wanted}")


_INSERT = {"image/png": _png, "image/jpeg": _jpeg, "image/webp": _webp, "image/gif": _gif, "video/mp4": _mp4}
