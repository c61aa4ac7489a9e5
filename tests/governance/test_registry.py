import threading
from datetime import UTC, datetime, timedelta

import pytest
from measuring import results_of
from tiny import tiny_checkpoint

from facemix.errors import CheckpointCorrupt, PromotionRefused, RecordMissing, RequestInvalid, StorageUnavailable
from facemix.governance.audit import AuditLog
from facemix.governance.controls import Controls
from facemix.governance.registry import Registry
from facemix.vae.checkpoint import WEIGHTS_FILE, read_card

ME = "somebody"


@pytest.fixture
def registry(database):
    return Registry(database)


def checkpoint(folder, *, seed=0, name="tiny", **figures):
    """A tiny checkpoint with its results beside it."""
    made = tiny_checkpoint(folder / f"{name}-{seed}", seed=seed, name=name)
    results_of(read_card(made).weights_sha256, made / "results.json", name=name, **(figures or {"psnr": 10.0}))
    return made


def states(registry):
    return {f"{one.name} {one.folder.name[-1]}": "default" if one.is_default else one.status for one in registry.list()}


@pytest.fixture
def three(registry, tmp_path):
    """Versions 0, 1 and 2 of one model, all candidates."""
    return [registry.add(checkpoint(tmp_path, seed=seed), actor=ME) for seed in range(3)]


def test_a_checkpoint_is_added_as_a_candidate_with_its_card_and_figures(registry, tmp_path):
    added = registry.add(checkpoint(tmp_path, psnr=12.5), actor=ME)
    assert (added.status, added.is_default, added.share, added.former) == ("candidate", False, 0.0, None)
    assert added.licence == "CC0-1.0"
    assert added.measured.figure("psnr") == 12.5
    assert added == registry.show("tiny") == registry.show(added.id) == registry.show(added.weights[:6])


def test_weights_that_are_not_those_of_the_card_are_not_added(registry, tmp_path):
    folder = checkpoint(tmp_path)
    with (folder / WEIGHTS_FILE).open("ab") as file:
        file.write(b"x")
    with pytest.raises(CheckpointCorrupt):
        registry.add(folder, actor=ME)
    assert registry.list() == []


def test_a_checkpoint_that_is_added_again_has_moved(registry, tmp_path):
    registry.add(checkpoint(tmp_path), actor=ME)
    registry.promote("tiny", actor=ME)
    (tmp_path / "elsewhere").mkdir()
    moved = (tmp_path / "tiny-0").rename(tmp_path / "elsewhere" / "tiny-0")
    again = registry.add(moved, actor=ME)
    assert again.folder == moved
    assert again.is_default


def test_a_promotion_needs_results_of_these_very_weights(registry, tmp_path):
    version = registry.add(tiny_checkpoint(tmp_path / "bare"), actor=ME)
    with pytest.raises(PromotionRefused):
        registry.promote("tiny", actor=ME)
    other = results_of("cd" * 32, tmp_path / "other.json", psnr=10.0)
    with pytest.raises(PromotionRefused):
        registry.promote("tiny", actor=ME, results=other)
    assert registry.show("tiny").status == "candidate"
    right = results_of(version.weights, tmp_path / "right.json", psnr=10.0)
    assert registry.promote("tiny", actor=ME, results=right).is_default
    assert registry.show("tiny").measured.figure("psnr") == 10.0


def test_a_promotion_may_require_figures(registry, tmp_path):
    registry.add(checkpoint(tmp_path, psnr=10.0, ssim=0.5), actor=ME)
    with pytest.raises(PromotionRefused) as refusal:
        registry.promote("tiny", actor=ME, require=["psnr>=20", "ssim>0.4", "lpips<1"])
    assert refusal.value.details["unmet"] == ["psnr is 10, not >= 20", "lpips was not measured"]
    with pytest.raises(RequestInvalid):
        registry.promote("tiny", actor=ME, require=["psnr"])
    assert registry.show("tiny").status == "candidate"
    promoted = registry.promote("tiny", actor=ME, require=["psnr>=10"])
    assert promoted.measured.conditions == ("psnr>=10",)


