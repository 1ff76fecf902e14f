"""MTCNN's three networks, run by OpenVINO on the CPU: torch's own graph of each, translated step by step.

OpenVINO has a converter for torch. It traces by a way that torch has given up, and reports each conversion to its
makers unless told not to; the few kinds of steps that these networks have are as easily said in OpenVINO's own words.
"""

from collections.abc import Callable, Sequence
from threading import local
from typing import Any

import numpy as np
import openvino
import torch
from openvino import opset13 as ops
from torch import fx, nn

WHOLE_IMAGE = 0  # the number of the network that sees a whole image; the others see crops of one size
# OpenVINO makes code for each shape of its input. It keeps that for so many steps of a network, then forgets what was
# used least lately; by itself it would keep gigabytes. A photograph has ten shapes, and photographs of about one size
# share them: these are some twenty sizes.
KEPT_STEPS = 1000
# Crops come in multiples of so many, for the same reason: those of the second network, and of the third, of which each
# takes long.
CROPS_STEPS = {1: 4, 2: 2}
SETTINGS = {
    "CPU_RUNTIME_CACHE_CAPACITY": KEPT_STEPS,
    "INFERENCE_PRECISION_HINT": "f32",  # bfloat16 moves boxes
    "ENABLE_CPU_PINNING": False,  # else all processes of a machine would sit on the same cores
    "PERFORMANCE_HINT": "LATENCY",
}


def compiled(networks: Sequence[nn.Module]) -> Callable[[int, np.ndarray], list[np.ndarray]]:
    """Runs the network of a number on images (N, 3, H, W), any size, as torch would, with torch's number of threads.

    Networks may have convolutions, dense layers, PReLUs, pooling and softmax. Threads may share what is returned.
    """
    core = openvino.Core()
    settings = {**SETTINGS, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    models = [core.compile_model(_translated(network), "CPU", settings) for network in networks]
    own = local()  # requests cannot be shared between threads, and cost more to make than a small one takes

    def run(number: int, pixels: np.ndarray) -> list[np.ndarray]:
        if not hasattr(own, "requests"):
            own.requests = [model.create_infer_request() for model in models]
        shown = np.ascontiguousarray(pixels) if number == WHOLE_IMAGE else _filled_up(pixels, CROPS_STEPS[number])
        answers = own.requests[number].infer(shown, share_inputs=True)
        return [answers[output][: len(pixels)] for output in models[number].outputs]

    return run


def _filled_up(crops: np.ndarray, step: int) -> np.ndarray:
    """Crops (N, 3, S, S), filled up to a multiple of `step`: so their numbers come in few shapes."""
    if len(crops) % step == 0:
        return crops
    filled = np.zeros((len(crops) + -len(crops) % step, *crops.shape[1:]), np.float32)
    filled[: len(crops)] = crops
    return filled


def _translated(network: nn.Module) -> openvino.Model:
    image = ops.parameter([-1, 3, -1, -1], np.float32)
    layers = dict(network.named_modules())
    values: dict[fx.Node, Any] = {}
    for node in fx.symbolic_trace(network).graph.nodes:
        match node.op, node.target:
            case "placeholder", _:
                values[node] = image
            case "call_module", str(name):
                values[node] = _through(layers[name], values[node.args[0]])
            case "call_method", "permute":
                values[node] = ops.transpose(values[node.args[0]], _numbers(*node.args[1:]))
            case "call_method", "contiguous":
                values[node] = values[node.args[0]]
            case "call_method", "view":  # only ever (N, -1): 0 keeps the first number as it is
                values[node] = ops.reshape(values[node.args[0]], _numbers(0, -1), special_zero=True)
            case "output", _:
                return openvino.Model([values[answer] for answer in node.args[0]], [image])
    raise TypeError("a network without an answer")


def _through(layer: nn.Module, value: Any) -> Any:
    match layer:
        case nn.Conv2d():
            convolved = ops.convolution(value, _values(layer.weight), [1, 1], [0, 0], [0, 0], [1, 1])
            return ops.add(convolved, _values(layer.bias).reshape(1, -1, 1, 1))
        case nn.Linear():
            dense = ops.matmul(value, _values(layer.weight), transpose_a=False, transpose_b=True)
            return ops.add(dense, _values(layer.bias))
        case nn.PReLU():
            return ops.prelu(value, _values(layer.weight))
        case nn.MaxPool2d():
            size, stride = layer.kernel_size, layer.stride  # each one number, for both directions
            return ops.max_pool(value, [stride] * 2, [1, 1], [0, 0], [0, 0], [size] * 2, rounding_type="ceil").output(0)
        case nn.Softmax():
            return ops.softmax(value, axis=layer.dim)
    raise TypeError(f"no translation for {type(layer).__name__}")


def _numbers(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def _values(parameter: torch.Tensor | None) -> np.ndarray:
    assert parameter is not None  # those networks' layers have a bias each
    return parameter.detach().numpy()
