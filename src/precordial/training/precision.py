"""In which numbers a training multiplies: float32, or bfloat16 where the processor has it."""

from __future__ import annotations

from typing import Literal

import torch

from precordial.training.options import Precision


def choose_precision(wanted: Literal["auto", "fp32", "bf16"], device: str = "auto") -> Precision:
    """What "auto" means on this machine: "bf16" where the device that trains multiplies it in hardware.

    On a processor without it, bfloat16 is emulated and slower than float32.

    Args:
        wanted: the study's setting.
        device: the study's too; "cpu" leaves a GPU out of it.
    """
    if wanted != "auto":
        return wanted
    if device != "cpu" and torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    # PyTorch has no public name for this question; where these names are gone, the answer is float32.
    questions = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return "bf16" if any(ask() for ask in questions if ask) else "fp32"


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """The context in which a network runs; weights, sums and the optimiser stay in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
