"""Every command of the runbook, in the order of the page, against a running server with the shipped model."""

import base64
import getpass
import re
import shlex
import sys
import time
import zipfile
from pathlib import Path

import httpx
import pytest
from files import jpeg
from measuring import results_of
from portraits import portrait
from served import ROOT, serving
from tiny import tiny_checkpoint

from facemix import cli
from facemix.faces.embedder import load_embedder
from facemix.governance.review import Reviews
from facemix.settings import Settings
from facemix.storage.database import Database
from facemix.storage.engine import default_url
from facemix.vae.checkpoint import read_card

PAGE = (ROOT / "docs" / "operations.md").read_text()
PART = PAGE.partition("## What to do\n")[2].partition("\n## ")[0]
PASSWORD = "some words in a row"
SAMPLES = [{"sample": 1}, {"sample": 2}]
LONGEST = 60.0  # seconds, on two busy cores, for what the page calls seconds


def commands(part):
    """(heading, command, status) of the part, in their order; 0 unless the comment begins with another status."""
    heading, inside = "", False
    for line in part.splitlines():
        heading = line.removeprefix("### ") if line.startswith("### ") else heading
        if line.startswith("```"):
            inside = line == "```sh"
        elif inside and line.startswith("facemix "):
            told = re.search(r"  # status (\d+):", line)
            yield heading, shlex.split(line, comments=True)[1:], int(told[1]) if told else 0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("runbook")) as running:
        yield running


@pytest.fixture(scope="module")
def folder(server):
    """Where the server keeps its data."""
    return Path(server._log).parent / "data"


class Runbook:
    """What the commands need, and what they leave behind.

    Attributes:
        out: what each has printed.
    """

    def __init__(self, client, folder, at):
        self.client, self.folder, self.at, self.out = client, folder, at, {}
        self.held = self.saved = None

    def prepare(self, heading):
        """What there has to be before a part begins; its placeholders with what stands for them."""
        method = getattr(self, "before_" + re.sub(r"\W+", "_", heading.lower()), None)
        return {} if method is None else method()

    def before_review_a_held_face(self):
        settings = Settings(data_dir=self.folder)
        picture = self.client.get("/api/v1/samples/1?format=png").content
        with Database.open(default_url(self.folder)) as database:
            queue = Reviews.open(settings, database)
            review, self.held = queue.hold(
                "request-1", "guard", "near to somebody", picture=picture, media_type="image/png"
            )
        return {"ID": review.id}

    def before_put_a_new_model_live(self):
        made = tiny_checkpoint(self.at / "tiny")
        weights = read_card(made).weights_sha256
        results_of(weights, made / "results.json", psnr=20.0, midpoints__identity_both=0.05)
        return {"FOLDER": made, "NAME@HASH": f"tiny@{weights[:12]}"}

    def before_answer_a_takedown(self):
        self.saved = self.client.post("/api/v1/recipes", json={"parents": SAMPLES}).raise_for_status().json()
        report = {"recipe": self.saved["id"], "reason": "me"}
        self.client.post("/api/v1/reports", json=report).raise_for_status()
        with Database.open(default_url(self.folder)) as database:
            (reported,) = [one for one in Reviews.open(Settings(data_dir=self.folder), database).list()
                           if one.trigger == "report"]  # fmt: skip
        (self.at / "sent.png").write_bytes(self.mixed(SAMPLES).raise_for_status().content)
        (self.at / "photo.jpg").write_bytes(jpeg(portrait()))
        found = self.client.post("/api/v1/faces", files={"image": jpeg(portrait())}).raise_for_status().json()
        face = found["faces"][0]["id"]
        receipt = self.client.delete(f"/api/v1/faces/{face}").raise_for_status().headers["x-facemix-receipt"]
        return {
            "REPORT": reported.id,
            "FILE": self.at / "sent.png",
            "PHOTO": self.at / "photo.jpg",
            "FACE": face,
            "RECEIPT": receipt,
            "PERSON": lambda: self.out["guard add"].split()[-1] if self.out["guard add"] else "nobody",
        }

    def mixed(self, parents):
        return self.client.post("/api/v1/mix", json={"parents": parents}, headers={"Accept": "image/png"})

    # --- what is so after a command, by its first words -----------------------------------------------------

    def after_operators_add(self):
        assert "ana: operator" in self.run("operators", "list")

    def after_review_show(self):
        assert (self.at / "held.png").read_bytes().startswith(b"\x89PNG")
        assert "likeness" in self.out["review show"]

    def after_review_reject(self):
        if self.saved is None:
            told = self.client.get(f"/api/v1/reviews/{self.held}").json()
            assert told["state"] == "rejected"
        else:
            assert self.client.get(f"/api/v1/recipes/{self.saved['id']}").status_code == 404

    def after_stop(self):
        self.until(lambda: self.client.get("/readyz").json()["generation"] == "halted")
        assert self.mixed(SAMPLES).status_code == 503

    def after_resume(self):
        self.until(lambda: self.client.get("/readyz").json()["generation"] == "on")
        assert self.mixed(SAMPLES).status_code == 200

    def after_models_promote(self):
        self.until(lambda: self.model() == "tiny")

    def after_models_rollback(self):
        self.until(lambda: self.model() == "facemix-128")

    def after_keys_rotate(self):
        secret = self.out["keys rotate"].split()[-1]
        answer = self.client.get("/api/v1/faces", headers={"Authorization": f"Bearer {secret}"})
        assert answer.status_code == 200

    def after_keys_revoke(self):
        assert "partner" in self.run("keys", "list")

    def after_costs_set_prices(self):
        assert "0.09" in self.run("costs", "prices")

    def after_verify(self):
        assert "Made here, and unchanged" in self.out["verify"]
        assert "ledger" in self.out["verify"]

    def after_guard_add(self):
        if load_embedder() is not None:
            self.until(lambda: self.nearly_them().status_code == 202)

    def after_guard_remove(self):
        if load_embedder() is not None:
            self.until(lambda: self.nearly_them().status_code == 200)

    def after_receipt(self):
        assert "face" in self.out["receipt"]

    def after_incident(self):
        with zipfile.ZipFile(self.at / "incident.zip") as made:
            assert made.testzip() is None

    def nearly_them(self):
        photo = base64.b64encode((self.at / "photo.jpg").read_bytes()).decode()
        return self.mixed([{"image": photo, "weight": 1}, {"sample": 2, "weight": 0}])

    def model(self):
        return self.client.get("/api/v1/model").json()["model"]["name"]

    def until(self, true):
        deadline = time.monotonic() + LONGEST
        while not true():
            assert time.monotonic() < deadline, true
            time.sleep(0.2)


