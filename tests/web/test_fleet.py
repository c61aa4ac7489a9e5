import json

import pytest
from fleets import fake
from measuring import results_of
from tiny import tiny_checkpoint

from facemix.errors import CheckpointCorrupt
from facemix.governance.registry import Registry
from facemix.serving.observer import Observer
from facemix.settings import Settings
from facemix.storage.database import Database
from facemix.vae.checkpoint import read_card
from facemix.web.fleet import OneModel, Registered
from facemix.web.governed import Governed
from facemix.web.run import open_fleet


@pytest.fixture
def registry(tmp_path):
    with Database.open(f"sqlite:///{tmp_path / 'facemix.db'}") as database:
        database.upgrade()
        yield Registry(database)


def promoted(registry, folder, seed):
    made = tiny_checkpoint(folder / f"tiny-{seed}", seed=seed)
    results_of(read_card(made).weights_sha256, made / "results.json", psnr=10.0)
    return registry.promote(registry.add(made, actor="test").id, actor="test")


def mixer_of(folder, observer):
    mixer = fake("tiny", "0")
    mixer.model = mixer.model.model_copy(
        update={"weights": json.loads((folder / "card.json").read_text())["weights_sha256"]}
    )
    return mixer


def test_the_one_model_is_another_only_if_it_is_looked_at_anew():
    fleet = OneModel(lambda observer: fake("face", "a"))
    (first,), (same,), (second,) = fleet.plan(anew=True), fleet.plan(anew=False), fleet.plan(anew=True)
    assert first.key == same.key != second.key
    assert first.role == "default"


def test_what_is_registered_is_planned(registry, tmp_path):
    old, new = promoted(registry, tmp_path, 0), promoted(registry, tmp_path, 1)
    fleet = Registered(registry, mixer_of, standby_seconds=3600)
    plan = fleet.plan(anew=False)
    assert [(one.key, one.role) for one in plan] == [(new.weights, "default"), (old.weights, "standby")]
    assert plan[0].make(Observer()).model.weights == new.weights
    assert [one.role for one in Registered(registry, mixer_of, standby_seconds=0).plan(anew=False)] == ["default"]


def test_other_weights_than_were_registered_do_not_answer(registry, tmp_path):
    version = promoted(registry, tmp_path, 0)
    tiny_checkpoint(version.folder, seed=5)
    made = []

    def make(folder, observer):
        made.append(mixer_of(folder, observer))
        return made[-1]

    (planned,) = Registered(registry, make, standby_seconds=0).plan(anew=False)
    with pytest.raises(CheckpointCorrupt) as refusal:
        planned.make(Observer())
    assert version.weights[:12] in refusal.value.message
    assert made[0].closed


def test_an_empty_registry_takes_the_checkpoint_that_comes_with_facemix(registry):
    (planned,) = Registered(registry, mixer_of, standby_seconds=0).plan(anew=True)
    assert (planned.name, planned.role) == ("facemix-128", "default")
    assert registry.show("facemix-128").is_default


def test_a_checkpoint_that_the_settings_name_outranks_the_registry(tmp_path):
    with Database.open(f"sqlite:///{tmp_path / 'facemix.db'}") as database:
        database.upgrade()
        settings = Settings(data_dir=tmp_path)
        governed = Governed.open(settings, database)
        assert isinstance(open_fleet(settings, governed), Registered)
        assert open_fleet(settings.model_copy(update={"checkpoint": tmp_path}), governed) is None
