from pathlib import Path

from facemix.safety import terms

PAGE = Path(__file__).parents[2] / "docs" / "terms.md"


def test_the_page_of_the_documentation_is_the_same_text():
    assert PAGE.read_text() == terms.as_markdown(), "write docs/terms.md with facemix.safety.terms.as_markdown"


def test_what_must_be_forbidden_is():
    forbidden = next(section for section in terms.TERMS if section.name == "forbidden")
    text = " ".join(forbidden.points).lower()
    for word in ("identity documents", "passport", "deception", "consent", "minors", "eighteen"):
        assert word in text
    assert len({section.name for section in terms.TERMS}) == len(terms.TERMS)


def test_a_version_fits_into_a_header_and_into_the_ledger():
    assert terms.VERSION.isascii()
    assert terms.VERSION.isprintable()
    assert 0 < len(terms.VERSION) <= 32
