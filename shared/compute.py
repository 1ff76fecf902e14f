"""How a computing process uses its machine."""

import torch


def use_threads(threads: int) -> None:
    """Let torch use so many threads; 0 leaves it its default, all cores.

    Several computing processes on one machine share its cores: threads times processes should be the number of cores.
    """
    if threads:
        torch.set_num_threads(threads)
