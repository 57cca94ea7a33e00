"""How much memory is free, where a training may keep things: on a GPU, or in this process's share of the machine."""

from __future__ import annotations

import os
from pathlib import Path

import torch

PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")  # of Linux


def free_bytes(device: torch.device) -> int:
    """Bytes that can still be taken on a device; on the CPU within the limit of a container."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = (PROC / "meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except OSError:  # another system tells only how much there is
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    try:  # files in the system's cache count in what a container uses, but give way
        limit = int((CGROUP / "memory.max").read_text())
        used = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        return max(min(available, limit - int(used["anon"])), 0)
    except (OSError, ValueError, KeyError):  # no container, or none with a limit
        return available
