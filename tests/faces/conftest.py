import pytest
from skimage import data

from facemix.faces.centerface import CenterFace
from facemix.faces.finder import FaceFinder


@pytest.fixture(scope="session")
def detector():
    return CenterFace(threads=1)


@pytest.fixture(scope="session")
def finder(detector):
    return FaceFinder(detector)


@pytest.fixture(scope="session")
def astronaut():
    """512 x 512, one face; its eyes are at about (203, 102) and (247, 104)."""
    image = data.astronaut()
    image.setflags(write=False)
    return image
