"""Makes the pure-Python half of torchvision importable beside a torch that it was not built for.

torchvision's wheels from the package index carry compiled operators for one build of torch. Beside another one
(a CPU build, say) they do not load, and ``import torchvision`` fails on the first operator that it describes:
``RuntimeError: operator torchvision::nms does not exist``. Naming the operators first lets the import through;
`torchvision.utils.make_grid` needs none of them. Definitions last as long as the process, so call
`import_torchvision` only in a process that ends with the test.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_libraries: list[torch.library.Library] = []  # a library that is collected takes its definitions with it


def import_torchvision() -> ModuleType:
    """torchvision, as it is where it fits this torch, else with its operators named but not implemented.

    Raises:
        ImportError: it is not installed.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    _libraries.append(library)
    for schema in _SCHEMAS:
        library.define(schema)
    return importlib.import_module("torchvision")
