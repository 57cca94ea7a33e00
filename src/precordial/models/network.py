"""A model is a body, a head and what they expect of an ECG.

`Architecture` says in data and three functions what a model is; `Network` is made from it. To add a model,
put its `Architecture` into `precordial.models.MODELS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from precordial.ecg import SECONDS, InputSpec
from precordial.errors import ModelError
from precordial.models.layers import Initialiser, mlp_head
from precordial.models.rows import drawn

HeadKind = Literal["own", "target", "target-authors"]
Hidden = tuple[tuple[int, float], ...]

CROPS_AT_ONCE = 256  # measured on CPU: 2560 crops in one go take three times as long as ten times 256
TARGET_HIDDEN: Hidden = ((100, 0.3),)  # (width, dropout): the paper's head for fine-tuning


@dataclass(frozen=True)
class Crops:
    """Short pieces of a recording: one at random in training, the mean over several in evaluation.

    Attributes:
        samples: length of a piece.
        count: pieces in evaluation, their starts equally spaced and truncated to whole samples.
        shared: one start for the whole batch, as in the authors' code, instead of one for each ECG.
    """

    samples: int
    count: int = 10
    shared: bool = False

    def starts(self, total: int) -> list[int]:
        """First sample of each piece of a recording of `total` samples.

        >>> Crops(1250).starts(5000)
        [0, 416, 833, 1250, 1666, 2083, 2500, 2916, 3333, 3750]
        """
        return [i * (total - self.samples) // (self.count - 1) for i in range(self.count)]

    def draw(self, x: Tensor) -> Tensor:
        """One piece of each ECG, every start equally likely; (batch, leads, total) → (batch, leads, samples).

        Draws from torch's global generator of the device of `x`.
        """
        batch, _, total = x.shape

        def draw(count: int) -> Tensor:
            return torch.randint(total - self.samples + 1, (count,), device=x.device)

        start = draw(1).expand(batch) if self.shared else drawn(batch, draw)
        each = torch.arange(batch, device=x.device)
        return x.unfold(2, self.samples, 1)[each, :, start]

    def spread(self, x: Tensor) -> Tensor:
        """All evaluation pieces, ECG by ECG; (batch, leads, total) → (batch · count, leads, samples)."""
        pieces = [x[..., start : start + self.samples] for start in self.starts(x.shape[-1])]
        return torch.stack(pieces, dim=1).flatten(0, 1)


@dataclass(frozen=True)
class Architecture:
    """What a model is, apart from the rate of its ECGs, its weights and the number of its outputs.

    Attributes:
        name: the name in commands, studies and files, such as ``"rn-900k"``.
        paper_name: the name in the paper.
        source: who described it, as in the paper's Table II.
        conv_layers: convolutions, those on shortcuts apart.
        shortcut_convs: convolutions on shortcuts.
        paper_parameters: number of parameters in the paper's Table II.
        features: width of what the body gives and the head reads.
        body: makes the body: (batch, leads, samples), or a crop of it, → (batch, features).
        own_head: makes the head of the original model with this many outputs.
        new_head_init: initialisers of the hidden and the output layers of a target head.
        reference_name: name in published weights (see `load_reference_weights`) of a tensor of the state dict.
        model_rate: Hz inside the model; None: the rate of the ECGs.
        model_samples: samples inside the model; None: 10 s.
        crop_seconds: length of the model's crops; None: the model reads whole recordings.
        l2: λ by parameter name, for the body and the original head.
        authors_hidden: hidden layers (width, dropout) of the target head in the authors' code.
        authors_head_l2: λ of the output layer of that head.
    """

    name: str
    paper_name: str
    source: str
    conv_layers: int
    shortcut_convs: int
    paper_parameters: int
    features: int
    body: Callable[[InputSpec], nn.Module]
    own_head: Callable[[int], nn.Module]
    new_head_init: tuple[Initialiser, Initialiser]
    reference_name: Callable[[str], str]
    model_rate: int | None = None
    model_samples: int | None = None
    crop_seconds: float | None = None
    l2: Mapping[str, float] = field(default_factory=dict)
    authors_hidden: Hidden = TARGET_HIDDEN
    authors_head_l2: float = 0.0

    def spec(self, rate: int) -> InputSpec:
        """How ECGs of 10 s at `rate` Hz become this model's input."""
        samples = SECONDS * rate
        return InputSpec(
            rate=rate,
            samples=samples,
            model_rate=self.model_rate or rate,
            model_samples=self.model_samples or samples,
        )

    def head(self, kind: HeadKind, outputs: int) -> tuple[nn.Module, dict[str, float]]:
        """A freshly initialised head and the L2 weights that go with it, by parameter name.

        Args:
            kind: ``"own"`` is the original model's; ``"target"`` is the paper's for fine-tuning (dense 100, ReLU,
                dropout 0.3, outputs; no L2); ``"target-authors"`` is what the authors' code uses in its place.
            outputs: number of outputs.
        """
        if kind == "own":
            return self.own_head(outputs), {k: v for k, v in self.l2.items() if k.startswith("head.")}
        authors = kind == "target-authors"
        hidden_init, output_init = self.new_head_init
        head = mlp_head(
            self.features,
            self.authors_hidden if authors else TARGET_HIDDEN,
            outputs,
            hidden_init=hidden_init,
            output_init=output_init,
        )
        return head, {"head.out.weight": self.authors_head_l2} if authors and self.authors_head_l2 else {}


