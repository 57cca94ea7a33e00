"""Bring in weights that the authors of an architecture have published.

The tensors are named and laid out as in the tests' ``parity.json``: the three Keras models with Keras' names
(kernel, gamma …) and axes (kernel, in, out), RN-900k by its place in the authors' PyTorch module tree.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from precordial.errors import ModelError
from precordial.models.network import Network

_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "var"}
_LAYER = {"weight": "kernel", "bias": "bias"}


def keras_name(key: str) -> str:
    """Name, as in Keras, of a tensor of the state dict.

    >>> keras_name("body.block1.bn2.running_var"), keras_name("head.out.weight")
    ('block1.bn2.var', 'out.kernel')
    """
    *path, layer, kind = key.split(".")[1:]
    return ".".join([*path, layer, (_NORM if layer.startswith("bn") else _LAYER)[kind]])


def load_reference_weights(model: Network, tensors: Mapping[str, NDArray[np.floating]]) -> None:
    """Load published weights into a model, all of them or none.

    Args:
        model: as `create_model` makes it, with the original head.
        tensors: every weight and batch-norm statistic by its published name, in the published layout.

    Raises:
        ModelError: the head has been replaced, or a tensor is missing, unexpected or of another shape; the
            message names each of them, and nothing is loaded.

    >>> import numpy as np
    >>> from precordial.models import create_model
    >>> load_reference_weights(create_model("rn-7m"), {"out.bias": np.zeros(1)})
    Traceback (most recent call last):
    precordial.errors.ModelError: these weights do not fit rn-7m: missing block1.bn1.beta, block1.bn1.gamma, ...
    """
    if model.head_kind != "own":
        raise ModelError(
            f"the head of this {model.name} was replaced, published weights belong to the original one",
            remedy="load them before replacing the head",
        )
    state = {
        model.architecture.reference_name(key): tensor
        for key, tensor in model.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    shapes = {name: _published_shape(name, tuple(tensor.shape)) for name, tensor in state.items()}
    missing = sorted(shapes.keys() - tensors.keys())
    unexpected = sorted(tensors.keys() - shapes.keys())
    misshapen = [
        f"{name} of shape {np.shape(tensors[name])} instead of {shapes[name]}"
        for name in sorted(shapes.keys() & tensors.keys())
        if np.shape(tensors[name]) != shapes[name]
    ]
    faults = [
        f"{word} {', '.join(names)}"
        for word, names in (("missing", missing), ("unexpected", unexpected), ("misshapen", misshapen))
        if names
    ]
    if faults:
        raise ModelError(f"these weights do not fit {model.name}: {'; '.join(faults)}")
    with torch.no_grad():
        for name, tensor in state.items():  # state_dict shares the model's memory
            array = np.asarray(tensors[name], np.float32)
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(array.T if _is_kernel(name) else array)))


def _is_kernel(name: str) -> bool:
    """Whether a tensor has Keras' axes, PyTorch's in reverse."""
    return name.endswith(".kernel")


def _published_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[::-1] if _is_kernel(name) else shape
