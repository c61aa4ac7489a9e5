import io
import struct
import warnings
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemix.errors import BodyTooLarge, FacemixError, RequestInvalid
from facemix.web import archives
from facemix.web.archives import Archive

FILES = {"pairs.csv": b"a,b\n", "people/anna.jpg": b"x" * 5000}


def packed(files=FILES, method=zipfile.ZIP_DEFLATED, comment=b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name, data in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, data)
        archive.comment = comment
    return buffer.getvalue()


def opened(data: bytes, most=1_000_000) -> Archive:
    return Archive(data, most_bytes=most)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
@pytest.mark.parametrize("comment", [b"", b"c" * 65535])
def test_files_are_read_by_name_and_no_more_of_them_than_wanted(method, comment):
    archive = opened(packed({"people/": b"", **FILES}, method, comment))
    assert archive.names == tuple(FILES)
    assert archive.read("people/anna.jpg", 5000) == FILES["people/anna.jpg"]
    assert archive.read("people/anna.jpg", 100) == b"x" * 101
    with pytest.raises(RequestInvalid, match="no such file") as refusal:
        archive.read("people/ben.jpg", 100)
    assert refusal.value.where == "people/ben.jpg"


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a\\..\\x", "\\x"])
def test_a_name_that_leads_elsewhere_is_refused(name):
    with pytest.raises(RequestInvalid, match="leads out"):
        opened(packed({name: b"x"}))


def test_a_name_that_is_there_twice_is_refused():
    for second in ("x", "./x"):
        with pytest.raises(RequestInvalid, match="twice"):
            opened(packed([("x", b"1"), (second, b"2")]))


def test_methods_that_unfold_in_ways_of_their_own_are_refused():
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with pytest.raises(RequestInvalid, match="not deflated"):
            opened(packed(method=method))


def test_what_is_encrypted_is_refused():
    data = bytearray(packed())
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    with pytest.raises(RequestInvalid, match="encrypted"):
        opened(bytes(data))


def test_too_many_files_are_refused_before_their_names_are_read(monkeypatch):
    many = packed({f"{number}": b"" for number in range(20)})
    monkeypatch.setattr(archives, "MOST_ENTRIES", 19)
    with pytest.raises(BodyTooLarge, match="20 files"):
        opened(many)
    monkeypatch.setattr(archives, "MOST_DIRECTORY_BYTES", 20 * 46)
    monkeypatch.setattr(zipfile, "ZipFile", None)  # it is not come to
    with pytest.raises(BodyTooLarge, match="too many files"):
        opened(many)


def test_files_that_together_would_be_too_much_are_refused():
    assert opened(packed(), most=5004).names
    with pytest.raises(BodyTooLarge, match="5004 bytes"):
        opened(packed(), most=5003)


def test_the_wide_form_is_refused_whatever_the_narrow_one_says():
    data = packed()
    end = data.rindex(b"PK\x05\x06")
    size, start = struct.unpack_from("<II", data, end + 12)
    wide = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, 2, 2, size, start)
    locator = struct.pack("<IIQI", 0x07064B50, 0, end, 1)
    with pytest.raises(RequestInvalid, match="ZIP64"):
        opened(data[:end] + wide + locator + data[end:])


def test_damage_is_told_when_it_is_met():
    data = bytearray(packed(method=zipfile.ZIP_STORED))
    data[data.index(b"xxxx")] = ord("y")
    archive = opened(bytes(data))
    assert archive.read("pairs.csv", 100) == b"a,b\n"
    with pytest.raises(RequestInvalid, match="damaged") as refusal:
        archive.read("people/anna.jpg", 10_000)
    assert refusal.value.where == "people/anna.jpg"


@given(st.data())
def test_no_damage_is_more_than_a_refusal(data):
    whole = bytearray(packed())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.sampled_from([len(whole), len(whole) - 1, len(whole) // 2]))])
    try:
        archive = opened(cut)
        for name in archive.names:
            assert len(archive.read(name, 6000)) <= 6001
    except FacemixError:
        pass
