"""The examples of `docs/deploy`: what can be known of them without a cluster."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from facemix import __version__
from facemix.settings import Settings

if os.environ.get("FACEMIX_TEST_RAY") != "required" and find_spec("ray") is None:
    pytest.skip("Ray, which brings PyYAML, is not installed (the extra facemix[ray])", allow_module_level=True)

import yaml

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "deploy"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
RAYSERVICE = yaml.safe_load((FOLDER / "rayservice.yaml").read_text())
EXAMPLES = pytest.mark.parametrize("example", [COMPOSE, RAYSERVICE], ids=["compose", "rayservice"])
VARIABLES = {f"FACEMIX_{name.upper()}" for name in Settings.model_fields}
HEALTH = {"/healthz", "/readyz"}


def containers() -> list[dict[str, Any]]:
    cluster = RAYSERVICE["spec"]["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [container for group in groups for container in group["template"]["spec"]["containers"]]


def found(example: Any, key: str) -> list[Any]:
    """Every value of `key` at any depth."""
    if isinstance(example, dict):
        return [value for name, value in example.items() if name == key] + [
            below for value in example.values() for below in found(value, key)
        ]
    return [below for value in example for below in found(value, key)] if isinstance(example, list) else []


@EXAMPLES
def test_images_are_pinned(example):
    images = found(example, "image")
    assert images
    for image in images:
        name, _, tag = image.rpartition(":")
        assert name, image
        assert re.fullmatch(r"v?\d+\.\d+[\w.-]*", tag), image
        if name.endswith("facemix"):
            assert tag == __version__


def test_variables_are_settings():
    compose = COMPOSE["services"]["facemix"]["environment"]
    named = [set(compose), *({entry["name"] for entry in container["env"]} for container in containers())]
    for names in named:
        ours = {name for name in names if name.startswith("FACEMIX_")}
        assert ours <= VARIABLES
        assert {"FACEMIX_DATABASE_URL", "FACEMIX_BLOB_URL"} <= ours


def test_values_are_accepted_by_the_settings():
    given = {
        name.removeprefix("FACEMIX_").lower(): re.sub(r"\$\{.*?\}", "secret", value)
        for name, value in COMPOSE["services"]["facemix"]["environment"].items()
        if name.startswith("FACEMIX_")
    }
    assert Settings(**given).host == "0.0.0.0"
    for container in containers():
        values = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
        ours = {name.removeprefix("FACEMIX_").lower(): value for name, value in values.items() if name in VARIABLES}
        assert Settings(**ours).device == "cuda"


@EXAMPLES
def test_no_secret_is_written_down(example):
    for variables in (*found(example, "environment"), *found(example, "env")):
        entries = variables.items() if isinstance(variables, dict) else [(e["name"], e.get("value")) for e in variables]
        for name, value in entries:
            if re.search(r"SECRET|PASSWORD|ACCESS_KEY|DATABASE_URL", name):
                assert value is None or "${" in value, name


def test_probes_ask_for_health_and_readiness():
    command = COMPOSE["services"]["facemix"]["healthcheck"]["test"]
    assert set(re.findall(r":8000(/\w+)", " ".join(command))) == {"/readyz"}
    ours = [probe["httpGet"] for kind in ("readinessProbe", "livenessProbe") for probe in found(RAYSERVICE, kind)]
    paths = {probe["path"] for probe in ours if probe["port"] == 8000}
    assert paths
    assert paths <= HEALTH
    assert all("readinessProbe" in container and "livenessProbe" in container for container in containers())


def test_the_cluster_runs_the_ray_that_is_tested():
    pins = re.findall(r"^ray==(\S+)", (ROOT / ".ci" / "constraints.txt").read_text(), re.M)
    assert pins == [RAYSERVICE["spec"]["rayClusterConfig"]["rayVersion"]]


def test_the_volumes_and_configurations_that_compose_mounts_are_declared():
    for service in COMPOSE["services"].values():
        assert {mount.partition(":")[0] for mount in service.get("volumes", ())} <= set(COMPOSE["volumes"])
        assert {mount["source"] for mount in service.get("configs", ())} <= set(COMPOSE.get("configs", {}))
        assert set(service.get("depends_on", ())) <= set(COMPOSE["services"])


def test_ray_finds_room_for_what_it_is_asked_to_deploy():
    (application,) = yaml.safe_load(RAYSERVICE["spec"]["serveConfigV2"])["applications"]
    (workers,) = RAYSERVICE["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    (worker,) = workers["template"]["spec"]["containers"]
    for need, resource in (("num_cpus", "cpu"), ("num_gpus", "nvidia.com/gpu")):
        needed = sum(d["num_replicas"] * d["ray_actor_options"].get(need, 0) for d in application["deployments"])
        assert 0 < needed <= workers["replicas"] * int(worker["resources"]["limits"][resource])


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:Using extra keyword arguments on `Field`:pydantic.warnings.PydanticDeprecatedSince20"
)
def test_ray_accepts_its_configuration():
    from ray.serve.schema import ServeDeploySchema

    from facemix.web.ray_engine import build

    config = ServeDeploySchema.model_validate(yaml.safe_load(RAYSERVICE["spec"]["serveConfigV2"]))
    (application,) = config.applications
    assert application.import_path == f"{build.__module__}:{build.__name__}"
    assert {deployment.name for deployment in application.deployments} == {"front", "replica"}
