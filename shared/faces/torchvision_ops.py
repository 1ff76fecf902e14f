"""Lets torchvision be imported beside a CPU build of torch.

The package index pairs CPU torch with a torchvision whose compiled operators are linked to CUDA. They do not load
there, and torchvision cannot be imported without the two operators that its Python code names. Face detection needs
one of them.
"""

import importlib
from importlib.machinery import PathFinder
from importlib.util import find_spec

import numpy as np
import torch


def allow_cpu_torch() -> None:
    """Make `import torchvision` work, with a working `torchvision.ops.nms`.

    Changes nothing where it works already, nor where torchvision is not installed: transformers then does without it.
    Call it before torchvision is first imported. Calling it again is harmless.
    """
    if find_spec("torchvision") is None or hasattr(torch.ops.torchvision, "nms") or _compiled_operators_load():
        return
    torch.library.define("torchvision::nms", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    torch.library.define("torchvision::qnms", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    torch.library.impl("torchvision::nms", "cpu", nms)
    extension = importlib.import_module("torchvision.extension")
    extension._has_ops = lambda: True  # type: ignore[attr-defined]


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Non-maximum suppression on the CPU: indices (int64) of the boxes kept, best score first.

    `boxes` (N, 4) as left, top, right, bottom; `scores` (N,). A box goes when its intersection over union with a better
    one that stays is greater than `iou_threshold`.
    """
    corners = boxes.detach().double().numpy()
    area = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    waiting = torch.argsort(scores.detach(), descending=True, stable=True).numpy()
    kept = []
    while waiting.size:
        best, rest = waiting[0], waiting[1:]
        kept.append(best)
        top_left = np.maximum(corners[best, :2], corners[rest, :2])
        bottom_right = np.minimum(corners[best, 2:], corners[rest, 2:])
        shared = np.prod(np.clip(bottom_right - top_left, 0, None), axis=1)
        # Multiplied out, so that boxes without area need no division by zero.
        waiting = rest[shared <= iou_threshold * (area[best] + area[rest] - shared)]
    return torch.as_tensor(np.array(kept, dtype=np.int64))


def _compiled_operators_load() -> bool:
    """Whether torchvision's own operators load. Asks the library file: an import that fails leaves half a package."""
    package = PathFinder.find_spec("torchvision")
    library = PathFinder.find_spec("_C", package.submodule_search_locations) if package else None
    if library is None or library.origin is None:
        return False
    try:
        torch.ops.load_library(library.origin)
    except OSError:
        return False
    return True
