"""The model registry under several operators at once, on either kind of database."""

import threading

from measuring import results_of
from tiny import tiny_checkpoint

from facemix.errors import PromotionRefused
from facemix.governance.audit import AuditLog
from facemix.governance.controls import Controls
from facemix.governance.registry import Registry
from facemix.vae.checkpoint import read_card


def test_changes_at_the_same_time_leave_one_default_and_a_whole_log(fresh, tmp_path):
    registry, ids = Registry(fresh), []
    for seed in range(3):
        folder = tiny_checkpoint(tmp_path / f"tiny-{seed}", seed=seed)
        results_of(read_card(folder).weights_sha256, folder / "results.json", psnr=1.0)
        ids.append(registry.add(folder, actor="test").id)
    made, broken = [], []

    def change(first):
        for number in range(4):
            for one in (lambda n=number: registry.promote(ids[(first + n) % 3], actor="test"), rollback):
                try:
                    made.append(one())
                except PromotionRefused:
                    pass  # it is the default already, or there is none before it
                except Exception as error:
                    broken.append(error)

    def rollback():
        return registry.rollback(actor="test")

    threads = [threading.Thread(target=change, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []
    versions = registry.list()
    assert [one.is_default for one in versions] == [True, False, False]
    assert [one.status for one in versions].count("live") == 1
    log = AuditLog(fresh)
    assert log.verify().broken is None
    assert log.verify().rows == 3 + len(made) == Controls(fresh).versions()["models"]
