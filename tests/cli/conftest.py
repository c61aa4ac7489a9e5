"""The command line in this process, with the tiny model and drawn photographs."""

import os
import sys

import pytest
from exact import EXACT
from files import huge_png, jpeg, png, text_named_jpg, truncated
from made_directions import made_directions
from portraits import cat, crowd, far_away, head, other
from tiny import tiny_checkpoint

from facemix import cli
from facemix.vae.checkpoint import read_card


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("cli") / "checkpoint")


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for name, data in {
        "a.png": png(head()),
        "b.jpg": jpeg(other()),
        "crowd.png": png(crowd()),
        "cat.jpg": jpeg(cat()),
        "empty.jpg": b"",
        "text.jpg": text_named_jpg(),
        "cut.jpg": truncated(jpeg(head())),
        "huge.png": huge_png(),
        "far.png": png(far_away()),
    }.items():
        (folder / name).write_bytes(data)
    (folder / "folder.jpg").mkdir()
    return folder


@pytest.fixture
def run(monkeypatch, capsys, checkpoint, tmp_path_factory):
    """Runs the command line in this process: run("mix", ...) gives (status, stdout, stderr)."""
    for name in [name for name in os.environ if name.startswith("FACEMIX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FACEMIX_CHECKPOINT", str(checkpoint))
    monkeypatch.setenv("FACEMIX_DATA_DIR", str(tmp_path_factory.mktemp("data")))
    # What the model draws is compared; what is put on it has tests of its own.
    for name, value in (EXACT | dict.fromkeys(("label", "mark", "credentials"), "false")).items():
        monkeypatch.setenv(f"FACEMIX_{name.upper()}", value)
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments):
        monkeypatch.setattr(sys, "argv", ["facemix", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        return stopped.value.code, said.out, said.err

    return invoke


@pytest.fixture(scope="session")
def moving(tmp_path_factory):
    """A checkpoint that has attribute directions."""
    folder = tiny_checkpoint(tmp_path_factory.mktemp("moving") / "checkpoint")
    made_directions(read_card(folder)).save(folder)
    return folder


@pytest.fixture
def move(run, monkeypatch, moving):
    monkeypatch.setenv("FACEMIX_CHECKPOINT", str(moving))
    return run
