"""A real PostgreSQL in a temporary folder, reached through a socket in that folder: no port, no password."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

REQUIRED = "FACEMIX_TEST_POSTGRES"  # "required": a missing PostgreSQL fails the tests instead of skipping them


def binaries() -> Path | None:
    """The folder of initdb and postgres; Debian keeps it off the PATH."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    return next((path for path in places if (path / "initdb").exists() and (path / "postgres").exists()), None)


class PostgresServer:
    """A running server; `create` makes an empty database in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def execute(self, statement: str) -> None:
        """As the superuser, outside of any transaction."""
        with psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres", autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]

    def own(self, path: Path) -> None:
        """Gives a file to the user that the server runs as."""
        owner = (self.folder / "data").stat()
        os.chown(path, owner.st_uid, owner.st_gid)

    def create(self, options: str = "") -> str:
        """The name of a new database."""
        self._count += 1
        name = f"test_{self._count}"
        self.execute(f"CREATE DATABASE {name} {options}")
        return name

    def shut(self, name: str) -> None:
        """Ends every connection to the database and lets nobody in, as a server that is going down does."""
        self.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    def reopen(self, name: str) -> None:
        self.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@contextmanager
def running_server(programs: Path) -> Iterator[PostgresServer]:
    """Starts a server as the user `postgres` where we are root, which PostgreSQL refuses to be; stops it at the end."""
    who = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="facemix-postgres-"))  # pytest's own folders are closed to other users
    data = folder / "data"
    if who:
        shutil.chown(folder, "postgres", "postgres")
    try:
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=folder,
            **who,
        )
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": folder,
            "fsync": "off",
            "shared_buffers": "16MB",
            "max_connections": "40",
            "timezone": "Asia/Kathmandu",  # whatever the server's zone is, times come back in UTC
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        log = (folder / "log").open("wb")
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *options], stdout=log, stderr=subprocess.STDOUT, cwd=folder, **who
        )
        log.close()
        try:
            ready = [programs / "pg_isready", "-q", "-h", folder, "-t", "1"]
            while subprocess.run(ready, check=False).returncode != 0:
                if server.poll() is not None:
                    raise RuntimeError(f"PostgreSQL did not start:\n{(folder / 'log').read_text()}")
            yield PostgresServer(folder)
        finally:
            server.send_signal(signal.SIGQUIT)  # at once, without a checkpoint
            server.wait(60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
