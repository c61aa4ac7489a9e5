import pytest
from hypothesis import settings

# A slow machine is no defect: no example has a time limit.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True, scope="session")
def _data_folder(tmp_path_factory):
    """No test writes into the home of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEMIX_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        patch.setenv("FACEMIX_ISOLATE", "false")  # processes for every mixer would take seconds each
        yield
