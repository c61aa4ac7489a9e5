import hashlib
import re

from facemix.storage.tokens import new_id, new_token, token_hash


def test_a_token_is_256_bits_of_url_safe_text_behind_its_prefix():
    token = new_token("p_")
    assert re.fullmatch(r"p_[A-Za-z0-9_-]{43}", token)
    assert token != new_token("p_")


def test_an_id_is_16_url_safe_characters():
    made = {new_id() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{16}", one) for one in made)


def test_the_hash_is_sha256_and_takes_any_text():
    assert token_hash("abc") == hashlib.sha256(b"abc").hexdigest()
    assert len({token_hash(text) for text in ("", "\0", "\ud800", "ü")}) == 4
