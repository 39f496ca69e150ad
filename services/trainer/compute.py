"""Where a fit runs: its device, its precision, and its place among the processes that share it.

    compute = Compute.detect("auto")                  # this process alone, on the GPU where there is one
    with Compute.joined("auto") as compute: ...       # one of several processes that torchrun started

The same training loop runs in all of them. Several processes read the same data and draw the same batches from the
same seed; each takes its share of every batch, and gradients are averaged so that a step is that of the whole batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch import distributed as dist

from services.runtime.errors import SettingsError

DeviceName = Literal["auto", "cpu", "cuda"]

_DEADLINE = timedelta(minutes=10)
"""For one exchange between processes: the slowest of them may be evaluating, or writing a checkpoint."""
_APART = 1_000_003
"""Seeds of the processes' dropout lie this far apart."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What a fit may use."""

    device: DeviceName = "auto"
    """auto takes the GPU where there is one."""
    processes: int = 1
    """Processes that share each torch fit; on GPUs one for each of them."""

    def check(self) -> None:
        """Raises SettingsError when the machine does not have them."""
        if self.processes > 1 and _device(self.device, 0).type == "cuda":
            _device("cuda", self.processes - 1)


@dataclass(frozen=True, slots=True)
class Compute:
    """One process of a fit."""

    device: torch.device
    rank: int = 0
    world: int = 1
    """Processes that share the fit."""
    bf16: bool = False
    """Whether layers compute in bfloat16. Weights, moments and losses stay in float32; there is no loss scaling
    because bfloat16 has float32's range. TF32 stays off: what autocast leaves in float32 is meant to be."""

    @classmethod
    def detect(cls, device: DeviceName = "auto", *, bf16: bool | None = None) -> Compute:
        """This process alone. `bf16` None means where the GPU has it. Raises SettingsError when there is no GPU but
        one is asked for."""
        return cls._on(_device(device, 0), 0, 1, bf16)

    @classmethod
    @contextmanager
    def joined(cls, device: DeviceName = "auto", *, bf16: bool | None = None) -> Iterator[Compute]:
        """This process as torchrun's environment names it, in a process group: NCCL on GPUs, gloo on CPUs."""
        rank, world, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
        compute = cls._on(_device(device, local), rank, world, bf16)
        if compute.device.type == "cuda":
            torch.cuda.set_device(compute.device)
            dist.init_process_group("nccl", timeout=_DEADLINE, device_id=compute.device)
        else:
            dist.init_process_group("gloo", timeout=_DEADLINE)
        try:
            yield compute
        finally:
            dist.destroy_process_group()

    @classmethod
    def _on(cls, device: torch.device, rank: int, world: int, bf16: bool | None) -> Compute:
        able = device.type == "cuda" and _has_bf16(device)
        return cls(device, rank, world, able if bf16 is None else bf16)

    def in_bf16(self) -> Compute:
        """The same process, computing in bfloat16 where its device, a CPU too, multiplies that itself."""
        return replace(self, bf16=_has_bf16(self.device))

    @property
    def main(self) -> bool:
        """Whether this process tells of progress, writes checkpoints and keeps the result."""
        return self.rank == 0

    @contextmanager
    def fitting(self, seed: int, threads: int, *, flush_denormals: bool = False) -> Iterator[None]:
        """Random numbers of the fit's own, the same in every process, and its share of `threads`. On a CPU the sums
        of several threads are made in one order: the same data and seed give the same weights.

        `flush_denormals`: AdamW's moments of rare rows become denormal numbers, at ten times the cost on a CPU.
        """
        devices = [self.device.index] if self.device.type == "cuda" else []
        before, exact = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            torch.set_num_threads(max(1, threads // self.world))
            torch.set_flush_denormal(flush_denormals)
            torch.use_deterministic_algorithms(exact or self.device.type == "cpu")
            try:
                yield
            finally:
                torch.use_deterministic_algorithms(exact)
                torch.set_flush_denormal(False)
                torch.set_num_threads(before)

    def part(self, seed: int, step: int) -> None:
        """From here on every process but the first draws a dropout of its own."""
        if self.rank:
            torch.manual_seed(seed + _APART * self.rank + step)

    def wrap(self, model: nn.Module) -> nn.Module:
        """Moves the model to the device; the answer is what to call, so that gradients are averaged. Collective."""
        model.to(self.device)
        if self.world == 1:
            return model
        on = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(model, device_ids=on, broadcast_buffers=False)

    def tensor(self, array: NDArray[Any]) -> Tensor:
        """The array on the device: shared memory on a CPU, a copy beside the running kernels on a GPU."""
        tensor = torch.from_numpy(array)
        if self.device.type == "cpu":
            return tensor
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def autocast(self) -> AbstractContextManager[None]:
        """Around the forward pass of the layers, not around losses."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def total(self, values: NDArray[Any]) -> NDArray[Any]:
        """The sum over all processes, element by element. Collective."""
        if self.world == 1:
            return values
        total = torch.from_numpy(np.ascontiguousarray(values)).to(self.device)
        dist.all_reduce(total)
        return total.cpu().numpy()


def _has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 itself, where it is worth it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _device(name: DeviceName, local_rank: int) -> torch.device:
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise SettingsError(
            "CASCADE_TRAINER_DEVICE is cuda, and PyTorch finds no GPU: install a CUDA build of torch on a machine "
            "with an NVIDIA driver, or set it to auto.",
            field="device",
        )
    if local_rank >= count:
        raise SettingsError(
            f"CASCADE_TRAINER_PROCESSES asks for more processes than the {count} GPUs of this machine: a process "
            f"needs a GPU of its own. Set it to {count} at most, or CASCADE_TRAINER_DEVICE to cpu.",
            field="processes",
        )
    return torch.device("cuda", local_rank)
