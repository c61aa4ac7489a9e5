import pytest

from facemix.errors import Busy
from facemix.web.limits import Buffered


def test_bytes_in_memory_are_bounded_and_given_back():
    buffered = Buffered(10)
    buffered.take(12)  # alone, a body may be larger: its own cap decides about it
    with pytest.raises(Busy) as caught:
        buffered.take(1)
    assert caught.value.details["retry_after"] > 0
    buffered.give_back(12)
    buffered.take(4)
    buffered.take(6)
    with pytest.raises(Busy, match="10 bytes"):
        buffered.take(1)
    assert buffered.bytes == 10
