import hashlib
import json

import pytest
from one_thread import one_thread  # noqa: F401 (pytest finds it here)
from prepared import prepared_set
from tiny import tiny_checkpoint


def with_labels(folder):
    """Gives every photograph of a prepared set an age, a gender and an ethnicity, some rows excepted."""
    lines = (folder / "manifest.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    kept = [row for row in rows if "split" in row]
    for number, row in enumerate(kept):
        if number % 7:
            gender = ("female", "male")[number % 2]
            row["labels"] = {"age": 20 + 15 * (number % 4), "gender": gender, "ethnicity": "other"}
    manifest = "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows)
    (folder / "manifest.jsonl").write_text(manifest)
    summary = json.loads((folder / "dataset.json").read_text())
    summary["manifest_sha256"] = hashlib.sha256(manifest.encode()).hexdigest()
    (folder / "dataset.json").write_text(json.dumps(summary))
    return folder


@pytest.fixture(scope="package")
def data(tmp_path_factory):
    return with_labels(prepared_set(tmp_path_factory.mktemp("evaluation") / "data", train=24, validation=2, test=10))


@pytest.fixture(scope="package")
def checkpoint(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("evaluation") / "tiny")
