"""For tests that need the extra ``identity``: CI installs it, elsewhere they say why they are skipped."""

import pytest

from facemix.evaluation.identity import ABSENT
from facemix.faces.embedder import load_embedder


def embedder_or_skip():
    found = load_embedder()
    if found is None:
        pytest.skip(ABSENT)
    return found
