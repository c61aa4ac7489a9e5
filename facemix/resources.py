"""Where the folders that ship beside the package are: `templates`, `static` and `checkpoints`.

In a checkout they lie at the top of the repository; in an installed wheel they lie in ``facemix/_assets``.
"""

from __future__ import annotations

from pathlib import Path

from facemix.errors import InstallationError

_PACKAGE = Path(__file__).resolve().parent


def resource_dir(name: str) -> Path:
    """Finds a shipped folder.

    Raises:
        InstallationError: it is in neither place.
    """
    candidates = (_PACKAGE.parent / name, _PACKAGE / "_assets" / name)
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise InstallationError(
        f"the folder {name!r} is missing; looked at {' and '.join(str(path) for path in candidates)}",
        hint="install facemix again from a complete wheel or checkout",
    )
