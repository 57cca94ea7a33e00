"""Models and training states on disk: safetensors with a digest, never pickle.

A model file carries its card, as JSON, inside; the ``.json`` beside it is a copy for people. Files are written
under another name, synced and renamed, so that a kill leaves the old file or the new one and nothing between.
There are no times in them: equal runs write equal files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import torch
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError, model_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from precordial import __version__
from precordial.ecg import InputSpec
from precordial.errors import ModelError
from precordial.files import replacing, write_atomic
from precordial.models.cropping import Cropping
from precordial.models.network import HeadKind, Network
from precordial.models.registry import create_model
from precordial.processes import ctrl_c_later

CARD_FORMAT = 2  # 1 had neither cropping nor extra inputs, and is read
_AGAIN = "restore it from a copy, or train that run again"


class ModelCard(BaseModel):
    """What a model file says about itself.

    Attributes:
        format: version of this card; a newer one than `CARD_FORMAT` is refused.
        model: name, as in `MODELS` or `VARIANTS`.
        rate: Hz of the ECGs it reads.
        outputs: number of outputs.
        head: which head it has, see `Architecture.head`.
        spec: how ECGs become its input.
        cropping: how they are cut, where it is not the model's own way.
        extra_inputs: what it needs beside the ECG, in order.
        targets: what each output predicts, in order.
        settings: how it was trained.
        lineage: ids of the runs it comes from, parents first.
        version: of precordial.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: int = CARD_FORMAT
    model: str
    rate: int
    outputs: int
    head: HeadKind
    spec: InputSpec
    cropping: Cropping | None = None
    extra_inputs: tuple[str, ...] = ()
    targets: tuple[str, ...]
    settings: dict[str, JsonValue] = {}
    lineage: tuple[str, ...] = ()
    version: str = __version__

    @model_validator(mode="after")
    def _targets_fit(self) -> Self:
        if len(self.targets) != self.outputs:
            raise ValueError(f"{len(self.targets)} targets for {self.outputs} outputs")
        return self


def make_card(
    network: Network,
    targets: tuple[str, ...],
    settings: Mapping[str, JsonValue] | None = None,
    lineage: tuple[str, ...] = (),
) -> ModelCard:
    """The card of a network: what the network knows of itself, and the targets, settings and lineage given.

    >>> from precordial.models import create_model
    >>> make_card(create_model("cnn-20k", outputs=2), ("age", "sex")).head
    'own'
    """
    return ModelCard(
        model=network.name,
        rate=network.rate,
        outputs=network.outputs,
        head=network.head_kind,
        spec=network.spec,
        cropping=network.cropping,
        extra_inputs=network.extra_inputs,
        targets=targets,
        settings=dict(settings or {}),
        lineage=lineage,
    )


def save_model(path: str | Path, network: Network, card: ModelCard) -> None:
    """Write a network and its card to `path` (``.safetensors``), and the card for people to ``<stem>.json`` beside it.

    Raises:
        ModelError: the card describes another network.
    """
    path = Path(path)
    described = (card.model, card.rate, card.outputs, card.head, card.spec, card.cropping, card.extra_inputs)
    known = (network.name, network.rate, network.outputs, network.head_kind, network.spec)
    if described != (*known, network.cropping, network.extra_inputs):
        raise ModelError("this card describes another network", file=path, remedy="make it with make_card")
    save_tensors(path, network.state_dict(), {"card": card.model_dump_json()})
    write_atomic(path.with_suffix(".json"), card.model_dump_json(indent=2) + "\n")


def load_model(path: str | Path) -> tuple[Network, ModelCard]:
    """Read a model file; the network comes in evaluation mode on the CPU. No random number is drawn.

    Raises:
        ModelError: the file is missing, damaged, no model, made by a newer precordial, or its weights do not fit
            the model that its card names.
    """
    path = Path(path)
    tensors, metadata = load_tensors(path)
    if "card" not in metadata:
        raise ModelError("a file of tensors without a model card", file=path, remedy="give a saved model")
    card = _read_card(path, metadata["card"])
    try:
        with torch.device("meta"):  # shapes only; the weights come from the file
            network = create_model(card.model, card.outputs, card.rate, card.cropping, card.extra_inputs)
            if card.head != "own":
                network.replace_head(card.head, card.outputs, card.extra_inputs)
    except ModelError as error:
        raise ModelError(error.problem, file=path, remedy=error.remedy) from None
    if network.spec != card.spec:
        raise ModelError(
            f"its input, {card.spec}, is not what {card.model} reads now, {network.spec}",
            file=path,
            remedy=f"use precordial {card.version}",
        )
    expected = {name: (tensor.dtype, tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()}
    if expected != found:
        wrong = sorted(n for n in expected.keys() | found.keys() if expected.get(n) != found.get(n))
        raise ModelError(f"tensors that do not fit {card.model}: {', '.join(wrong)}", file=path, remedy=_AGAIN)
    network.load_state_dict(tensors, assign=True)
    return network.eval(), card


def save_tensors(path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors and texts to one file, atomically and with a digest of both.

    Equal contents give equal bytes. The tensors may be on any device; no two may share memory.
    """
    path = Path(path)
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One entry only: safetensors writes several in an order that changes from call to call.
    texts = {"blake2b": _digest(on_cpu, metadata), "metadata": dict(metadata)}
    with replacing(path) as temporary:
        save_file(on_cpu, temporary, {"precordial": json.dumps(texts, sort_keys=True)})


@ctrl_c_later()  # which safetensors and torch would turn into a ValueError of theirs
def load_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read what `save_tensors` wrote, onto the CPU. Ctrl-C is heard afterwards.

    Raises:
        ModelError: the file is missing, damaged, or was not written by `save_tensors`.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError("no such file", file=path, remedy="check the path")
    try:
        with safe_open(path, framework="pt") as file:
            own = (file.metadata() or {}).get("precordial")
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"not a readable safetensors file ({error})", file=path, remedy=_AGAIN) from None
    if own is None:
        raise ModelError("not written by precordial", file=path, remedy="give a model or training state of a run")
    try:
        texts = json.loads(own)
        metadata: dict[str, str] = texts["metadata"]
        intact = texts["blake2b"] == _digest(tensors, metadata)
    except (ValueError, KeyError, TypeError):
        intact = False
    if not intact:
        raise ModelError("damaged: its contents do not match its digest", file=path, remedy=_AGAIN)
    return tensors, metadata


def _read_card(path: Path, text: str) -> ModelCard:
    # First the format: a newer card may hold what this version cannot judge.
    written = json.loads(text)
    if written["format"] > CARD_FORMAT:
        raise ModelError(f"made by a newer precordial ({written['version']})", file=path, remedy="upgrade precordial")
    try:
        return ModelCard.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ModelError(f"the model card is wrong at '{place}': {first['msg']}", file=path, remedy=_AGAIN) from None


def _digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """A digest of names, types, shapes and bytes of the tensors and of the texts."""
    digest = hashlib.blake2b(digest_size=20)
    digest.update(json.dumps(dict(metadata), sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
