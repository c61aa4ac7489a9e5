import pytest

from facemix import resources
from facemix.errors import InstallationError
from facemix.resources import resource_dir


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package folder that nothing ships beside."""
    package = tmp_path / "site" / "facemix"
    package.mkdir(parents=True)
    monkeypatch.setattr(resources, "_PACKAGE", package)
    return package


@pytest.mark.parametrize("name", ["templates", "static", "checkpoints"])
def test_what_ships_is_found(name):
    assert resource_dir(name).is_dir()


def test_an_installed_wheel_has_its_own_copy(package):
    (package / "_assets" / "static").mkdir(parents=True)
    assert resource_dir("static") == package / "_assets" / "static"


def test_a_checkout_comes_before_the_copy(package):
    (package / "_assets" / "static").mkdir(parents=True)
    (package.parent / "static").mkdir()
    assert resource_dir("static") == package.parent / "static"


def test_a_missing_folder_is_named_with_the_places_looked_at(package):
    (package.parent / "static").write_text("a file is no folder")
    with pytest.raises(InstallationError, match="'static' is missing") as refused:
        resource_dir("static")
    assert str(package / "_assets" / "static") in refused.value.message
