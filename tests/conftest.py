import logging
import sys

import pytest
from days import well_within_a_day
from hypothesis import settings

LOGGERS = ("", "facemix", "httpx", "alembic", "uvicorn", "uvicorn.error", "uvicorn.asgi", "uvicorn.access")

# A slow machine is no defect: no example has a time limit. Nor is a run a lottery: the same examples each time, and new
# ones in the drills.
settings.register_profile("patient", deadline=None, derandomize=True)
settings.load_profile("patient")


@pytest.fixture(autouse=True, scope="session")
def _data_folder(tmp_path_factory):
    """No test writes into the home of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEMIX_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        patch.setenv("FACEMIX_ISOLATE", "false")  # processes for every mixer would take seconds each
        yield


@pytest.fixture(autouse=True)
def _logging_as_before():
    """A handler that a test leaves behind writes to a stream that is closed by then. That breaks later tests, and only
    now and then: logging tells of it on what is stderr at that moment, which another thread may close."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(one, one.handlers[:], one.level, one.propagate, one.disabled) for one in loggers]
    yield
    logging.captureWarnings(False)
    for one, handlers, level, propagate, disabled in before:
        one.handlers[:], one.propagate, one.disabled = handlers, propagate, disabled
        one.setLevel(level)


@pytest.fixture(autouse=True)
def _switching_as_before():
    """Serving lets threads take turns more often, for its whole process."""
    before = sys.getswitchinterval()
    yield
    if sys.getswitchinterval() != before:
        sys.setswitchinterval(before)


@pytest.fixture(autouse=True)
def _one_day():
    """No test begins on one day and ends on the next."""
    well_within_a_day(30)
