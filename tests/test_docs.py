"""The documents say what the code does: tables, links and figures are compared, not believed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from benchmarks import figures
from facemix import errors
from facemix.resources import resource_dir
from facemix.settings import Settings
from facemix.training.config import PRESETS

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=~! ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def _requirements(*groups: list[str]) -> set[str]:
    return {_name(requirement) for group in groups for requirement in group} - {"facemix"}


def _error_classes(kind: type = errors.FacemixError) -> list[type]:
    return [kind, *(found for below in kind.__subclasses__() for found in _error_classes(below))]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_with_its_default(name):
    field = Settings.model_fields[name]
    default = "empty" if field.default in (None, "") else f"`{field.default}`"
    row = f"| `FACEMIX_{name.upper()}` | {default} | {field.description} |"
    assert row in (ROOT / "docs/settings.md").read_text().splitlines()


def test_no_setting_is_documented_that_does_not_exist():
    documented = re.findall(r"`FACEMIX_([A-Z0-9_]+)`", (ROOT / "docs/settings.md").read_text())
    assert sorted(documented) == sorted(name.upper() for name in Settings.model_fields)


def test_every_dependency_has_its_reason():
    text = (ROOT / "docs/dependencies.md").read_text().lower()
    wanted = _requirements(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    assert [name for name in sorted(wanted) if name not in text] == []


def test_every_dependency_is_pinned_for_the_tests():
    lines = (ROOT / ".ci/constraints.txt").read_text().splitlines()
    pinned = {_name(line) for line in lines if line and not line.startswith("#")}
    wanted = _requirements(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    assert sorted(wanted - pinned) == []


def test_every_exit_status_is_documented():
    statuses = {int(status) for status in re.findall(r"^\| (\d+) \|", (ROOT / "docs/cli.md").read_text(), re.M)}
    assert {kind.exit_code for kind in _error_classes()} <= statuses


def test_every_preset_is_documented():
    text = (ROOT / "docs/training.md").read_text()
    assert [name for name in PRESETS if f"| `{name}` |" not in text] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_somewhere(document):
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text())
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_the_readme_shows_the_figures_of_the_shipped_checkpoint():
    text = figures.README.read_text()
    assert figures.written(text) == text, "run `python -m benchmarks.figures`"


def test_the_terms_of_the_weights_stand_beside_them_and_in_every_card():
    folder = resource_dir("checkpoints")
    assert "non-commercial" in (folder / "LICENSE-WEIGHTS.md").read_text()
    cards = sorted(folder.glob("*/card.json"))
    assert cards
    for card in cards:
        assert "non-commercial" in card.read_text()