def test_the_page_says_what_to_do_by_commands():
    found = list(commands(PART))
    headings = re.findall(r"^### (.+)$", PART, re.M)
    assert {heading for heading, _, _ in found} == set(headings)
    assert len(found) > 30
    # What is told in passing is not run here, so it must not be a whole command.
    passing = re.findall(r"`(facemix [^`]+)`", re.sub(r"```.*?```", "", PART, flags=re.S))
    assert passing == []


@pytest.mark.slow
def test_every_command_of_the_runbook_ends_as_the_page_says(server, folder, tmp_path, monkeypatch, capsys):
    for name, value in {"data_dir": folder, "isolate": False}.items():
        monkeypatch.setenv(f"FACEMIX_{name.upper()}", str(value))
    monkeypatch.delenv("FACEMIX_CHECKPOINT", raising=False)
    monkeypatch.setattr(getpass, "getpass", lambda prompt: PASSWORD)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments, status=0):
        monkeypatch.setattr(sys, "argv", ["facemix", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        assert stopped.value.code == status, (arguments, said.out, said.err)
        return said.out

    with httpx.Client(base_url=server.address, timeout=120) as client:
        book = Runbook(client, folder, tmp_path)
        book.run = run
        heading, filled = None, {}
        for part, arguments, status in commands(PART):
            if part != heading:
                heading, filled = part, book.prepare(part)
            arguments = [filled.get(one, one) for one in arguments]
            arguments = [str(one() if callable(one) else one) for one in arguments]
            name = arguments[0] if arguments[0] in SINGLE else " ".join(arguments[:2])
            if name.startswith("guard add") and load_embedder() is None:
                status = 6
            if name == "guard remove" and load_embedder() is None:
                continue
            book.out[name] = run(*arguments, status=status)
            check = getattr(book, "after_" + re.sub(r"\W+", "_", name), None)
            if check is not None and status == 0:
                check()
    assert server.process.poll() is None
    assert "Traceback" not in server.log


SINGLE = ("doctor", "stop", "resume", "verify", "ledger", "receipt", "incident")
