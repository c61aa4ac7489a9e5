"""The house plan of docs/architecture.md, enforced by reading every import."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import facemix

PACKAGE = Path(facemix.__file__).parent

# Room -> floor. A room imports from floors below its own and from itself, never from a neighbour.
FLOORS = {
    "ground": 0,
    "imaging": 1,
    "vae": 1,
    "storage": 1,
    "faces": 2,
    "governance": 2,
    "mixing": 3,
    "training": 3,
    "safety": 3,
    "explaining": 3,
    "evaluation": 4,
    "serving": 4,
    "web": 5,
    "cli": 6,
    "client": 6,
}
# Modules at the top of the package, and the room that each is part of.
TOP_LEVEL = {
    "": "ground",  # facemix/__init__.py
    "errors": "ground",
    "settings": "ground",
    "resources": "ground",
    "progress": "ground",
    "telemetry": "ground",
    "cli": "cli",
    "__main__": "cli",
}
TORCHRUN_VARIABLES = {"RANK", "WORLD_SIZE", "LOCAL_RANK"}


@dataclass(frozen=True)
class Import:
    """`importer` imports `imported` (dotted names); `lazy` when that happens inside a function."""

    importer: str
    imported: str
    lazy: bool


def sources() -> dict[str, ast.Module]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


SOURCES = sources()


def imports_of(name: str, tree: ast.Module, modules: set[str]) -> Iterator[Import]:
    """The imports of one module. ``from a import b`` imports ``a.b`` where that is one of `modules`, else ``a``."""

    def visit(node: ast.AST, lazy: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(name, alias.name, lazy)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:  # relative: the package of this module, `level` - 1 packages up
                package = name.split(".") if name in PACKAGES else name.split(".")[:-1]
                package = package[: len(package) - (node.level - 1)]
                base = ".".join([*package, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield Import(name, inner if inner in modules else base, lazy)
        lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, lazy)

    return visit(tree, False)


PACKAGES = {name for name in SOURCES if (PACKAGE.parent / name.replace(".", "/")).is_dir()}
IMPORTS = [found for name, tree in SOURCES.items() for found in imports_of(name, tree, set(SOURCES))]


def room_of(module: str) -> str:
    parts = module.split(".")
    first = parts[1] if len(parts) > 1 else ""
    return TOP_LEVEL.get(first, first)


def floor_violations(imports: list[Import]) -> list[str]:
    """A sentence for every import within the package that does not go downwards."""
    wrong = []
    for found in imports:
        if found.imported.split(".")[0] != "facemix":
            continue
        upper, lower = room_of(found.importer), room_of(found.imported)
        if upper != lower and FLOORS[lower] >= FLOORS[upper]:
            wrong.append(f"{found.importer} (floor {FLOORS[upper]}) imports {found.imported} (floor {FLOORS[lower]})")
    return wrong


def environment_reads(name: str, tree: ast.Module) -> list[str]:
    """Places where a module looks at the environment."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "getenvb"}:
            found.append(f"{name}:{node.lineno}")
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            found += [f"{name}:{node.lineno}" for alias in node.names if alias.name.startswith(("environ", "getenv"))]
    return found


def test_every_module_belongs_to_a_known_room():
    unknown = {name for name in SOURCES if room_of(name) not in FLOORS}
    assert not unknown, f"give these a room and a floor in the house plan and in FLOORS: {sorted(unknown)}"


def test_imports_go_downwards():
    assert floor_violations(IMPORTS) == []


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("facemix.vae.networks", "facemix.faces.align"),
        ("facemix.mixing.recipe", "facemix.training.config"),  # a neighbour
        ("facemix.errors", "facemix.imaging.arrays"),
        ("facemix.web.app", "facemix.cli"),
    ],
)
def test_an_import_upwards_or_sideways_is_noticed(importer, imported):
    assert len(floor_violations([Import(importer, imported, False)])) == 1


def test_no_module_imports_itself_in_a_circle():
    graph: dict[str, set[str]] = {name: set() for name in SOURCES}
    for found in IMPORTS:
        # A room's __init__ is imported on the way to every module in it; that alone is no circle.
        if found.imported in graph and found.imported != found.importer:
            graph[found.importer].add(found.imported)
    tuple(graphlib.TopologicalSorter(graph).static_order())  # CycleError names the modules


def test_relative_and_nested_imports_are_understood():
    text = "from ..faces import align\nfrom . import arrays\ndef f():\n    import torchvision.utils\n"
    modules = {"facemix.imaging.arrays", "facemix.faces.align", "facemix.faces"}
    found = list(imports_of("facemix.imaging.encode", ast.parse(text), modules))
    assert [(one.imported, one.lazy) for one in found] == [
        ("facemix.faces.align", False),
        ("facemix.imaging.arrays", False),
        ("torchvision.utils", True),
    ]


def test_training_extras_are_imported_lazily_and_only_by_training():
    extras = ("torchvision", "torch.utils.tensorboard", "tensorboard")
    found = {one for one in IMPORTS if any(f"{one.imported}.".startswith(f"{extra}.") for extra in extras)}
    assert {(room_of(one.importer), one.lazy) for one in found} == {("training", True)}


def test_the_client_needs_nothing_of_the_rest():
    """Whoever calls a server over HTTP has neither its libraries nor its rooms."""
    found = {one.imported for one in IMPORTS if room_of(one.importer) == "client"}
    assert {name for name in found if name.split(".")[0] == "facemix" and room_of(name) != "client"} == set()
    assert {name.split(".")[0] for name in found} - {"facemix", "httpx"} <= set(sys.stdlib_module_names)


def test_the_environment_is_read_in_one_place():
    reads = {name: environment_reads(name, tree) for name, tree in SOURCES.items()}
    del reads["facemix.settings"], reads["facemix.training.trainer"]
    assert [place for places in reads.values() for place in places] == []


def test_the_trainer_reads_what_torchrun_says_and_nothing_else():
    tree = SOURCES["facemix.training.trainer"]
    (reader,) = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "from_torchrun"]
    names = {node.value for node in ast.walk(reader) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert names - {ast.get_docstring(reader, clean=False)} == TORCHRUN_VARIABLES
    everywhere, here = (environment_reads("trainer", part) for part in (tree, reader))
    assert everywhere == here


@pytest.mark.slow
def test_serving_needs_none_of_the_training_extras():
    program = """
import sys
for name in ("torchvision", "tensorboard", "torch.utils.tensorboard", "pillow_heif"):
    sys.modules[name] = None  # an import of it now fails
import facemix.web.app, facemix.serving.assembly, facemix.mixing.recipe
loaded = [name for name in sys.modules if name.startswith("facemix.training")]
assert not loaded, loaded
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, cwd=PACKAGE.parent, check=False
    )
    assert done.returncode == 0, done.stderr
