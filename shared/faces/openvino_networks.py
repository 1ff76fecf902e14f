"""MTCNN's three networks, run by OpenVINO on the CPU: torch's own graph of each, translated step by step.

OpenVINO has a converter for torch. It traces by a way that torch has given up, and reports each conversion to its
makers unless told not to; the few kinds of steps that these networks have are as easily said in OpenVINO's own words.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import openvino
import torch
from openvino import opset13 as ops
from torch import fx, nn

WHOLE_IMAGE = 0  # the number of the network that sees a whole image; the others see crops of one size
SIDES = 16  # pixels
NOTHING = -1e30  # less than anything that the first layers answer
SETTINGS = {
    "INFERENCE_PRECISION_HINT": "f32",  # bfloat16 is faster, but moves boxes
    "ENABLE_CPU_PINNING": False,  # else all processes of a machine would sit on the same cores
    "PERFORMANCE_HINT": "LATENCY",
}


def compiled(networks: Sequence[nn.Module]) -> Callable[[int, np.ndarray], list[np.ndarray]]:
    """Runs the network of a number on images (N, H, W, 3), any size, as torch would, with torch's number of threads.

    Networks may have convolutions, dense layers, PReLUs, pooling and softmax. Threads may share what is returned.

    OpenVINO compiles code for each shape of its input and keeps it. Photographs have as many shapes as there are sizes,
    and as many numbers of crops: after some thousand that was a gigabyte. So they are filled up to one of a few shapes.
    """
    core = openvino.Core()
    settings = {**SETTINGS, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    models = [
        core.compile_model(_translated(network, masked=number == WHOLE_IMAGE), "CPU", settings)
        for number, network in enumerate(networks)
    ]

    def run(number: int, pixels: np.ndarray) -> list[np.ndarray]:
        count, height, width, _ = pixels.shape
        inputs = _filled_image(pixels) if number == WHOLE_IMAGE else [_filled_up(pixels)]
        answers = models[number].create_infer_request().infer(inputs, share_inputs=True)
        found = [answers[output][:count] for output in models[number].outputs]
        return [each[:, :, : places(height), : places(width)] for each in found] if number == WHOLE_IMAGE else found

    return run


def places(pixels: int) -> int:
    """How many places the first network answers for along so many pixels: a convolution, pooling, two convolutions."""
    return -(-(pixels - 2) // 2) - 4


def _filled_image(pixels: np.ndarray) -> list[np.ndarray]:
    """An image (1, H, W, 3) with sides of multiples of SIDES, and what hides the rest from the pooling: where a side is
    odd, that looks at the last pixel and the one behind it.
    """
    _, height, width, colours = pixels.shape
    rows, columns = height + -height % SIDES, width + -width % SIDES
    image = np.zeros((1, rows, columns, colours), np.float32)
    image[:, :height, :width] = pixels
    mask = np.zeros((1, 1, rows - 2, columns - 2), np.float32)
    mask[:, :, height - 2 :], mask[:, :, :, width - 2 :] = NOTHING, NOTHING
    return [image, mask]


def _filled_up(crops: np.ndarray) -> np.ndarray:
    """Crops (N, S, S, 3), filled up by an eighth at most."""
    step = max(1, 2 ** (len(crops) - 1).bit_length() // 16)
    filled = np.zeros((len(crops) + -len(crops) % step, *crops.shape[1:]), np.float32)
    filled[: len(crops)] = crops
    return filled


def _translated(network: nn.Module, *, masked: bool) -> openvino.Model:
    """`masked`: there is a second input (1, 1, H - 2, W - 2), which is added to what the first pooling gets."""
    inputs = [ops.parameter([-1, -1, -1, 3], np.float32)]
    if masked:
        inputs.append(ops.parameter([1, 1, -1, -1], np.float32))
    layers = dict(network.named_modules())
    values: dict[fx.Node, Any] = {}
    for node in fx.symbolic_trace(network).graph.nodes:
        match node.op, node.target:
            case "placeholder", _:
                values[node] = inputs[0]
            case "call_module", str(name):
                value = values[node.args[0]]
                if masked and isinstance(layers[name], nn.MaxPool2d):
                    value = ops.add(value, inputs[1])
                values[node] = _through(layers[name], value)
            case "call_method", "permute":
                values[node] = ops.transpose(values[node.args[0]], _numbers(*node.args[1:]))
            case "call_method", "contiguous":
                values[node] = values[node.args[0]]
            case "call_method", "view":  # only ever (N, -1): 0 keeps the first number as it is
                values[node] = ops.reshape(values[node.args[0]], _numbers(0, -1), special_zero=True)
            case "output", _:
                return openvino.Model([values[answer] for answer in node.args[0]], inputs)
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
