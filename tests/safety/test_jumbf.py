import struct

import pytest

from facemix.safety.jumbf import NotReadable, hollowed


def box(kind, body):
    return struct.pack(">I4s", 8 + len(body), kind) + body


def jumb(label, *inside):
    return box(b"jumb", box(b"jumd", bytes(16) + b"\x03" + label.encode() + b"\0") + b"".join(inside))


def store(*assertions, other=()):
    manifest = jumb(
        "urn:c2pa:1", jumb("c2pa.assertions", *assertions), jumb("c2pa.claim.v2", box(b"cbor", b"x")), *other
    )
    return jumb("c2pa", manifest)


ACTIONS = jumb("c2pa.actions.v2", box(b"cbor", b"what was done"))
PICTURE = jumb("c2pa.thumbnail.claim", box(b"bfdb", b"\0image/jpeg\0"), box(b"bidb", b"a face"))
PLACE = jumb("stds.exif", box(b"json", b'{"GPS": 1}'))


def test_what_shows_or_tells_of_a_person_is_emptied_and_named():
    kept, redacted = hollowed(store(ACTIONS, PICTURE, PLACE))
    assert b"what was done" in kept
    assert b"a face" not in kept
    assert b"GPS" not in kept
    assert redacted == tuple(
        f"self#jumbf=/c2pa/urn:c2pa:1/c2pa.assertions/{label}" for label in ("c2pa.thumbnail.claim", "stds.exif")
    )
    assert hollowed(kept) == (kept, redacted)


def test_what_holds_nothing_of_the_kind_stays_as_it_is():
    plain = store(ACTIONS)
    assert hollowed(plain) == (plain, ())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"jumb",
        box(b"free", b""),
        jumb("else"),
        store() + store(),
        store()[:-3],
        store(other=[jumb("c2pa.databoxes", box(b"bidb", b"a face"))]),
        store(box(b"cbor", b"a face")),
        box(b"jumb", b""),
        box(b"jumb", box(b"jumd", bytes(17) + b"no end")),
        box(b"jumb", box(b"jumd", bytes(17) + "é".encode() + b"\0")),
        struct.pack(">I4s", 0, b"jumb") + bytes(8),
        struct.pack(">I4s", 1, b"jumb") + bytes(8),
        store(*[ACTIONS] * 5000),
    ],
)
def test_what_is_not_wholly_understood_is_not_carried_on(data):
    with pytest.raises(NotReadable):
        hollowed(data)
