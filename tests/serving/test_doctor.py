import socket
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from ports import reserved_port
from tiny import tiny_checkpoint

from facemix.errors import InstallationError
from facemix.governance.secrets import open_secrets
from facemix.safety.gallery import Gallery
from facemix.serving import doctor
from facemix.settings import Settings
from facemix.web.run import open_database

CHECKS = [
    "python",
    "allocator",
    "torch",
    "torchvision",
    "image formats",
    "animations",
    "templates and static files",
    "face detector",
    "model",
    "photograph gate",
    "result checks",
    "database",
    "likeness guard",
    "blob store",
    "address",
]


def report(**settings):
    with reserved_port() as port:
        settings = {"device": "cpu", "backend": "torch", "max_batch": 2, "port": port, **settings}
        return {finding.check: finding for finding in doctor.examine(Settings(**settings))}


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """The report about an installation whose model is not trained."""
    return report(checkpoint=tiny_checkpoint(tmp_path_factory.mktemp("untrained")))


def test_every_part_is_looked_at_in_order(usual):
    assert list(usual) == CHECKS


def test_a_whole_installation_is_in_order_but_for_its_untrained_model(usual):
    assert {check: finding.verdict for check, finding in usual.items()} == dict.fromkeys(CHECKS, "ok") | {
        "model": "fail",
        "database": "note",  # nothing has been served yet
        "likeness guard": "note",
        "photograph gate": "note",
        "result checks": "note",
    }
    assert "none of 8 faces" in usual["model"].message
    assert "FACEMIX_CHECKPOINT" in usual["model"].hint


def test_a_model_whose_results_nothing_checks_is_told(usual, tmp_path, monkeypatch):
    assert "`facemix fit-checks " in usual["result checks"].hint
    folder = tiny_checkpoint(tmp_path)
    found = doctor._results(Settings(checkpoint=folder, check_results=False))
    assert (found.verdict, "FACEMIX_CHECK_RESULTS" in found.hint) == ("note", True)
    monkeypatch.setattr(doctor, "load_statistics", lambda folder, card: object())
    assert doctor._results(Settings(checkpoint=folder)).verdict == "ok"


def test_a_model_whose_samples_are_faces_is_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "_faces_among_samples", lambda engine, runner: 5)
    found = report(checkpoint=tiny_checkpoint(tmp_path))["model"]
    assert found.verdict == "ok"
    assert "5 of 8" in found.message
    assert "tiny@" in found.message


def test_a_missing_checkpoint_is_told_and_nothing_else_suffers(tmp_path):
    found = report(checkpoint=tmp_path / "nowhere")
    assert list(found) == CHECKS
    assert found["model"].verdict == "fail"
    assert "nowhere" in found["model"].message
    assert "FACEMIX_CHECKPOINT" in found["model"].hint
    assert found["address"].verdict == "ok"


def test_a_defect_in_a_check_is_a_finding(monkeypatch, tmp_path):
    def broken(**options):
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(doctor, "CenterFace", broken)
    found = report(checkpoint=tmp_path)
    assert (found["face detector"].verdict, found["face detector"].message) == ("fail", "RuntimeError: no such kernel")
    assert list(found) == CHECKS


def test_a_refusal_in_a_check_keeps_its_hint(monkeypatch, tmp_path):
    def missing(name):
        raise InstallationError(f"the folder {name!r} is missing", hint="install facemix again")

    monkeypatch.setattr(doctor, "resource_dir", missing)
    found = report(checkpoint=tmp_path)["templates and static files"]
    assert (found.verdict, found.hint) == ("fail", "install facemix again")


@pytest.mark.parametrize("lacking", ["webp", "littlecms2"])
def test_a_pillow_without_a_codec_is_named(monkeypatch, tmp_path, lacking):
    monkeypatch.setattr(doctor.features, "check", lambda name: name != lacking)
    found = report(checkpoint=tmp_path)["image formats"]
    assert found.verdict == "fail"
    assert lacking in found.message
    assert "pillow" in found.hint


def test_formats_that_are_switched_on_are_looked_for(monkeypatch, tmp_path):
    assert report(checkpoint=tmp_path, allow_heif=True, allow_avif=True)["image formats"].message.endswith("HEIC, AVIF")

    def lacks(name):
        raise doctor.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.features, "check", lambda name: name != "avif")
    assert "AVIF" in report(checkpoint=tmp_path, allow_avif=True)["image formats"].message
    monkeypatch.setattr(doctor.metadata, "version", lacks)
    found = report(checkpoint=tmp_path, allow_heif=True)
    assert "facemix[heif]" in found["image formats"].hint
    # A missing torchvision is harmless.
    assert found["torchvision"].verdict == "ok"


def test_a_missing_encoder_for_mp4_is_a_note(tmp_path, monkeypatch):
    assert "MP4 by" in report(checkpoint=tmp_path)["animations"].message
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    doctor.find_ffmpeg.cache_clear()
    found = report(checkpoint=tmp_path)["animations"]
    assert found.verdict == "note"
    assert "no MP4" in found.message
    assert "facemix[video]" in found.hint


