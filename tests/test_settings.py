import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from facemix.errors import ConfigError
from facemix.settings import MEBIBYTE, Settings, load_settings


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch):
    for name in os.environ:
        if name.upper().startswith("FACEMIX_"):
            monkeypatch.delenv(name)


def test_the_defaults_listen_only_here():
    settings = load_settings()
    assert settings == Settings.model_construct()
    assert settings.host == "127.0.0.1"
    assert settings.checkpoint is None
    assert not settings.allow_heif
    assert not settings.allow_avif


def test_the_environment_is_read(monkeypatch):
    monkeypatch.setenv("FACEMIX_PORT", "9000")
    monkeypatch.setenv("FACEMIX_CHECKPOINT", "/models/mine")
    monkeypatch.setenv("FACEMIX_ALLOW_HEIF", "true")
    monkeypatch.setenv("FACEMIX_DEVICE", "cpu")
    monkeypatch.setenv("FACEMIX_MAX_UPLOAD_BYTES", str(MEBIBYTE))
    settings = load_settings()
    assert settings.port == 9000
    assert settings.checkpoint == Path("/models/mine")
    assert settings.allow_heif is True
    assert settings.device == "cpu"
    assert settings.max_upload_bytes == MEBIBYTE


@pytest.mark.parametrize("name", [name.upper() for name in Settings.model_fields])
def test_an_empty_variable_means_the_default(monkeypatch, name):
    monkeypatch.setenv(f"FACEMIX_{name}", "")
    assert load_settings() == Settings.model_construct()


def test_other_variables_are_not_read(monkeypatch):
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("FACEMIX_COLOUR", "blue")
    assert load_settings() == Settings.model_construct()


def test_all_wrong_variables_are_named_with_their_values(monkeypatch):
    monkeypatch.setenv("FACEMIX_PORT", "http")
    monkeypatch.setenv("FACEMIX_DEVICE", "tpu")
    with pytest.raises(ConfigError) as refused:
        load_settings()
    assert "FACEMIX_PORT='http'" in refused.value.message
    assert "FACEMIX_DEVICE='tpu'" in refused.value.message
    assert "docs/settings.md" in refused.value.hint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 0),
        ("port", 65536),
        ("threads", -1),
        ("max_parents", 1),
        ("max_steps", 1),
        ("max_queue", 0),
        ("max_upload_bytes", 0),
        ("precision", "fp16"),
        ("log_level", "loud"),
    ],
)
def test_bounds(name, value):
    with pytest.raises(ValidationError, match=name):
        Settings(**{name: value})


def test_settings_do_not_change_while_running():
    with pytest.raises(ValidationError):
        load_settings().port = 1


def test_every_setting_is_described():
    assert not [name for name, field in Settings.model_fields.items() if not field.description]


def test_the_limits_fit_together():
    settings = load_settings()
    assert 2 * settings.max_upload_bytes < settings.max_body_bytes  # two photographs in one request
    assert settings.strip_steps <= settings.max_steps
