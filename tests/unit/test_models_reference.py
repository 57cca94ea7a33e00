"""Published weights: all of them or none, and the misfits by name."""

import numpy as np
import pytest
import torch

from precordial.errors import ModelError
from precordial.models import create_model, load_reference_weights

SHAPES = {
    "conv1.kernel": (61, 8, 28),
    "conv1.bias": (28,),
    "conv2.kernel": (17, 28, 8),
    "conv2.bias": (8,),
    "fc1.kernel": (176, 10),
    "fc1.bias": (10,),
    "fc2.kernel": (10, 100),
    "fc2.bias": (100,),
    "out.kernel": (100, 1),
    "out.bias": (1,),
}


def weights() -> dict[str, np.ndarray]:
    return {name: np.arange(np.prod(shape), dtype=np.float64).reshape(shape) for name, shape in SHAPES.items()}


def test_kernels_are_turned_from_keras_axes_to_pytorch_s() -> None:
    model = create_model("cnn-20k")
    tensors = weights()
    load_reference_weights(model, tensors)
    assert model.get_parameter("body.conv1.weight")[5, 3, 60].item() == tensors["conv1.kernel"][60, 3, 5]
    assert model.get_parameter("head.fc1.weight")[9, 175].item() == tensors["fc1.kernel"][175, 9]
    assert model.get_parameter("head.fc2.bias").tolist() == tensors["fc2.bias"].tolist()
    tensors["fc2.bias"][:] = -1  # the model keeps a copy
    assert model.get_parameter("head.fc2.bias")[2].item() == 2


def test_every_misfit_is_named_and_nothing_is_loaded() -> None:
    model = create_model("cnn-20k")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tensors = weights()
    del tensors["fc2.bias"], tensors["conv1.bias"]
    tensors["fc3.bias"] = np.zeros(3)
    tensors["conv2.kernel"] = tensors["conv2.kernel"].transpose(2, 1, 0)
    with pytest.raises(ModelError) as error:
        load_reference_weights(model, tensors)
    assert str(error.value) == (
        "these weights do not fit cnn-20k: missing conv1.bias, fc2.bias; unexpected fc3.bias; "
        "misshapen conv2.kernel of shape (8, 28, 17) instead of (17, 28, 8)"
    )
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_weights_of_a_model_with_more_outputs_fit_such_a_model() -> None:
    model = create_model("cnn-20k", outputs=6)
    tensors = weights() | {"out.kernel": np.ones((100, 6)), "out.bias": np.arange(6.0)}
    load_reference_weights(model, tensors)
    assert model.get_parameter("head.out.bias").tolist() == [0, 1, 2, 3, 4, 5]


def test_a_replaced_head_is_not_the_one_that_was_published() -> None:
    model = create_model("cnn-20k")
    model.replace_head()
    with pytest.raises(ModelError, match="before replacing the head"):
        load_reference_weights(model, weights())


def test_weights_of_the_500_hz_form_do_not_fit_the_100_hz_form() -> None:
    source, model = create_model("rn-900k"), create_model("rn-900k", rate=100)
    tensors = {
        model.architecture.reference_name(key): tensor.numpy()
        for key, tensor in source.state_dict().items()
        if "num_batches" not in key
    }
    load_reference_weights(source, tensors)
    with pytest.raises(
        ModelError, match=r"misshapen stem\.0\.0\.weight of shape \(32, 8, 25\) instead of \(32, 8, 5\)$"
    ):
        load_reference_weights(model, tensors)
