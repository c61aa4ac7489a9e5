import hashlib
import re

import pytest

from facemix.storage.tokens import ID_BYTES, LONG_ID_BYTES, new_id, new_token, token_hash


def test_a_token_is_256_bits_of_url_safe_text_behind_its_prefix():
    token = new_token("p_")
    assert re.fullmatch(r"p_[A-Za-z0-9_-]{43}", token)
    assert token != new_token("p_")


@pytest.mark.parametrize(("size", "characters"), [(ID_BYTES, 16), (LONG_ID_BYTES, 22)])
def test_an_id_is_url_safe_text_that_no_command_takes_for_an_option(size, characters):
    made = {new_id(size) for _ in range(2000)}  # of random ones about thirty would start with a hyphen
    assert len(made) == 2000
    assert all(re.fullmatch(rf"[A-Za-z0-9_][A-Za-z0-9_-]{{{characters - 1}}}", one) for one in made)


def test_the_hash_is_sha256_and_takes_any_text():
    assert token_hash("abc") == hashlib.sha256(b"abc").hexdigest()
    assert len({token_hash(text) for text in ("", "\0", "\ud800", "ü")}) == 4
