import pytest
from measuring import results_of
from tiny import tiny_checkpoint

from facemix.governance.audit import AuditLog
from facemix.governance.controls import Controls
from facemix.storage.database import Database
from facemix.storage.engine import default_url
from facemix.vae.checkpoint import read_card


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEMIX_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("FACEMIX_CHECKPOINT", raising=False)
    return tmp_path / "data"


@pytest.fixture
def database(data):
    """That of the commands, to look into."""
    with Database.open(default_url(data)) as opened:
        opened.upgrade()
        yield opened


@pytest.fixture
def two(run, data, tmp_path):
    """Two candidates; their ids."""
    found = []
    for seed in range(2):
        folder = tiny_checkpoint(tmp_path / f"tiny-{seed}", seed=seed)
        weights = read_card(folder).weights_sha256
        results_of(weights, folder / "results.json", psnr=10.0 + seed, midpoints__identity_both=0.0625)
        status, out, _ = run("models", "add", folder)
        assert (status, out) == (0, f"tiny@{weights[:12]}: candidate\n")
        found.append(f"tiny@{weights[:12]}")
    return found


def test_a_model_goes_live_and_back(run, two, database):
    old, new = two
    assert run("models", "promote", old)[1] == f"{old}: live, default\n"
    assert run("models", "share", new, "0.25")[1] == f"{new}: candidate, 25 % of the clients\n"
    assert run("models", "promote", new, "--require", "psnr>=11", "--require", "identity_both<0.1")[0] == 0
    assert run("models", "list")[1].splitlines() == [f"{new}: live, default", f"{old}: retired"]
    assert run("models", "rollback")[1] == f"{old}: live, default\n"
    assert run("models", "retire", new)[1] == f"{new}: retired\n"
    rows = AuditLog(database).list()
    assert {row.actor for row in rows} == {"command line"}
    assert [row.action.partition(".")[2] for row in reversed(rows)] == [
        *("add", "add", "promote", "share", "promote", "rollback", "retire")
    ]


def test_what_was_measured_is_shown(run, two):
    status, out, _ = run("models", "show", two[1])
    assert status == 0
    assert "licence: CC0-1.0" in out
    assert "reconstruction.psnr: 11" in out
    assert "mid-points taken for both parents: 6.2 %" in out


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["promote", "NEW", "--require", "psnr>=99"], 5, "psnr is 11, not >= 99"),
        (["promote", "NEW", "--require", "psnr"], 2, "no condition"),
        (["promote", "NEW", "--results", "none.json"], 5, "none.json"),
        (["promote", "tiny"], 2, "several models"),
        (["rollback"], 5, "no default before"),
        (["retire", "other"], 2, "no model 'other'"),
        (["share", "NEW", "2"], 2, "the share is 2"),
        (["add", "nowhere"], 5, "nowhere"),
    ],
)
def test_what_cannot_be_is_told_on_one_line(run, two, arguments, status, said):
    found, out, err = run("models", *(two[1] if one == "NEW" else one for one in arguments))
    assert (found, out) == (status, "")
    assert said in err
    assert len(err.splitlines()) == 1


def test_a_folder_without_a_model_is_to_be_named_otherwise(run, data, tmp_path):
    status, _, err = run("models", "add", tmp_path)
    assert status == 5
    assert "hint: name a folder with model.safetensors and card.json, in the command or" in err


def test_a_checkpoint_of_the_settings_is_pointed_out(run, data, tmp_path, monkeypatch):
    monkeypatch.setenv("FACEMIX_CHECKPOINT", str(tmp_path / "mine"))
    status, out, err = run("models", "list")
    assert (status, out) == (0, "")
    assert f"FACEMIX_CHECKPOINT is {tmp_path / 'mine'}" in err


def test_generation_is_stopped_with_a_reason_and_goes_on(run, data, database):
    controls = Controls(database)
    assert run("stop")[0] == 2
    assert run("stop", "--reason", "  ")[0] == 2
    assert run("stop", "--reason", "x" * 301)[0] == 2
    assert not controls.kill_switch().on
    assert run("stop", "--reason", "a  report\nis looked into")[0] == 0
    switch = controls.kill_switch()
    assert (switch.on, switch.reason, switch.by) == (True, "a report is looked into", "command line")
    assert run("resume")[0] == 0
    assert not controls.kill_switch().on
    assert [row.action for row in AuditLog(database).list()] == ["kill.off", "kill.on"]
