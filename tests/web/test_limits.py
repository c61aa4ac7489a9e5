import pytest

from facemix.errors import Busy
from facemix.web.limits import Buffered


def test_bytes_in_memory_are_bounded_and_given_back():
    buffered = Buffered(10, share=100)
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


def test_one_address_has_a_share():
    buffered = Buffered(40)
    buffered.take(4, "a")
    buffered.take(6, "a")
    with pytest.raises(Busy, match="10 bytes of this address"):
        buffered.take(1, "a")
    buffered.take(10, "b")
    buffered.give_back(4, "a")
    buffered.take(4, "a")
    assert buffered.bytes == 20


def test_a_share_is_no_smaller_than_one_body():
    buffered = Buffered(40)
    buffered.take(12, "a", least_share=15)
    buffered.take(3, "a", least_share=15)
    with pytest.raises(Busy, match="at most 15"):
        buffered.take(1, "a", least_share=15)


def test_addresses_that_hold_nothing_are_forgotten():
    buffered = Buffered(40)
    for number in range(100):
        buffered.take(0, str(number))
        buffered.take(3, str(number))
        buffered.give_back(3, str(number))
    buffered.give_back(0, "never seen")
    assert (buffered.bytes, buffered._of_address) == (0, {})
