"""The models by name."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

import torch

from precordial.errors import ModelError
from precordial.models.cnn20k import CNN_20K
from precordial.models.cropping import Cropping
from precordial.models.gustafsson import RN_33M
from precordial.models.network import Architecture, Network, count_parameters, count_with_statistics
from precordial.models.ribeiro import RN_7M
from precordial.models.xresnet1d import RN_900K, RN_900K_SE

MODELS: dict[str, Architecture] = {a.name: a for a in (CNN_20K, RN_900K, RN_7M, RN_33M)}
VARIANTS: dict[str, Architecture] = {a.name: a for a in (RN_900K_SE,)}  # not in the paper
RATES = (500, 100)  # Hz of archives


def create_model(
    name: str,
    outputs: int = 1,
    rate: int = 500,
    cropping: Cropping | None = None,
    extra_inputs: tuple[str, ...] = (),
) -> Network:
    """A model with its original head and fresh weights, drawn from torch's global generator.

    Several outputs, such as age and sex, are so many output layers on the same body. At a `rate` of 100 Hz
    rn-900k has a form of its own; the others raise the ECGs' rate to their own and stay as they are.

    Args:
        name: a key of `MODELS` or `VARIANTS`.
        outputs: number of outputs; logits, or years for an age.
        rate: Hz of the archive whose ECGs it will read, 500 or 100.
        cropping: crops of a length and number of one's own; by default the model's own way.
        extra_inputs: names of values beside the ECG that its head reads, see `ExtraInputs`.

    Returns:
        A network from prepared ECGs, ``model.spec.prepare(millivolts)``, to (batch, outputs).

    Raises:
        ModelError: there is no such model, rate or number of outputs.

    >>> import torch
    >>> model = create_model("cnn-20k", outputs=2).eval()
    >>> millivolts = torch.zeros(3, 8, 5000)
    >>> tuple(model(model.spec.prepare(millivolts)).shape)
    (3, 2)
    """
    architecture = find_architecture(name)
    if rate not in RATES:
        raise ModelError(f"models read ECGs of an archive at 500 or 100 Hz, not {rate}")
    if outputs < 1:
        raise ModelError(f"a model needs at least one output, not {outputs}")
    return Network(architecture, outputs=outputs, rate=rate, cropping=cropping, extra_inputs=extra_inputs)


def find_architecture(name: str) -> Architecture:
    """The entry of `MODELS` or `VARIANTS`; an unknown name is a `ModelError` with the nearest right ones.

    >>> find_architecture("cnn20k")
    Traceback (most recent call last):
    precordial.errors.ModelError: there is no model 'cnn20k'; did you mean cnn-20k?
    """
    known = MODELS | VARIANTS
    if name in known:
        return known[name]
    near = get_close_matches(name.lower(), known)
    raise ModelError(
        f"there is no model '{name}'",
        remedy=f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(known)}",
    )


def model_table(rate: int = 500, names: Iterable[str] = tuple(MODELS)) -> list[dict[str, str | int]]:
    """One row per model, by default the paper's, for ``precordial models``, beside the paper's Table II.

    Keys: name, paper_name, input, conv_layers, shortcut_convs, trainable, with_statistics (batch norm's means
    and variances included), paper_parameters, source.

    >>> [(row["name"], row["input"]) for row in model_table()][:2]
    [('cnn-20k', '5000 at 500 Hz'), ('rn-900k', 'crops of 1250 at 500 Hz')]
    """
    return [_row(name, rate) for name in names]


def _row(name: str, rate: int) -> dict[str, str | int]:
    with torch.device("meta"):  # shapes only: nothing is drawn and no memory taken
        model = create_model(name, rate=rate)
    spec = model.spec
    length = f"crops of {model.crops.samples}" if model.crops else f"{spec.model_samples}"
    architecture = model.architecture
    return {
        "name": name,
        "paper_name": architecture.paper_name,
        "input": f"{length} at {spec.model_rate} Hz",
        "conv_layers": architecture.conv_layers,
        "shortcut_convs": architecture.shortcut_convs,
        "trainable": count_parameters(model),
        "with_statistics": count_with_statistics(model),
        "paper_parameters": architecture.paper_parameters,
        "source": architecture.source,
    }