class Network(nn.Module):
    """A body and a head; made by `create_model`, which see.

    Attributes:
        name: as in `MODELS`.
        rate: Hz of the ECGs that `spec` prepares.
        spec: makes the model's input from archive ECGs in mV.
        crops: how recordings are cut, or None. Replace it to share the crop start over a batch.
        body: prepared input, or a crop of it, → (batch, features).
        head: (batch, features) → (batch, outputs).
        head_kind: which head it is, see `Architecture.head`.
        features: width between body and head.
        outputs: number of outputs.
        l2: parameter name → λ of `penalty`.
    """

    def __init__(self, architecture: Architecture, *, outputs: int, rate: int) -> None:
        super().__init__()
        self.architecture = architecture
        self.name = architecture.name
        self.rate = rate
        self.spec = architecture.spec(rate)
        seconds = architecture.crop_seconds
        self.crops = None if seconds is None else Crops(round(seconds * self.spec.model_rate))
        self.features = architecture.features
        self.body = architecture.body(self.spec)
        self.head_kind: HeadKind = "own"
        self.outputs = outputs
        self.head, _ = architecture.head("own", outputs)
        self.l2 = dict(architecture.l2)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of prepared ECGs; (batch, 8, samples) → (batch, outputs).

        A model with `crops` reads one random crop of each ECG in training mode and gives the mean of the logits
        of ten in evaluation mode. The network's own mode decides, so that a body put to sleep by
        ``network.body.eval()`` still reads random crops.

        Raises:
            ModelError: `x` is not what `spec.prepare` gives.
        """
        expected = (len(self.spec.leads), self.spec.model_samples)
        if x.ndim != 3 or x.shape[1:] != expected:
            raise ModelError(
                f"{self.name} reads batches of {expected[0]} leads × {expected[1]} samples, not {tuple(x.shape)}",
                remedy="prepare ECGs with model.spec.prepare",
            )
        if self.crops is not None and not self.training:
            return self.crop_logits(x).mean(dim=1)
        logits: Tensor = self.head(self.body(x if self.crops is None else self.crops.draw(x)))
        return logits

    def crop_logits(self, x: Tensor) -> Tensor:
        """Logits of each of the evaluation crops; (batch, 8, samples) → (batch, crops, outputs)."""
        if self.crops is None:
            raise ModelError(f"{self.name} reads whole recordings and has no crops")
        pieces = torch.split(self.crops.spread(x), CROPS_AT_ONCE)
        logits = torch.cat([self.head(self.body(piece)) for piece in pieces])
        return logits.view(len(x), self.crops.count, -1)

    def penalty(self) -> Tensor:
        """The L2 term of the loss: the sum of λ · Σw² over `l2`, a scalar; zero where there is none."""
        total = torch.zeros((), device=next(self.parameters()).device)
        for name, weight in self.l2.items():
            total = total + weight * self.get_parameter(name).square().sum()
        return total

    def replace_head(self, kind: HeadKind = "target", outputs: int = 1) -> None:
        """Put a freshly initialised head in the place of the present one; its L2 weights go with it.

        The weights are drawn on the CPU from torch's global generator (seed it with `torch.manual_seed`), and so
        are the same on every device. Make the optimiser afterwards: it must know the new parameters.

        Args:
            kind: which head, see `Architecture.head`.
            outputs: number of outputs.
        """
        head, l2 = self.architecture.head(kind, outputs)
        self.head = head.to(next(self.body.parameters()).device).train(self.training)
        self.head_kind = kind
        self.outputs = outputs
        self.l2 = {name: weight for name, weight in self.l2.items() if name.startswith("body.")} | l2


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters of the architecture, whether or not some are frozen at the moment.

    >>> from precordial.models import create_model
    >>> count_parameters(create_model("cnn-20k"))
    20479
    """
    return sum(parameter.numel() for parameter in model.parameters())


def count_with_statistics(model: nn.Module) -> int:
    """Number of trainable parameters and of the means and variances that batch norm keeps, as Keras counts."""
    statistics = (b for name, b in model.named_buffers() if name.endswith(("running_mean", "running_var")))
    return count_parameters(model) + sum(buffer.numel() for buffer in statistics)
