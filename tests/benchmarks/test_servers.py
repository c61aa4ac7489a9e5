import os
import subprocess
import sys
import time

import pytest

from benchmarks import servers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what processes take is read from /proc")

SERVER = """
import os, http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'# HELP a\\nfacemix_a_total{kind="x"} 3.0\\nfacemix_b 1e3\\n'
        self.send_response(200 if self.path in ("/readyz", "/metrics") else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["FACEMIX_PORT"])), Handler).serve_forever()
"""


def test_a_server_is_started_watched_and_stopped():
    with servers.running((sys.executable, "-c", SERVER)) as server:
        assert server.ready_seconds > 0
        assert server.get("/none")[0] == 404
        assert server.metrics() == {'facemix_a_total{kind="x"}': 3.0, "facemix_b": 1000.0}
        with servers.Watch(server) as watch:
            limit = time.monotonic() + 60
            while len(watch.samples) < 2:
                assert time.monotonic() < limit
                time.sleep(0.1)
        assert len(watch.samples) >= 2
        assert watch.peak >= 1_000_000
        assert watch.cores < 1
        assert server.idle_cores(0.1) < 1
    assert server.process.returncode is not None


def test_a_server_that_ends_says_why():
    command = (sys.executable, "-c", "raise SystemExit('no room here')")
    with pytest.raises(servers.NotStarted, match="status 1: no room here"), servers.running(command):
        pytest.fail("it never ran")


def test_what_a_server_leaves_behind_is_ended():
    forks = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n{SERVER}"
    with servers.running((sys.executable, "-c", forks)) as server:
        below = servers.tree(server.process.pid)
        assert len(below) == 2
    deadline = time.monotonic() + 60
    while any(servers._stat(pid)[:1] not in ([], ["Z"]) for pid in below):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_tree_counts_processor_time_and_memory_of_all():
    busy = "import time\nt = time.process_time()\nwhile time.process_time() - t < .4: pass\ntime.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", busy])
    try:
        assert process.pid in servers.tree(os.getpid())
        deadline = time.monotonic() + 60
        while servers._cpu_seconds(process.pid) < 0.1:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert servers._resident(process.pid) > 1_000_000
    finally:
        process.kill()
        process.wait()
    assert servers._cpu_seconds(process.pid) == servers._resident(process.pid) == 0


def test_growth_leaves_out_the_beginning():
    watch = servers.Watch.__new__(servers.Watch)
    watch.samples = [(0.0, 10), (1.0, 500), (2.0, 510), (3.0, 520)]
    assert watch.growth(0.5) == pytest.approx(10)
    assert watch.peak == 520


def test_what_computes_is_the_same_in_all_processes(tmp_path):
    environment = servers.pinned(servers.serving_environment(tmp_path), "openvino bf16")
    assert (environment["FACEMIX_BACKEND"], environment["FACEMIX_PRECISION"]) == ("openvino", "bf16")
    assert environment["FACEMIX_DATA_DIR"] == str(tmp_path)
    assert environment["FACEMIX_RATE_PER_ADDRESS"] == "none"
