"""Made-up requests: what Schemathesis prints is read aright, and a short run against a real server finds nothing."""

import time
from types import SimpleNamespace

import pytest
from served import serving
from tiny import tiny_checkpoint

from benchmarks.drill_api import SMALL, drill, identities, outcome_of

# Of Schemathesis 4.32, shortened.
GOOD = """
 ✅  Coverage (in 31.04s)

     ✅ 37 passed

=================================== SUMMARY ====================================

API Operations:
  Selected: 37/37
  Tested: 37

Test cases:
  8531 generated, 8531 passed

Seed: 0

========================== No issues found in 66.65s ===========================
"""
FAILED = """
=================================== FAILURES ===================================
____________________________________ GET /b ____________________________________
1. Test Case ID: XncLhE

- ST901 Custom check failed: `no_server_error`

    500 internal

[500] Internal Server Error:

    `{"code": "internal"}`

=================================== SUMMARY ====================================

API Operations:
  Selected: 2/2
  Tested: 2

Failures:
  ❌ ST901 Custom check failed: `no_server_error`: 1

Test cases:
  4 generated, 1 found 1 unique failure

Seed: 0

============================== 1 failure in 2.95s ==============================
"""
SCHEMA = """
==================================== ERRORS ====================================
_________________________ GET /api/v1/samples/{number} _________________________
Schema Error

Path parameter 'number' is not defined

=================================== SUMMARY ====================================

API Operations:
  Selected: 37/37
  Tested: 37

Errors:
  🚫 Schema Error: 2

Test cases:
  37 generated, 37 passed

============================== 2 errors in 2.02s ===============================
"""
STUMBLED = """
==================================== ERRORS ====================================
_____________________________ POST /api/v1/explain _____________________________
Runtime Error

Unsupported type: 'Binary'

=================================== SUMMARY ====================================

API Operations:
  Selected: 37/37
  Tested: 37

Errors:
  🚫 Runtime Error: 1

Test cases:
  9006 generated, 9006 passed

============================== 1 error in 190.02s ==============================
"""


@pytest.mark.parametrize(
    ("text", "status", "operations", "cases", "failures", "given_up"),
    [
        (GOOD, 0, 37, 8531, 0, 0),
        (FAILED, 1, 2, 4, 1, 0),
        (SCHEMA, 1, 37, 37, 2, 0),
        (STUMBLED, 1, 37, 9006, 0, 1),
    ],
    ids=["good", "failed", "an address that cannot be asked", "a defect of its own"],
)
def test_what_is_printed_is_read(text, status, operations, cases, failures, given_up):
    made = outcome_of(text, status)
    assert (made.operations, made.cases, made.failures, made.given_up) == (operations, cases, failures, given_up)
    assert made.text == text


@pytest.mark.parametrize(
    ("text", "status"), [("", 0), ("Traceback", 1), (GOOD, 1), (FAILED, 0), (GOOD.replace("Tested", "Asked"), 0)]
)
def test_what_does_not_fit_is_taken_for_no_run(text, status):
    with pytest.raises(ValueError, match="Schemathesis"):
        outcome_of(text, status)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drill")
    settings = {name.removeprefix("FACEMIX_").lower(): value for name, value in SMALL.items()}
    checkpoint = tiny_checkpoint(folder / "tiny")
    with serving(folder, checkpoint=checkpoint, check_results=False, **settings) as running:
        yield running


@pytest.mark.slow
def test_a_short_run_finds_no_server_error(server):
    drilled = SimpleNamespace(port=int(server.address.rpartition(":")[2]))
    made = drill(drilled, seed=1, examples=2, phases="fuzzing")
    assert made.failures == 0, made.text
    with server.client() as client:
        described = client.get("/openapi.json").json()["paths"]
        for prefix, identity in identities(drilled).items():
            # What cases name is there.
            path = {"/api/v1/faces": "/{}/latent"}.get(prefix, "/{}").format(identity)
            deadline = time.monotonic() + 60  # the ledger is written a moment later
            while (status := client.get(prefix + path).status_code) != 200:
                assert time.monotonic() < deadline, (prefix, status)
                time.sleep(0.1)
    assert made.operations == sum(len(methods) for methods in described.values())
    assert made.cases >= made.operations
    assert server.process.poll() is None
    assert " 500, " not in server.log
