import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from signing import signer_in

from facemix.errors import ConfigError, StorageUnavailable
from facemix.safety.certificates import CHAIN, FOLDER, KEY, open_certificates
from facemix.safety.credentials import Facts, Signer
from facemix.settings import Settings

PNG = "image/png"


def opened(folder, **settings):
    return open_certificates(Settings(data_dir=folder, **settings))


def files(folder):
    return folder / FOLDER / CHAIN, folder / FOLDER / KEY


def test_one_is_made_at_the_first_start_and_kept(tmp_path):
    (first,) = opened(tmp_path)
    assert opened(tmp_path) == (first,)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files(tmp_path)} == {0o600}
    assert [path.name for path in tmp_path.iterdir()] == [FOLDER]
    leaf, root = x509.load_pem_x509_certificates(first.chain.encode())
    leaf.verify_directly_issued_by(root)
    assert load_pem_private_key(first.key.encode(), None).public_key() == leaf.public_key() != root.public_key()
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    assert first.until > datetime.now(UTC) + timedelta(days=3650)


def test_those_that_start_at_once_agree(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: opened(tmp_path), range(8)))) == 1
    assert [path.name for path in tmp_path.iterdir()] == [FOLDER]


def test_the_operators_own_signs_and_the_one_before_is_still_known(tmp_path):
    from marked_faces import faces

    from facemix.imaging.encode import encode_image

    plain = encode_image(faces(1)[0], PNG)
    before = signer_in(tmp_path / "here").sign(plain, PNG, Facts("ab" * 32, "m"))
    (bought,) = opened(tmp_path / "there")
    chain, key = files(tmp_path / "there")
    given = opened(tmp_path / "here", credentials_certificate=chain, credentials_key=key)
    assert given[0] == bought
    assert len(given) == 2
    signer = Signer(given)
    assert signer.read(before, PNG).state == "ours"
    assert signer.read(signer.sign(plain, PNG, Facts("cd" * 32, "m")), PNG).signer == bought.name


def test_what_cannot_sign_is_refused_at_the_start(tmp_path):
    opened(tmp_path / "one"), opened(tmp_path / "two")
    chain, key = files(tmp_path / "one")
    other = files(tmp_path / "two")[1]
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("no certificate")
    for wrong in (
        {"credentials_certificate": chain},
        {"credentials_key": key},
        {"credentials_certificate": chain, "credentials_key": other},
        {"credentials_certificate": nonsense, "credentials_key": key},
        {"credentials_certificate": chain, "credentials_key": nonsense},
        {"credentials_certificate": tmp_path / "none.pem", "credentials_key": key},
    ):
        with pytest.raises(ConfigError) as refusal:
            opened(tmp_path / "one", **wrong)
        assert refusal.value.hint


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailable, match="certificate cannot be kept"):
        opened(tmp_path / "file")
