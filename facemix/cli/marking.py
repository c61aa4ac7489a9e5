"""Results of commands leave as those of a server in the same data folder do: labelled, marked and signed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from facemix.settings import Settings, load_settings

if TYPE_CHECKING:
    from facemix.safety.marking import Marker
    from facemix.web.release import Release


def marker_for_files(settings: Settings) -> Marker:
    """What the settings put on results; secret and certificate are made in the data folder where there are none.

    Raises:
        ConfigError, StorageUnavailable, InstallationError: see `open_secrets` and `open_marker`.
    """
    from facemix.governance.secrets import open_secrets
    from facemix.safety.marking import Marker, open_marker

    if not (settings.label or settings.mark or settings.credentials):
        return Marker.off()
    return open_marker(settings, open_secrets(settings))


def names_for_files(settings: Settings) -> Callable[[str], str] | None:
    """What names photographs and latents in a conditioning record; None where results bear nothing for which the data
    folder would need a secret. Raises as `marker_for_files`."""
    from facemix.governance.secrets import open_secrets

    if not (settings.label or settings.mark or settings.credentials):
        return None
    return open_secrets(settings).names("record")


def release_for_files() -> Release:
    """The way out for one command. Raises as `marker_for_files`."""
    from facemix.web.release import Release

    return Release(marker=marker_for_files(load_settings()))
