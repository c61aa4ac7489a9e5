import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facemix.errors import RecipeInvalid
from facemix.mixing.latents import check_result, pack_latent, unpack_latent


@given(arrays(np.float32, st.integers(1, 64), elements=st.floats(-1e3, 1e3, width=32)))
def test_a_latent_survives_being_text_bit_for_bit(z):
    again = unpack_latent(pack_latent(z), len(z))
    assert again.dtype == np.float32
    assert again.tobytes() == z.tobytes()


def test_the_text_is_little_endian_float32():
    assert base64.b64decode(pack_latent(np.array([1.0, -2.0]))) == b"\x00\x00\x80\x3f\x00\x00\x00\xc0"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no base64!", "not base64"),
        ("AAAA", "has 3 bytes, not the 8 of 2 numbers"),
        (pack_latent(np.zeros(3)), "has 12 bytes"),
        (pack_latent(np.array([np.nan, 0])), "not finite"),
        (pack_latent(np.array([np.inf, 0])), "not finite"),
        (pack_latent(np.array([0, -1001])), "beyond 1000"),
    ],
)
def test_what_is_no_latent_of_that_size_is_refused(text, said):
    with pytest.raises(RecipeInvalid, match=said) as refused:
        unpack_latent(text, 2, where="parents.1")
    assert refused.value.where == "parents.1"


def test_what_comes_out_may_be_written_to():
    unpack_latent(pack_latent(np.zeros(4)), 4)[0] = 1


@pytest.mark.parametrize("value", [1001, -1001, np.nan, np.inf])
def test_a_result_that_would_not_be_taken_back_is_refused(value):
    check_result(np.array([1000, -1000], np.float32))
    with pytest.raises(RecipeInvalid, match="too far") as refused:
        check_result(np.array([0, value], np.float32))
    assert refused.value.where == "parents"
