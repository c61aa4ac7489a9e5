"""The certificate with which this installation signs, its own or the operator's."""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from facemix.errors import ConfigError, StorageUnavailable
from facemix.settings import Settings

FOLDER, CHAIN, KEY = "credentials", "certificate.pem", "key.pem"
_YEARS = 20  # there is no time stamp in what is signed: a signature holds as long as its certificate
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True)
class Certificate:
    """What signs.

    Attributes:
        chain: PEM; first the certificate that signs, then those that vouch for it.
        key: PEM, PKCS 8, of its private key.
        algorithm: the name that C2PA has for it, as ``es256``.
        serial: of the certificate that signs.
        name: of its holder.
        until: when it ends.
    """

    chain: str
    key: str
    algorithm: str
    serial: int
    name: str
    until: datetime


def open_certificates(settings: Settings) -> tuple[Certificate, ...]:
    """The certificate that signs, and after it that of the data folder where another one took its place.

    Without a setting one is made at the first call. Several processes that start at once agree on one.

    Raises:
        ConfigError: the files that the settings name, or those in the data folder, are no certificate and its key.
        StorageUnavailable: the data folder can be neither read nor written to.
    """
    given = (settings.credentials_certificate, settings.credentials_key)
    folder = settings.data_dir.expanduser() / FOLDER
    if any(given):
        if not all(given):
            raise ConfigError(
                "FACEMIX_CREDENTIALS_CERTIFICATE and FACEMIX_CREDENTIALS_KEY go together",
                hint="set both, or neither to use a certificate of this installation's own",
            )
        chosen = _read(given[0].expanduser(), given[1].expanduser())
        return (chosen, _read(folder / CHAIN, folder / KEY)) if (folder / CHAIN).is_file() else (chosen,)
    try:
        if not folder.is_dir():
            _make(folder)
    except OSError as error:
        raise StorageUnavailable(
            f"the certificate cannot be kept in {folder}: {error.strerror}",
            hint="check FACEMIX_DATA_DIR and who may write there, or set FACEMIX_CREDENTIALS=false",
        ) from error
    return (_read(folder / CHAIN, folder / KEY),)


def _read(chain: Path, key: Path) -> Certificate:
    try:
        texts = chain.read_text(), key.read_text()
        certificate = x509.load_pem_x509_certificates(texts[0].encode())[0]
        private = serialization.load_pem_private_key(texts[1].encode(), None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{chain} and {key} cannot be read as a certificate and its key: {error}",
            hint="both are PEM, the key without a password, the signing certificate first; "
            "FACEMIX_CREDENTIALS=false goes without",
        ) from error
    if private.public_key() != certificate.public_key():
        raise ConfigError(f"the key in {key} is not that of {chain}", hint="give the key of the first certificate")
    names = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME) or certificate.subject
    return Certificate(
        texts[0],
        texts[1],
        _algorithm(private, key),
        certificate.serial_number,
        next((str(one.value) for one in names), ""),
        certificate.not_valid_after_utc,
    )


def _algorithm(private: object, path: Path) -> str:
    if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name in _CURVES:
        return _CURVES[private.curve.name]
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(private, rsa.RSAPrivateKey):
        return "ps256"
    raise ConfigError(
        f"the key in {path} is of a kind that C2PA does not sign with", hint="make one on the curve P-256"
    )


def _make(folder: Path) -> None:
    """Makes the folder. It appears whole, so that of several processes one wins."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}.{secrets.token_hex(4)}")
    unfinished.mkdir(mode=0o700)
    try:
        for name, text in zip((CHAIN, KEY), _made(), strict=True):
            descriptor = os.open(unfinished / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(text)
        try:
            unfinished.rename(folder)
        except OSError:
            if not (folder / KEY).is_file():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _made() -> tuple[bytes, bytes]:
    """A chain of two and the key of the first, as C2PA wants them (section 14.5.1 of its specification, 2.2): a
    certificate that signs must not vouch for itself. The key of the one that vouches for it is thrown away."""
    root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    # Each installation has names of its own, by which others can tell it from the next.
    number = secrets.token_hex(4)
    issuer, subject = _name(number, "authority"), _name(number, "signer")
    begin = datetime.now(UTC) - timedelta(hours=1)  # clocks differ
    end = begin + timedelta(days=365 * _YEARS)

    def begun(name: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder(issuer, name, key, x509.random_serial_number(), begin, end)
        return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)

    authority = (
        begun(issuer, root.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True), critical=True)
        .sign(root, hashes.SHA256())
    )
    signer = (
        begun(subject, leaf.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False)
        .sign(root, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    key = leaf.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return signer.public_bytes(pem) + authority.public_bytes(pem), key


def _name(number: str, role: str) -> x509.Name:
    names = ((NameOID.ORGANIZATION_NAME, f"facemix installation {number}"), (NameOID.COMMON_NAME, f"facemix {role}"))
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in names])


def _usage(**said: bool) -> x509.KeyUsage:
    every = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    every += ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: said.get(name, False) for name in every})