def test_a_checkpoint_that_was_changed_since_is_neither_promoted_nor_gone_back_to(registry, three):
    registry.promote(three[0].id, actor=ME)
    registry.promote(three[1].id, actor=ME)
    for version in (three[0], three[2]):
        with (version.folder / WEIGHTS_FILE).open("ab") as file:
            file.write(b"x")
    with pytest.raises(PromotionRefused):
        registry.promote(three[2].id, actor=ME)
    with pytest.raises(PromotionRefused):
        registry.rollback(actor=ME)
    assert states(registry) == {"tiny 1": "default", "tiny 0": "retired", "tiny 2": "candidate"}


def test_one_version_of_a_name_is_live(registry, three):
    registry.promote(three[0].id, actor=ME)
    registry.promote(three[1].id, actor=ME)
    assert states(registry) == {"tiny 1": "default", "tiny 0": "retired", "tiny 2": "candidate"}


def test_several_are_live_by_name(registry, tmp_path, three):
    registry.promote(three[0].id, actor=ME)
    other = registry.add(checkpoint(tmp_path, seed=7, name="other"), actor=ME)
    registry.promote("other", actor=ME, default=False)
    assert states(registry) == {
        "tiny 0": "default",
        "other 7": "live",
        "tiny 1": "candidate",
        "tiny 2": "candidate",
    }
    with pytest.raises(PromotionRefused):  # there would be no default
        registry.promote(three[1].id, actor=ME, default=False)
    assert registry.promote(other.id, actor=ME).former == three[0].weights
    assert states(registry)["tiny 0"] == "live"


def test_a_rollback_goes_back_step_by_step(registry, three):
    for version in three:
        registry.promote(version.id, actor=ME)
    assert registry.rollback(actor=ME).weights == three[1].weights
    assert states(registry) == {"tiny 1": "default", "tiny 0": "retired", "tiny 2": "retired"}
    assert registry.rollback(actor=ME).weights == three[0].weights
    with pytest.raises(PromotionRefused):
        registry.rollback(actor=ME)
    assert states(registry) == {"tiny 0": "default", "tiny 1": "retired", "tiny 2": "retired"}
    assert registry.promote(three[1].id, actor=ME).is_default  # what was retired may come back


def test_a_rollback_to_another_name_leaves_one_live_version_of_it(registry, tmp_path, three):
    registry.promote(three[0].id, actor=ME)
    registry.add(checkpoint(tmp_path, seed=7, name="other"), actor=ME)
    registry.promote("other", actor=ME)
    registry.promote(three[1].id, actor=ME, default=False)
    assert registry.rollback(actor=ME).weights == three[0].weights
    assert states(registry) == {
        "tiny 0": "default",
        "tiny 1": "retired",
        "tiny 2": "candidate",
        "other 7": "retired",
    }


def test_what_is_retired_is_no_way_back(registry, three):
    registry.promote(three[0].id, actor=ME)
    registry.promote(three[1].id, actor=ME)
    with pytest.raises(PromotionRefused):
        registry.retire(three[1].id, actor=ME)
    registry.retire(three[0].id, actor=ME)
    with pytest.raises(PromotionRefused):
        registry.rollback(actor=ME)
    assert [place.version.weights for place in registry.places(3600)] == [three[1].weights]


def test_candidates_have_shares(registry, three):
    registry.promote(three[0].id, actor=ME)
    registry.set_share(three[1].id, 0.75, actor=ME)
    for share in (0.5, -0.1, 1.5, float("nan"), float("inf")):
        with pytest.raises(RequestInvalid):
            registry.set_share(three[2].id, share, actor=ME)
    with pytest.raises(PromotionRefused):
        registry.set_share(three[0].id, 0.1, actor=ME)
    registry.set_share(three[2].id, 0.25, actor=ME)
    assert [(place.version.folder.name, place.role, place.version.share) for place in registry.places(3600)] == [
        ("tiny-0", "default", 0.0),
        ("tiny-2", "candidate", 0.25),
        ("tiny-1", "candidate", 0.75),
    ]
    assert registry.promote(three[1].id, actor=ME).share == 0


def test_who_stood_down_stays_at_hand_for_a_while(registry, three):
    for version in three:
        registry.promote(version.id, actor=ME)

    def at_hand(seconds, later=0):
        now = datetime.now(UTC) + timedelta(seconds=later)
        return [place.version.folder.name for place in registry.places(seconds, now=now) if place.role == "standby"]

    assert at_hand(3600) == ["tiny-1"]
    assert at_hand(3600, later=3601) == []
    registry.rollback(actor=ME)
    assert sorted(at_hand(3600)) == ["tiny-0", "tiny-2"]  # the way on back, and whose faces are a minute old