def test_a_taken_address_is_a_note_with_what_to_do(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = report(checkpoint=tmp_path, port=taken.getsockname()[1])["address"]
    assert found.verdict == "note"
    assert "FACEMIX_PORT" in found.hint


def test_a_database_that_is_in_use_is_named(tmp_path):
    with open_database(Settings(data_dir=tmp_path)):
        found = report(checkpoint=tmp_path, data_dir=tmp_path)["database"]
    assert found.verdict == "ok"
    assert found.message.startswith("SQLite")
    assert str(tmp_path) in found.message


def test_a_database_without_tables_is_a_note(tmp_path):
    found = report(checkpoint=tmp_path, data_dir=tmp_path / "new")["database"]
    assert found.verdict == "note"
    assert "no tables yet" in found.message
    assert "facemix serve" in found.hint


def test_a_database_that_is_not_up_to_date_is_a_note(tmp_path, monkeypatch):
    with open_database(Settings(data_dir=tmp_path)):
        pass
    monkeypatch.setattr("facemix.storage.migrate.revisions", lambda engine: ("0000", "0001"))
    found = report(checkpoint=tmp_path, data_dir=tmp_path)["database"]
    assert found.verdict == "note"
    assert "'0000', not '0001'" in found.message


@pytest.fixture
def unused_port():
    with reserved_port() as port:
        yield port


@pytest.mark.parametrize("broken", ["damaged file", "no server"])
def test_a_database_that_does_not_answer_fails(tmp_path, unused_port, broken):
    settings = {"data_dir": tmp_path}
    if broken == "damaged file":
        (tmp_path / "facemix.sqlite3").write_bytes(b"not a database" * 100)
    else:
        pytest.importorskip("psycopg")
        settings = {"database_url": f"postgresql://facemix:secret@127.0.0.1:{unused_port}/facemix"}
    found = report(checkpoint=tmp_path, **settings)["database"]
    assert found.verdict == "fail"
    assert found.hint
    assert "secret" not in found.message + found.hint


def test_the_detector_is_tried_with_what_runs_it(tmp_path, monkeypatch):
    asked = []

    class Detector(doctor.CenterFace):
        def __init__(self, **options):
            asked.append(options.get("runner"))
            super().__init__(**options | {"runner": "onnxruntime"})

    monkeypatch.setattr(doctor, "CenterFace", Detector)
    found = report(checkpoint=tiny_checkpoint(tmp_path), detector="auto")
    assert found["face detector"].message.startswith("CenterFace on ONNX Runtime")
    assert asked == ["auto", "auto"]


@pytest.mark.parametrize(("tuned", "words"), [(True, "glibc's, which"), (False, "leaves it as it is")])
def test_the_allocator_is_told(tmp_path, monkeypatch, tuned, words):
    monkeypatch.setattr(doctor, "tune_allocator", lambda: tuned)
    found = report(checkpoint=tmp_path)["allocator"]
    assert found.verdict == "ok"
    assert words in found.message


def test_a_blob_store_is_tried_out(tmp_path):
    found = report(checkpoint=tmp_path, blob_url=f"file://{tmp_path}/blobs")["blob store"]
    assert found.verdict == "ok"
    assert not [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
    found = report(checkpoint=tmp_path, blob_url="ftp://example/blobs")["blob store"]
    assert found.verdict == "fail"
    assert "ftp" in found.message


def test_what_computes_is_told_with_the_reasons(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "_faces_among_samples", lambda engine, runner: 5)
    found = report(checkpoint=tiny_checkpoint(tmp_path), precision="fp32")["model"]
    assert "by torch fp32 on cpu" in found.message


def enrolled(folder, embedder):
    with open_database(Settings(data_dir=folder)) as database:
        gallery = Gallery(database, open_secrets(Settings(data_dir=folder)))
        gallery.enroll(np.ones((1, 128), np.float32), "somebody", "asked by letter", "ada", embedder=embedder)


@pytest.mark.parametrize(
    ("installed", "people", "verdict"), [(True, 0, "ok"), (False, 0, "note"), (True, 1, "ok"), (False, 1, "fail")]
)
def test_a_guard_that_cannot_compare_is_told(tmp_path, monkeypatch, installed, people, verdict):
    embedder = SimpleNamespace(name="net@1", embed=None) if installed else None
    monkeypatch.setattr("facemix.faces.embedder.load_embedder", lambda: embedder)
    with open_database(Settings(data_dir=tmp_path)):
        pass
    for _ in range(people):
        enrolled(tmp_path, "net@1")
    found = report(checkpoint=tmp_path, data_dir=tmp_path)["likeness guard"]
    assert (found.verdict, f"{people} people" in found.message) == (verdict, True)
    assert installed or "facemix[identity]" in found.hint


def test_people_of_another_embedder_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr("facemix.faces.embedder.load_embedder", lambda: SimpleNamespace(name="net@2", embed=None))
    enrolled(tmp_path, "net@1")
    found = report(checkpoint=tmp_path, data_dir=tmp_path)["likeness guard"]
    assert (found.verdict, "1 of 1" in found.message) == ("fail", True)
