"""Whether a network's body is compiled, by `torch.compile`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Literal

from precordial.models import Network

Compile = Literal["auto"] | bool


def compile_body(network: Network, wanted: Compile, note: Callable[[str], None] | None) -> None:
    """Compile the body at its first step, if that is wanted and possible.

    "auto" does not: on processors compiled steps were measured slower than eager ones with channels last, and compiling
    takes half a minute to three (`docs/performance.md`). Names and identity of the weights stay.

    Args:
        network: that is trained; changed in place.
        wanted: the study's setting.
        note: told when there is no compiler.
    """
    if wanted is not True:
        return
    if not has_compiler():
        if note:
            note("training.compile: no C++ compiler is found here, so steps are not compiled")
        return
    network.body.compile(dynamic=False)


def has_compiler() -> bool:
    """Whether there is a C++ compiler, as `torch.compile` looks for one."""
    return any(shutil.which(name) for name in (os.environ.get("CXX", ""), "c++", "g++", "clang++", "cl") if name)
