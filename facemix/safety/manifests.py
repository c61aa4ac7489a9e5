"""`c2pa-python`, as it is used here, and what it makes of the manifests in a file.

It has no network: nothing that a file names is fetched, no list of whom to trust is, and no time stamp is asked for.
"""

from __future__ import annotations

import json
import logging
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

import facemix
from facemix.errors import InstallationError

if TYPE_CHECKING:
    import c2pa

log = logging.getLogger("facemix.safety")

AGENT = {"name": "facemix", "version": facemix.__version__}
_LONGEST = 120  # characters of a name that somebody else has chosen

# https://opensource.contentauthenticity.org/docs/manifest/json-ref/settings-schema
SETTINGS: dict[str, Any] = {
    "version": 1,
    "core": {"allowed_network_hosts": [], "max_decompressed_manifest_size_in_mb": 8},
    "verify": {
        "ocsp_fetch": False,
        "remote_manifest_fetch": False,
        "verify_after_sign": False,  # it would double the time; tests read what is signed
        "verify_trust": True,
    },
    "builder": {
        "thumbnail": {"enabled": False},
        "actions": {f"auto_{name}_action": {"enabled": False} for name in ("created", "opened", "placed")},
    },
}


def library() -> Any:
    """Imported at the first use: it takes a fifth of a second, and commands that only read have no use for it."""
    try:
        import c2pa
    except (ImportError, OSError) as error:
        raise InstallationError(
            f"c2pa-python cannot be loaded: {error}",
            hint="install it again, or set FACEMIX_CREDENTIALS=false",
        ) from error
    return c2pa


@cache
def reading_context() -> c2pa.Context:
    """For files of others: nobody is trusted."""
    return library().Context.from_dict(SETTINGS)


def may_have_manifests(data: bytes) -> bool:
    """Whether the bytes have the marks of a manifest store; without them they need not be parsed."""
    return b"jumb" in data and b"c2pa" in data


def read_manifests(data: bytes, media_type: str, context: c2pa.Context) -> tuple[dict[str, Any], str] | None:
    """What the library makes of a file's credentials, and their state; None where there are none, or they are no
    manifest store at all."""
    found = library()
    try:
        with found.Reader(media_type, BytesIO(data), context=context) as reader:
            told, state = json.loads(reader.json()), reader.get_validation_state()
    except Exception as error:  # of hostile bytes no library says beforehand what they make it raise
        log.info("a file has no credentials that can be read: %s", type(error).__name__)
        return None
    return (told, str(state)) if isinstance(told, dict) else None


def active_manifest(told: dict[str, Any]) -> dict[str, Any]:
    """The newest manifest, empty where there is none."""
    found = member(told, "manifests").get(told.get("active_manifest"))
    return found if isinstance(found, dict) else {}


def source_type_of(manifest: dict[str, Any]) -> str:
    """The last part of the digital source type, as ``compositeWithTrainedAlgorithmicMedia``."""
    for assertion in listed(manifest, "assertions"):
        if isinstance(assertion, dict) and str(assertion.get("label", "")).startswith("c2pa.actions"):
            for action in listed(member(assertion, "data"), "actions"):
                if isinstance(action, dict) and action.get("digitalSourceType"):
                    return words(str(action["digitalSourceType"]).rpartition("/")[2])
    return ""


def generator_of(manifest: dict[str, Any]) -> str:
    """The program that wrote it, in its own words."""
    for info in listed(manifest, "claim_generator_info"):
        if isinstance(info, dict):
            return words(f"{info.get('name') or ''} {info.get('version') or ''}")
    return words(manifest.get("claim_generator"))


def member(told: dict[str, Any], name: str) -> dict[str, Any]:
    """An object inside of one, empty where there is none: nothing that others wrote has a shape to rely on."""
    found = told.get(name)
    return found if isinstance(found, dict) else {}


def listed(told: dict[str, Any], name: str) -> list[Any]:
    """The same of a list."""
    found = told.get(name)
    return found if isinstance(found, list) else []


def words(text: object) -> str:
    """Words of somebody else, short and on one line."""
    if not isinstance(text, str):
        return ""
    return " ".join("".join(one if one.isprintable() else " " for one in text[: 4 * _LONGEST]).split())[:_LONGEST]
