import base64
import json
from datetime import UTC, datetime

import pytest

from facemix.errors import SignatureInvalid
from facemix.governance.receipts import Receipt, Receipts
from facemix.governance.secrets import Secrets
from facemix.governance.signing import Signatures

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def secrets():
    return Secrets(b"a" * 32)


def test_a_receipt_says_what_was_deleted_and_when_and_not_its_id(secrets):
    receipts = Receipts(secrets)
    written = receipts.issue("face", "the-id", now=NOON)
    read = receipts.read(written)
    assert read == Receipt("face", read.id_sha256, NOON)
    assert read.is_of("the-id")
    assert not read.is_of("another")
    assert b"the-id" not in base64.urlsafe_b64decode(written.split(".")[0] + "==")


def test_another_installation_does_not_take_it(secrets):
    written = Receipts(secrets).issue("face", "the-id")
    with pytest.raises(SignatureInvalid, match="does not trust"):
        Receipts(Secrets(b"b" * 32)).read(written)


def test_a_key_of_its_own_proves_nothing(secrets):
    mallory = Signatures(Secrets(b"m" * 32), "receipt").sign({"kind": "face"})
    body, _, signature = mallory.split(".")
    with pytest.raises(SignatureInvalid, match="changed"):
        Receipts(secrets).read(f"{body}.{Signatures(secrets, 'receipt').public_key}.{signature}")


def test_a_trusted_installation_is_taken(secrets):
    other = Signatures(Secrets(b"b" * 32), "latent")
    assert Signatures(secrets, "latent").read(other.sign({"z": 1}), [other.public_key]) == {"z": 1}


def test_what_was_signed_as_one_kind_is_not_taken_for_another(secrets):
    written = Signatures(secrets, "latent").sign({"kind": "face", "id_sha256": "0", "deleted_at": NOON.isoformat()})
    with pytest.raises(SignatureInvalid, match="something else"):
        Receipts(secrets).read(written)


def test_any_change_is_noticed(secrets):
    signatures = Signatures(secrets, "receipt")
    _, key, signature = signatures.sign({"a": 1}).split(".")
    changed = base64.urlsafe_b64encode(json.dumps({"a": 2}).encode()).decode().rstrip("=")
    with pytest.raises(SignatureInvalid):
        signatures.read(f"{changed}.{key}.{signature}")


@pytest.mark.parametrize("text", ["", "a", "a.b", "a.b.c.d", ".".join("é" * 3), "x" * 70_000])
def test_what_is_no_signed_document_is_refused_in_words(secrets, text):
    with pytest.raises(SignatureInvalid):
        Signatures(secrets, "receipt").read(text)


@pytest.mark.parametrize("part", ["body", "signature"])
def test_a_damaged_part_is_refused_in_words(secrets, part):
    signatures = Signatures(secrets, "receipt")
    body, key, signature = signatures.sign({"a": 1}).split(".")
    text = f"é.{key}.{signature}" if part == "body" else f"{body}.{key}.é"
    with pytest.raises(SignatureInvalid):
        signatures.read(text)


def test_a_signed_document_that_is_no_receipt_is_refused(secrets):
    written = Signatures(secrets, "receipt").sign({"kind": "face"})
    with pytest.raises(SignatureInvalid, match="no receipt"):
        Receipts(secrets).read(written)
