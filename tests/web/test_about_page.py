"""What happens to photos, as the settings of the running server have it."""

import html
import re

import pytest
from web_client import running


def about(**settings):
    """The page's words, without its markup."""
    with running(**settings) as client:
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", client.get("/about").text)).split())


def test_limits_are_the_live_ones():
    page = about(max_upload_bytes=3 * 1024 * 1024, max_image_pixels=7_000_000, max_body_bytes=9 * 1024 * 1024)
    for words in ("at most 3 MB", "at most 9 MB", "7 million pixels"):
        assert words in page


@pytest.mark.parametrize(
    ("keep", "place", "other"), [("memory", "memory", "database"), ("database", "database", "memory")]
)
def test_faces_and_jobs_are_kept_where_the_operator_says(keep, place, other):
    page = about(keep=keep, face_seconds=1800, job_seconds=120)
    assert re.search(rf"In (this|the) server's {place} for 30 minutes , under an id", page)
    assert re.search(rf"The result in (this|the) server's {place} for 2 minutes after it is done", page)
    assert not re.search(rf"In (this|the) server's {other} for 30 minutes", page)
    assert ("When the server stops, they are gone." in page) == (keep == "memory")
    assert ("backups that the operator makes" in page) == (keep == "database")


@pytest.mark.parametrize("settings", [{"cache_bytes": 0}, {"cache_seconds": 0}])
def test_what_is_not_cached_is_not_spoken_of(settings):
    assert "photos seen lately" not in about(**settings)


def test_what_is_cached_is_said_with_its_time():
    assert "photos seen lately In this server's memory for 5 minutes" in about(cache_seconds=300)


def test_who_is_given_what_is_cached_is_said():
    page = about(cache_seconds=300)
    assert "for 5 minutes and nowhere else" in page
    assert "or has the id of the face in it" in page


@pytest.mark.parametrize(
    ("days", "words"), [(1, "at most 1 day ."), (90, "at most 90 days ."), (0, "or until you delete it .")]
)
def test_links_live_as_long_as_the_operator_lets_them(days, words):
    page = about(link_days=days)
    assert words in page
    assert ("until you delete it ." in page) == (days == 0)


def test_the_ledger_is_spoken_of_where_there_is_one():
    assert "a row in its ledger" in about(ledger_days=30)
    assert "Rows of the ledger go after 30 days." in about(ledger_days=30)
    assert "Rows of the ledger go" not in about(ledger_days=0)
    assert "ledger" not in about(ledger=False)


def test_a_collector_is_spoken_of_where_there_is_one():
    pytest.importorskip("opentelemetry.sdk")
    assert "a collector that the operator has named" in about(otlp_endpoint="http://127.0.0.1:9")
    assert "collector" not in about()


def test_the_browser_keeps_keys_alone():
    page = about()
    for words in ("facemix.saved", "facemix.theme", "no cookies", "The camera is used only after you press its button"):
        assert words in page


def test_the_page_is_found_under_both_of_its_names():
    with running() as client:
        assert client.get("/privacy").text == client.get("/about").text


def test_what_waits_for_a_reviewer_is_said_with_its_time_and_share():
    page = about(review_hours=48, review_share=0.025)
    assert "by chance (2.5 in a hundred, where there is a reviewer)" in page
    assert "after 2 days in any case" in page
    assert "by chance" not in about(review_share=0)


@pytest.mark.parametrize(
    ("setting", "on", "off"),
    [
        ("label", "bear a small label", "bear no visible label"),
        ("mark", "hold an invisible mark", None),
        ("credentials", "are signed with content credentials", None),
    ],
)
def test_marks_are_spoken_of_as_they_are_set(setting, on, off):
    assert on in about(**{setting: True})
    page = about(**{setting: False})
    assert on not in page
    assert off is None or off in page
