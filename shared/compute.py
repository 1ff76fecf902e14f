"""How a computing process uses its machine: on what, with which engine, in which number format, with how many threads.

Whatever is chosen computes the same but for rounding. `python -m benchmarks.networks` and `python -m
benchmarks.detection` tell how far apart results may be; what was chosen is kept with each score.
"""

from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from typing import Literal, Self

import torch

from shared.errors import SettingsInvalid
from shared.settings import Device, Engine, Precision, Settings


@dataclass(frozen=True)
class Compute:
    """What was decided for this process. `dtype` is the encoders'; boxes and scores are always computed in float32."""

    device: torch.device
    engine: Literal["torch", "openvino"]
    dtype: torch.dtype

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """What the settings of this process ask for. Raises SettingsInvalid."""
        return cls.chosen(settings.device, settings.engine, settings.precision)

    @classmethod
    def chosen(cls, device: Device = "auto", engine: Engine = "auto", precision: Precision = "auto") -> Self:
        """What is asked for. `auto` is what is fastest here with results as good.

        Raises SettingsInvalid if what is asked for cannot be had here.
        """
        installed = find_spec("openvino") is not None
        if engine == "openvino" and not installed:
            raise SettingsInvalid("FACEMEM_ENGINE asks for openvino, which is not installed: pip install openvino.")
        if engine == "openvino" and device == "cuda":
            raise SettingsInvalid("FACEMEM_ENGINE openvino computes on the CPU, and FACEMEM_DEVICE asks for cuda.")
        if device == "auto":
            device = "cuda" if engine != "openvino" and torch.cuda.is_available() else "cpu"
        if engine == "auto":
            engine = "openvino" if installed and device == "cpu" else "torch"
        if precision == "auto":
            precision = "bfloat16" if device == "cuda" or _cpu_has_bfloat16() else "float32"
        return cls(torch.device(device), engine, torch.bfloat16 if precision == "bfloat16" else torch.float32)

    @cached_property
    def finding(self) -> str:
        """What boxes depend on, in words."""
        return f"{self.engine} {_release(self.engine)} float32 on {self.device.type}"

    @cached_property
    def encoding(self) -> str:
        """What patches and tokens depend on, in words."""
        return f"torch {_release('torch')} {str(self.dtype).removeprefix('torch.')} on {self.device.type}"


# What bundles are trained and evaluated with, on any machine: the others are measured against it.
PLAIN = Compute(torch.device("cpu"), "torch", torch.float32)


def use_threads(threads: int) -> None:
    """Let torch and its engines use so many threads; 0 leaves them their default, all cores.

    Several computing processes on one machine share its cores: threads times processes should be the number of cores.
    """
    if threads:
        torch.set_num_threads(threads)


def _release(package: str) -> str:
    """Its version, without the name of the build."""
    return version(package).partition("+")[0]


def _cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself; where it does not, torch emulates it, slower than float32."""
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
