import subprocess
import sys

import pytest

from facemix.errors import ConfigError, InstallationError, StorageUnavailable
from facemix.settings import Settings
from facemix.web.run import address_of, listen, open_database, proxies


def test_what_stands_before_replicas_needs_no_torch():
    """It would cost the front a second and some hundred megabytes."""
    program = "import sys, facemix.web.run, facemix.web.ray_engine; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_database_is_made_in_the_data_folder_with_the_newest_schema(tmp_path):
    with open_database(Settings(data_dir=tmp_path / "data")) as database:
        assert database.check().kind.startswith("SQLite")
    assert list((tmp_path / "data").glob("*.sqlite3"))


def test_another_database_is_taken_by_its_url(tmp_path):
    with open_database(Settings(data_dir=tmp_path / "data", database_url=f"sqlite:///{tmp_path}/other.db")) as database:
        database.check()
    assert (tmp_path / "other.db").exists()
    assert not (tmp_path / "data").exists()


def test_a_database_that_cannot_be_used_is_refused_before_anything_is_served(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageUnavailable):
        open_database(Settings(data_dir=tmp_path / "file" / "data"))
    with pytest.raises(ConfigError):
        open_database(Settings(database_url="mysql://host/database"))


def test_a_taken_address_is_told_with_a_way_out():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InstallationError, match=str(port)) as caught:
            listen("127.0.0.1", port)
    assert "--port" in caught.value.hint


def test_addresses_as_a_browser_takes_them():
    assert address_of("127.0.0.1", 8000) == "http://127.0.0.1:8000"
    assert address_of("::1", 8000) == "http://[::1]:8000"


def test_proxies_are_a_list_by_commas():
    assert proxies(Settings(trusted_proxies=" 10.0.0.0/8, ::1 ,")) == ["10.0.0.0/8", "::1"]
    assert proxies(Settings()) == []
