"""Content credentials (C2PA, https://c2pa.org): signed statements in a file of how it came to be."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any, Literal

from facemix.errors import InstallationError
from facemix.safety.certificates import Certificate, open_certificates
from facemix.safety.manifests import (
    AGENT,
    SETTINGS,
    active_manifest,
    generator_of,
    library,
    listed,
    may_have_manifests,
    member,
    read_manifests,
    reading_context,
    source_type_of,
    words,
)
from facemix.safety.uploads import TITLE, UploadCredentials, read_credentials
from facemix.safety.xmp import SOURCE_TYPE
from facemix.settings import Settings

__all__ = ["Facts", "Signed", "Signer", "UploadCredentials", "open_signer", "read_credentials", "read_signature"]

log = logging.getLogger("facemix.safety")

RESULT = "org.facemix.result"  # the assertion that ties a file to its recipe


@dataclass(frozen=True)
class Facts:
    """What is stated of a result.

    Attributes:
        recipe_hash: SHA-256 of its recipe, hexadecimal.
        model: name and weights of the model.
        ingredients: the credentials of the photographs that had some.
        created_at: left out, the time is not stated, and the ledger has it.
    """

    recipe_hash: str
    model: str
    ingredients: tuple[UploadCredentials, ...] = ()
    created_at: datetime | None = None


@dataclass(frozen=True)
class Signed:
    """What the credentials of a file say.

    Attributes:
        state: ``ours`` signed here and unchanged; ``theirs`` signed by somebody else and unchanged; ``changed``.
        signer: the name in the certificate, which only a list of whom to trust could confirm unless it is ours.
        generator: the program that wrote them, in its own words.
        facts: recipe and model as the file names them; None unless the state is ``ours``.
        claims_ours: whether it bears the number of a certificate of ours, whatever has become of it.
        source_type: the last part of the digital source type, as ``compositeWithTrainedAlgorithmicMedia``.
        ingredients: how many files with credentials it was made of.
    """

    state: Literal["ours", "theirs", "changed"]
    signer: str
    generator: str
    facts: Facts | None = None
    claims_ours: bool = False
    source_type: str = ""
    ingredients: int = 0


class Signer:
    """Signs results, and tells whether a file is one of them. Thread-safe."""

    def __init__(self, certificates: Sequence[Certificate]) -> None:
        """
        Args:
            certificates: the first one signs; the others were used before.

        Raises:
            InstallationError: the library cannot be loaded, or does not take the certificate.
        """
        c2pa = library()
        self.certificate = certificates[0]
        self._serials = {str(one.serial) for one in certificates}
        settings = {**SETTINGS, "trust": {"user_anchors": "\n".join(one.chain for one in certificates)}}
        try:
            told = c2pa.C2paSignerInfo(
                self.certificate.algorithm.encode(),
                self.certificate.chain.encode(),
                self.certificate.key.encode(),
                None,
            )
            self._context = c2pa.Context.from_dict(settings, c2pa.Signer.from_info(told))
        except c2pa.C2paError as error:
            raise InstallationError(
                f"the certificate of {self.certificate.name!r} cannot sign content credentials: {error}",
                hint="it needs a chain of at least two and the extended key usage emailProtection or documentSigning; "
                "FACEMIX_CREDENTIALS=false goes without",
            ) from error

    def sign(self, data: bytes, media_type: str, facts: Facts) -> bytes:
        """The file with its credentials, about 3.4 kB more.

        Args:
            data: a file that `facemix.imaging` wrote, of a picture or an animation.

        Raises:
            InstallationError: the library failed.
        """
        c2pa = library()
        for carried in (True, False):
            try:
                return self._signed(data, media_type, facts, carried=carried)
            except c2pa.C2paError as error:
                if not (carried and any(one.archive for one in facts.ingredients)):
                    raise InstallationError(
                        f"a result of the type {media_type} could not be signed: {error}",
                        hint="operators: FACEMIX_CREDENTIALS=false goes without content credentials",
                    ) from error
                log.warning("credentials of a photograph could not be carried on: %s", type(error).__name__)
        raise AssertionError("the second try signs or raises")

    def _signed(self, data: bytes, media_type: str, facts: Facts, *, carried: bool) -> bytes:
        # The same upload may have been given twice; an address can be redacted only once.
        known = {one.archive or number: one for number, one in enumerate(facts.ingredients)}.values()
        archives = [one for one in known if carried and one.archive]
        redacted = list(dict.fromkeys(address for one in archives for address in one.redacted))
        manifest = _manifest(media_type, facts, redacted, [one for one in known if one not in archives])
        with library().Builder(json.dumps(manifest), context=self._context) as builder:
            for one in archives:
                builder.add_ingredient_from_archive(BytesIO(one.archive))
            signed = BytesIO()
            builder.sign(media_type, BytesIO(data), signed)
            return signed.getvalue()

    def read(self, data: bytes, media_type: str) -> Signed | None:
        """What the credentials of a file say; None where it has none that can be read."""
        return _signed(read_manifests(data, media_type, self._context), self._serials)


def open_signer(settings: Settings) -> Signer:
    """The signer of this installation; its certificate is made at the first call.

    Raises:
        ConfigError, StorageUnavailable: see `open_certificates`.
        InstallationError: see `Signer`.
    """
    return Signer(open_certificates(settings))


def read_signature(data: bytes, media_type: str, signer: Signer | None) -> Signed | None:
    """What the credentials of a file say; None where it has none that can be read.

    Args:
        signer: knows those of this installation; without it all are somebody else's.

    Raises:
        InstallationError: the library cannot be loaded.
    """
    if not may_have_manifests(data):
        return None
    if signer is not None:
        return signer.read(data, media_type)
    return _signed(read_manifests(data, media_type, reading_context()), ())


def _manifest(
    media_type: str, facts: Facts, redacted: Sequence[str], mentioned: Sequence[UploadCredentials]
) -> dict[str, Any]:
    created: dict[str, Any] = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE, "softwareAgent": AGENT}
    if facts.created_at is not None:
        created["when"] = facts.created_at.isoformat(timespec="seconds")
    redactions = [
        {"action": "c2pa.redacted", "reason": "c2pa.PII.present", "parameters": {"redacted": address}}
        for address in redacted
    ]
    return {
        "claim_generator_info": [AGENT],
        "title": "facemix",
        "format": media_type,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [created, *redactions]}},
            {"label": RESULT, "data": {"recipe": facts.recipe_hash, "model": facts.model}},
        ],
        "redactions": list(redacted),
        "ingredients": [
            {
                "title": TITLE,
                "format": one.media_type,
                "relationship": "inputTo",
                "description": "The photograph had content credentials, which are not carried on.",
            }
            for one in mentioned
        ],
    }


def _signed(read: tuple[dict[str, Any], str] | None, serials: Collection[str]) -> Signed | None:
    if read is None:
        return None
    told, state = read
    active = active_manifest(told)
    signature = member(active, "signature_info")
    numbered = str(signature.get("cert_serial_number")) in serials
    ours = state == "Trusted" and numbered
    return Signed(
        "ours" if ours else "changed" if state == "Invalid" else "theirs",
        signer=words(signature.get("issuer") or signature.get("common_name")),
        generator=generator_of(active),
        facts=_facts(active) if ours else None,
        claims_ours=numbered,
        source_type=source_type_of(active),
        ingredients=len(listed(active, "ingredients")),
    )


def _facts(manifest: dict[str, Any]) -> Facts | None:
    for assertion in listed(manifest, "assertions"):
        if isinstance(assertion, dict) and assertion.get("label") == RESULT:
            data = member(assertion, "data")
            return Facts(words(data.get("recipe")), words(data.get("model")))
    return None
