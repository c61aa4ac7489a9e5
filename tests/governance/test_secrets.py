"""The installation's secret, and what is derived from it and sealed with it."""

import stat
import threading

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from facemix.errors import ConfigError, SealBroken, StorageUnavailable
from facemix.governance.secrets import FILE, Secrets, open_secrets
from facemix.settings import Settings

ROOT = b"0123456789abcdef0123456789abcdef"


def test_every_purpose_has_a_key_of_its_own_and_the_same_each_time():
    secrets = Secrets(ROOT)
    assert secrets.derive("review") == Secrets(ROOT).derive("review")
    assert len({secrets.derive(purpose) for purpose in ("review", "mark", "seal review", "")}) == 4
    assert secrets.derive("review") != Secrets(ROOT[::-1]).derive("review")
    assert len(secrets.derive("mark", 64)) == 64
    assert secrets.derive("x") == HKDF(SHA256(), 32, salt=None, info=b"facemix x").derive(ROOT)


@pytest.mark.parametrize("data", [b"", b"x", b"\0" * 5000])
def test_what_is_sealed_can_be_opened_and_not_read(data):
    secrets = Secrets(ROOT)
    sealed = secrets.seal("review", data, about=b"id")
    assert secrets.open("review", sealed, about=b"id") == data
    assert secrets.seal("review", data, about=b"id") != sealed
    assert len(data) < 16 or data not in sealed


@pytest.mark.parametrize("position", [0, 11, 12, 20, -1])
def test_one_changed_bit_is_noticed(position):
    secrets = Secrets(ROOT)
    sealed = bytearray(secrets.seal("review", b"a picture", about=b"id"))
    sealed[position] ^= 1
    with pytest.raises(SealBroken):
        secrets.open("review", bytes(sealed), about=b"id")


def test_it_opens_only_for_what_it_was_sealed_for():
    sealed = Secrets(ROOT).seal("review", b"a picture", about=b"id")
    for secrets, purpose, about in (
        (Secrets(ROOT[::-1]), "review", b"id"),
        (Secrets(ROOT), "guard", b"id"),
        (Secrets(ROOT), "review", b"another"),
        (Secrets(ROOT), "review", b""),
    ):
        with pytest.raises(SealBroken):
            secrets.open(purpose, sealed, about=about)


@pytest.mark.parametrize("cut", [b"", b"x", b"x" * 11, b"x" * 12, b"x" * 27])
def test_what_is_too_short_is_refused(cut):
    with pytest.raises(SealBroken):
        Secrets(ROOT).open("review", cut)


def test_a_short_secret_is_none():
    with pytest.raises(ValueError, match="32 bytes"):
        Secrets(b"short")


def test_the_file_is_made_once_for_its_owner_alone(tmp_path):
    settings = Settings(data_dir=tmp_path / "new" / "data")
    first = open_secrets(settings).derive("x")
    path = settings.data_dir / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert open_secrets(settings).derive("x") == first
    assert [one.name for one in path.parent.iterdir()] == [FILE]
    other = Settings(data_dir=tmp_path / "other")
    assert open_secrets(other).derive("x") != first


def test_of_many_that_start_at_once_all_have_the_same(tmp_path):
    settings = Settings(data_dir=tmp_path / "data")
    start, found = threading.Barrier(8), []

    def begin():
        start.wait()
        found.append(open_secrets(settings).derive("x"))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_the_setting_outranks_the_file(tmp_path):
    settings = Settings(data_dir=tmp_path / "data", secret=SecretStr("s" * 32))
    assert open_secrets(settings).derive("x") == Secrets(b"s" * 32).derive("x")
    assert not settings.data_dir.exists()


def test_a_short_setting_is_refused_without_being_told(tmp_path):
    with pytest.raises(ConfigError, match="has 31 characters") as refused:
        open_secrets(Settings(data_dir=tmp_path, secret=SecretStr("s" * 31)))
    assert "sss" not in refused.value.message + refused.value.hint


@pytest.mark.parametrize("content", [b"", b"too short\n", b" " * 64])
def test_a_damaged_file_is_refused_and_not_made_anew(tmp_path, content):
    path = tmp_path / FILE
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="no secret of an installation"):
        open_secrets(Settings(data_dir=tmp_path))
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageUnavailable, match="cannot be read or made"):
        open_secrets(Settings(data_dir=tmp_path / "file" / "data"))
