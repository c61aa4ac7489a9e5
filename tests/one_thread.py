"""A fixture that a room's conftest takes up by importing it."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    """The networks of these tests are too small to be worth a second thread, and sums stay in one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
