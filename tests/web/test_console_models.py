import re
from contextlib import contextmanager

import pytest
from console_client import Browser, console
from measuring import results_of
from tiny import tiny_checkpoint

from facemix.storage.ledger import Ledger, LedgerRow
from facemix.vae.checkpoint import read_card

PAGE = "/console/models"


@contextmanager
def opened(folder):
    """A browser in which an operator is signed in."""
    with console(folder, people={"anna": "operator", "rita": "reviewer"}) as made:
        assert made.sign_in().status_code == 303
        yield made


def registered(registry, folder):
    """The default and a candidate."""
    found = []
    for seed in range(2):
        checkpoint = tiny_checkpoint(folder / f"tiny-{seed}", seed=seed, licence=f"licence <{seed}>")
        weights = read_card(checkpoint).weights_sha256
        results_of(weights, checkpoint / "results.json", psnr=10.0 + seed, midpoints__identity_both=0.125)
        found.append(registry.add(checkpoint, actor="test"))
    registry.promote(found[0].id, actor="test")
    return found


@pytest.fixture
def browser(tmp_path):
    with opened(tmp_path) as made:
        yield made


@pytest.fixture
def registry(browser):
    return browser.client.governed.registry


@pytest.fixture
def two(registry, tmp_path):
    return registered(registry, tmp_path)


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory):
    """A browser, and two models that no test changes."""
    folder = tmp_path_factory.mktemp("console")
    with opened(folder) as made:
        yield made, registered(made.client.governed.registry, folder)


def test_without_models_the_page_says_how_there_are_some(browser):
    page = browser.get(PAGE)
    assert page.status_code == 200
    assert "facemix models add" in page.text
    assert "<form class" not in page.text.partition("<main")[2]


def test_the_figures_stand_side_by_side(browser, two):
    rows = [
        LedgerRow(
            request_id="1",
            route="POST /api/v1/mix",
            status=200,
            model_id=two[0].id,
            frames_decoded=2,
            device_seconds=0.05,
            milliseconds=milliseconds,
        )
        for milliseconds in (40, 60)
    ]
    Ledger(browser.client.governed.database).append_many(rows)
    text = " ".join(browser.get(PAGE).text.split())
    for one in two:
        assert text.count(one.id) >= 2
    assert "licence &lt;0&gt;" in text
    assert "<td>10.00</td><td>11.00</td>" in text
    assert "<td>0.125</td><td>0.125</td>" in text
    assert "<td>2</td><td>–</td>" in text  # requests
    assert "<td>50</td><td>–</td>" in text  # milliseconds
    assert "<td>25.0</td><td>–</td>" in text  # of the device


def test_on_a_phone_every_cell_of_a_version_has_its_name_before_it(unchanged):
    browser, _ = unchanged
    table = browser.get(PAGE).text.partition('aria-label="Versions"')[2].partition("</table>")[0]
    assert "ledger-rows" in table
    cells = re.findall(r"<td[^>]*>", table)
    assert cells == 2 * [f'<td data-label="{name}">' for name in ("status", "share", "latents", "added", "licence")]


def test_a_model_is_promoted_rolled_back_and_retired(browser, registry, two):
    old, new = two
    promoted = browser.send(PAGE, action="promote", model=new.id, default="1", sure="1", require="psnr>=11, psnr<12")
    assert (promoted.status_code, promoted.headers["location"]) == (303, PAGE)
    assert registry.show(new.id).is_default
    assert registry.show(new.id).measured.conditions == ("psnr>=11", "psnr<12")
    assert browser.client.governed.audit.list(1)[0].actor == "anna"
    assert browser.send(PAGE, action="rollback", sure="1").status_code == 303
    assert registry.show(old.id).is_default
    assert browser.send(PAGE, action="retire", model=new.id, sure="1").status_code == 303
    assert registry.show(new.id).status == "retired"


def test_a_candidate_gets_a_share_in_percent(browser, registry, two):
    assert browser.send(PAGE, action="share", model=two[1].id, share="12.5").status_code == 303
    assert registry.show(two[1].id).share == 0.125
    assert "12.5 %" in browser.get(PAGE).text


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "promote", "model": "tiny"},
        {"action": "promote", "model": "none", "sure": "1", "default": "1"},
        {"action": "promote", "model": "NEW", "sure": "1", "default": "1", "require": "psnr>=99"},
        {"action": "promote", "model": "NEW", "sure": "1", "default": "1", "require": "psnr"},
        {"action": "promote", "model": "NEW", "sure": "1"},
        {"action": "rollback"},
        {"action": "rollback", "sure": "1"},
        {"action": "retire", "model": "OLD", "sure": "1"},
        {"action": "share", "model": "NEW", "share": "much"},
        {"action": "share", "model": "NEW", "share": "nan"},
        {"action": "share", "model": "NEW", "share": "101"},
        {"action": "share", "model": "OLD", "share": "1"},
        {"action": "<b>"},
        {},
    ],
)
def test_what_cannot_be_is_told_and_changes_nothing(unchanged, fields):
    browser, (old, new) = unchanged
    registry = browser.client.governed.registry
    before, ids = registry.list(), {"OLD": old.id, "NEW": new.id}
    refused = browser.send(PAGE, **{name: ids.get(value, value) for name, value in fields.items()})
    assert 400 <= refused.status_code < 500
    assert 'role="alert"' in refused.text
    assert "<b>" not in refused.text
    assert registry.list() == before


def test_only_operators_may(unchanged):
    reviewer = Browser(unchanged[0].client)
    assert reviewer.sign_in("rita").status_code == 303
    assert reviewer.get(PAGE).status_code == 403
    assert reviewer.post(PAGE, {"action": "rollback", "sure": "1"}).status_code == 403


def test_a_server_with_a_checkpoint_of_its_own_says_so(tmp_path):
    with console(tmp_path, people={"anna": "operator"}, checkpoint=tmp_path / "mine") as browser:
        browser.sign_in()
        assert "FACEMIX_CHECKPOINT" in browser.get(PAGE).text.partition("<section")[0]