@pytest.mark.parametrize("which", ["", "none", "tiny@ffff", "other@0", "@", "tiny@", "%", "0"])
def test_what_names_no_model_is_refused(registry, three, which):
    with pytest.raises(RecordMissing):
        registry.show(which)


def test_a_name_of_several_is_refused(registry, three):
    with pytest.raises(RequestInvalid) as refusal:
        registry.show("tiny")
    assert all(one.id in refusal.value.hint for one in three)


def test_every_change_is_written_down_and_told_to_the_workers(registry, database, tmp_path, three):
    audit, controls = AuditLog(database), Controls(database)

    def told():
        return len(audit.list()), controls.versions()["models"]

    for change, action in (
        (lambda: registry.promote(three[0].id, actor=ME), "model.promote"),
        (lambda: registry.promote(three[1].id, actor=ME), "model.promote"),
        (lambda: registry.set_share(three[2].id, 0.5, actor=ME), "model.share"),
        (lambda: registry.rollback(actor=ME), "model.rollback"),
        (lambda: registry.retire(three[1].id, actor=ME), "model.retire"),
    ):
        before = told()
        changed = change()
        assert told() == (before[0] + 1, before[1] + 1)
        newest = audit.list()[0]
        assert (newest.actor, newest.action, newest.subject) == (ME, action, changed.id)
    before = told()
    with pytest.raises(PromotionRefused):
        registry.rollback(actor=ME)
    assert told() == before
    assert audit.verify().broken is None


def test_a_change_that_cannot_be_written_down_is_not_made(registry, database, three, monkeypatch):
    registry.promote(three[0].id, actor=ME)
    registry.promote(three[1].id, actor=ME)

    def broken(*_, **__):
        raise StorageUnavailable("the disk is gone", hint="none")

    monkeypatch.setattr(AuditLog, "append_in", broken)
    before = registry.list()
    with pytest.raises(StorageUnavailable):
        registry.rollback(actor=ME)
    assert registry.list() == before


# --- the checkpoint that comes with facemix ----------------------------------------------------------------


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A folder of shipped checkpoints with one in it."""
    root = tmp_path / "checkpoints"
    monkeypatch.setattr("facemix.governance.model_version.resource_dir", lambda name: root)
    return checkpoint(root)


def test_the_shipped_checkpoint_is_the_first_default(registry, database, shipped):
    adopted = registry.adopt(shipped=shipped)
    assert adopted.is_default
    assert registry.adopt(shipped=shipped) is None
    assert [(row.actor, row.action) for row in AuditLog(database).list()] == [
        ("facemix", "model.adopt"),
        ("facemix", "model.add"),
    ]


def test_of_several_servers_that_start_at_once_one_adopts_it(registry, database, shipped):
    ready, found = threading.Barrier(4), []

    def start():
        ready.wait(60)
        found.append(registry.adopt(shipped=shipped))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one is not None for one in found) == 1
    assert AuditLog(database).verify().broken is None
    assert len(AuditLog(database).list()) == 2


def test_a_shipped_checkpoint_is_found_where_facemix_has_moved_to(registry, shipped, tmp_path, monkeypatch):
    registry.adopt(shipped=shipped)
    moved = shipped.parent.rename(tmp_path / "another place")
    monkeypatch.setattr("facemix.governance.model_version.resource_dir", lambda name: moved)
    assert registry.show("tiny").folder == moved / shipped.name
    assert registry.adopt(shipped=moved / shipped.name) is None


def test_a_newer_facemix_brings_its_checkpoint_along(registry, shipped):
    former = registry.adopt(shipped=shipped)
    tiny_checkpoint(shipped, seed=1)  # in the place of the one that was there
    adopted = registry.adopt(shipped=shipped)
    assert adopted.is_default
    assert registry.show(former.weights).status == "retired"
    with pytest.raises(PromotionRefused):
        registry.rollback(actor=ME)  # its files are gone


def test_what_an_operator_chose_is_not_replaced(registry, shipped, tmp_path):
    registry.add(checkpoint(tmp_path / "own", seed=3, name="own"), actor=ME)
    registry.promote("own", actor=ME)
    (registry.show("own").folder / WEIGHTS_FILE).unlink()
    assert registry.adopt(shipped=shipped) is None
    assert registry.show("own").is_default
