import json
import sys

import pytest

from benchmarks import audit

PINS = "# what is tested\nA.b==1.0\nc_d==2.0  # a note\n"


@pytest.fixture
def pins(tmp_path):
    path = tmp_path / "pins.txt"
    path.write_text(PINS)
    return path


@pytest.fixture
def service(tmp_path):
    """service(pypi=..., osv=...) is a command in the place of pip-audit; each prints that, or fails with that text."""

    def made(**answers):
        program = tmp_path / "pip_audit.py"
        program.write_text(
            "import json, sys\n"
            f"said = json.loads({json.dumps(answers)!r})[sys.argv[sys.argv.index('-s') + 1]]\n"
            "if isinstance(said, str):\n    sys.exit(said)\n"
            "print('No known vulnerabilities found', file=sys.stderr)\n"
            "print(json.dumps({'dependencies': said, 'fixes': []}))\n"
        )
        return [sys.executable, str(program)]

    return made


def fine(name):
    return {"name": name, "version": "1", "vulns": []}


def skipped(name):
    return {"name": name, "skip_reason": f"Dependency not found on PyPI and could not be audited: {name}"}


def bad(name):
    return {"name": name, "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": []}]}


def test_clean_is_only_what_was_looked_at_as_a_whole(service, pins, capsys):
    assert audit.audit(service(pypi=[fine("a-b"), fine("c-d")], osv="not asked"), pins) == 0
    said = capsys.readouterr()
    assert "nothing is known against any of the 2 pinned versions" in said.out
    assert "osv" not in said.out


def test_what_was_passed_over_is_never_clean(service, pins, capsys):
    unreachable = "requests.exceptions.ConnectionError: api.osv.dev"
    assert audit.audit(service(pypi=[skipped("a-b"), skipped("c-d")], osv=unreachable), pins) == 3
    said = capsys.readouterr()
    assert "pypi: looked at 0 of 2 pins; Dependency not found" in said.out
    assert "osv: looked at 0 of 2 pins; requests.exceptions.ConnectionError" in said.out
    assert "not audited: 2 of 2" in said.err
    assert "nothing is known against" not in said.out
    assert audit.audit(service(pypi=[fine("a-b")], osv=[fine("a-b")]), pins) == 3


def test_one_service_may_know_what_the_other_does_not(service, pins):
    assert audit.audit(service(pypi=[fine("a-b"), skipped("c-d")], osv=[skipped("a-b"), fine("c_d")]), pins) == 0


def test_what_is_known_is_told_with_the_version_that_mends_it(service, pins, capsys):
    assert audit.audit(service(pypi=[bad("A.b"), fine("c-d")], osv=""), pins) == 1
    assert "a-b 1.0: PYSEC-1 (mended in 1.1)" in capsys.readouterr().out
    assert audit.audit(service(pypi=[bad("a-b"), skipped("c-d")], osv="down"), pins) == 1


def test_nothing_to_look_at_is_no_success(service, tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text("# nothing\n")
    assert audit.audit(service(pypi=[], osv=[]), empty) == 2
    assert audit.audit(service(pypi=[], osv=[]), tmp_path / "absent.txt") == 2
    pins = tmp_path / "pins.txt"
    pins.write_text(PINS)
    assert audit.audit([str(tmp_path / "no-such-program")], pins) == 2


def test_the_pins_of_the_project_are_read():
    found = audit.pinned(audit.PINS.read_text())
    assert len(found) > 100
    assert {"argon2-cffi", "pip-audit", "typing-extensions"} <= found.keys()
