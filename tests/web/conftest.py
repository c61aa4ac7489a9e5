import pytest
from web_client import running


@pytest.fixture(scope="module")
def client():
    """The application with the fake mixer, loaded."""
    with running() as made:
        yield made
