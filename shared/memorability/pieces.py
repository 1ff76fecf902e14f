"""The pieces in which faces and captions go through the networks.

On the CPU, torch's libraries keep code and scratch memory for each shape of input that they have met, and batches have
as many shapes as there are numbers of faces and lengths of captions: a worker's memory grew for as long as it ran. So
there are few shapes. A GPU keeps nothing of that kind, and large pieces fill it.
"""

from collections.abc import Iterator, Sequence

import torch

CPU_SIZES = (8, 4, 2, 1)  # faces or captions at once; this bounds memory, too, where a photograph shows a crowd
GPU_MOST = 64
TOKENS = 16  # captions are filled up to a multiple of so many, which suits a GPU as well


def pieces(count: int, device: torch.device, cpu_sizes: Sequence[int] = CPU_SIZES) -> Iterator[slice]:
    """All of 0 .. `count`, in order. On the CPU each piece has one of `cpu_sizes`: none is filled in, so that one costs
    what one costs.
    """
    start = 0
    while left := count - start:
        size = next(size for size in cpu_sizes if size <= left) if device.type == "cpu" else min(GPU_MOST, left)
        yield slice(start, start + size)
        start += size


def filled_length(tokens: int, most: int) -> int:
    """To how many tokens captions of at most so many are filled up; `most` is the network's own limit."""
    return min(tokens + -tokens % TOKENS, most)
