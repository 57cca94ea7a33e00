"""A model is a body, a head and what they expect of an ECG.

`Architecture` says in data and three functions what a model is; `Network` is made from it. To add a model,
put its `Architecture` into `precordial.models.MODELS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from precordial.ecg import SECONDS, InputSpec
from precordial.errors import ModelError
from precordial.models.cropping import Cropping
from precordial.models.extra import ExtraInputs
from precordial.models.layers import Initialiser, mlp_head, time_first
from precordial.models.rows import drawn

HeadKind = Literal["own", "target", "target-authors"]
Hidden = tuple[tuple[int, float], ...]

CROPS_AT_ONCE = 256  # measured on CPU: 2560 crops in one go take three times as long as ten times 256
TARGET_HIDDEN: Hidden = ((100, 0.3),)  # (width, dropout): the paper's head for fine-tuning


def cut_pieces(x: Tensor, starts: Tensor, samples: int, rows: Tensor | None = None) -> Tensor:
    """The piece of each recording that begins at its start; (n, leads, total) → (batch, leads, samples).

    Args:
        x: recordings.
        starts: (batch,) first sample of each piece.
        samples: length of the pieces.
        rows: (batch,) the recordings from which they are cut; by default each in turn.
    """
    rows = torch.arange(len(x), device=x.device) if rows is None else rows
    return x.unfold(2, samples, 1)[rows, :, starts.to(x.device)]


@dataclass(frozen=True)
class Crops:
    """Short pieces of a recording: one at random in training, the mean over several in evaluation.

    Attributes:
        samples: length of a piece.
        count: pieces in evaluation, their starts equally spaced and cut to whole samples; one alone is the middle.
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
        if self.count == 1:
            return [(total - self.samples) // 2]
        return [i * (total - self.samples) // (self.count - 1) for i in range(self.count)]

    def draw_starts(self, total: int, batch: int, generator: torch.Generator | None = None) -> Tensor:
        """(batch,) first sample of one piece of each of `batch` recordings of `total` samples.

        Every start is equally likely. Drawn on the CPU, from torch's global generator unless another is given.
        """
        draws = 1 if self.shared else batch
        return torch.randint(total - self.samples + 1, (draws,), generator=generator).expand(batch)

    def draw(self, x: Tensor) -> Tensor:
        """One piece of each ECG, by `draw_starts`; (batch, leads, total) → (batch, leads, samples)."""
        starts = drawn(len(x), lambda count: self.draw_starts(x.shape[-1], count))
        return cut_pieces(x, starts, self.samples)

    def spread(self, x: Tensor, starts: Sequence[int] | None = None) -> Tensor:
        """All pieces that begin at `starts`, by default those of evaluation, ECG by ECG.

        (batch, leads, total) → (batch · starts, leads, samples).
        """
        starts = self.starts(x.shape[-1]) if starts is None else starts
        along = time_first(x)  # as the bodies read it; so each piece is copied in one go
        pieces = [along[:, start : start + self.samples] for start in starts]
        return torch.stack(pieces, dim=1).flatten(0, 1).transpose(1, 2)


@dataclass(frozen=True)
class Architecture:
    """What a model is, apart from the rate of its ECGs, its weights and the number of its outputs.

    Attributes:
        name: the name in commands, studies and files, such as ``"rn-900k"``.
        paper_name: the name in the paper.
        source: who described it, as in the paper's Table II.
        conv_layers: convolutions, those on shortcuts apart.
        shortcut_convs: convolutions on shortcuts.
        paper_parameters: number of parameters in the paper's Table II; 0: it is not there.
        features: width of what the body gives of the model's own input.
        body: makes the body: (batch, leads, samples), or a crop of it, → (batch, features).
        own_head: makes the head of the original model from widths of features and outputs.
        new_head_init: initialisers of the hidden and the output layers of a target head.
        reference_name: name in published weights (see `load_reference_weights`) of a tensor of the state dict.
        model_rate: Hz inside the model; None: the rate of the ECGs.
        model_samples: samples inside the model; None: 10 s.
        crop_seconds: length of the model's crops; None: the model reads whole recordings.
        step: samples of the input that become one of those which the body flattens; None: it pools over time, and gives
            as many features of a short input as of a long one.
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
    own_head: Callable[[int, int], nn.Module]
    new_head_init: tuple[Initialiser, Initialiser]
    reference_name: Callable[[str], str]
    model_rate: int | None = None
    model_samples: int | None = None
    crop_seconds: float | None = None
    step: int | None = None
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

    def crops(self, spec: InputSpec, cropping: Cropping | None = None) -> Crops | None:
        """How recordings are cut, by a setting or as is the model's own way; None: they are not."""
        seconds = self.crop_seconds if cropping is None else cropping.seconds
        if seconds is None:
            return None
        step = self.step or 1
        samples = math.ceil(round(seconds * spec.model_rate) / step) * step
        if samples >= spec.model_samples:
            return None
        return Crops(samples) if cropping is None else Crops(samples, cropping.count)

    def width(self, spec: InputSpec, samples: int) -> int:
        """How many features the body gives of an input of so many samples."""
        if self.step is None:
            return self.features
        return self.features // (spec.model_samples // self.step) * (samples // self.step)

    def head(self, kind: HeadKind, features: int, outputs: int) -> tuple[nn.Module, dict[str, float]]:
        """A freshly initialised head and the L2 weights that go with it, by parameter name.

        Args:
            kind: ``"own"`` is the original model's; ``"target"`` is the paper's for fine-tuning (dense 100, ReLU,
                dropout 0.3, outputs; no L2); ``"target-authors"`` is what the authors' code uses in its place.
            features: width of what it reads.
            outputs: number of outputs.
        """
        if kind == "own":
            return self.own_head(features, outputs), {k: v for k, v in self.l2.items() if k.startswith("head.")}
        authors = kind == "target-authors"
        hidden_init, output_init = self.new_head_init
        head = mlp_head(
            features,
            self.authors_hidden if authors else TARGET_HIDDEN,
            outputs,
            hidden_init=hidden_init,
            output_init=output_init,
        )
        return head, {"head.out.weight": self.authors_head_l2} if authors and self.authors_head_l2 else {}


class Network(nn.Module):
    """A body and a head; made by `create_model`, which see.

    Attributes:
        name: as in `MODELS` or `VARIANTS`.
        rate: Hz of the ECGs that `spec` prepares.
        spec: makes the model's input from archive ECGs in mV.
        cropping: the setting that the crops follow from; None: the model's own way.
        crops: how recordings are cut, or None. Replace it to share the crop start over a batch.
        body: prepared input, or a crop of it, → (batch, features).
        extra: what standardises values beside the ECG, or None.
        head: (batch, features), and behind them what `extra` gives, → (batch, outputs).
        head_kind: which head it is, see `Architecture.head`.
        features: width between body and head.
        outputs: number of outputs.
        l2: parameter name → λ of `penalty`.
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        outputs: int,
        rate: int,
        cropping: Cropping | None = None,
        extra_inputs: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.name = architecture.name
        self.rate = rate
        self.spec = architecture.spec(rate)
        self.cropping = cropping
        self.crops = architecture.crops(self.spec, cropping)
        samples = self.spec.model_samples if self.crops is None else self.crops.samples
        self.features = architecture.width(self.spec, samples)
        self.body = architecture.body(self.spec)
        self.l2 = dict(architecture.l2)
        self.extra: ExtraInputs | None
        self._make_head("own", outputs, extra_inputs)

    def _make_head(self, kind: HeadKind, outputs: int, extra_inputs: tuple[str, ...]) -> None:
        self.extra = ExtraInputs(extra_inputs) if extra_inputs else None
        beside = self.extra.width if self.extra else 0
        self.head, l2 = self.architecture.head(kind, self.features + beside, outputs)
        if self.extra:
            self.extra.silence_unknowns(self.head)
        self.head_kind: HeadKind = kind
        self.outputs = outputs
        self.l2 = {name: weight for name, weight in self.l2.items() if name.startswith("body.")} | l2

    @property
    def extra_inputs(self) -> tuple[str, ...]:
        """Names of the values beside the ECG that it needs, in order."""
        return self.extra.names if self.extra else ()

    def forward(self, x: Tensor, extra: Tensor | None = None) -> Tensor:
        """Logits of prepared ECGs; (batch, 8, samples) → (batch, outputs).

        A model with `crops` reads one random crop of each ECG in training mode and gives the mean of the logits
        of ten in evaluation mode. The network's own mode decides, so that a body put to sleep by
        ``network.body.eval()`` still reads random crops. In training mode `x` may be cut already,
        (batch, 8, crops.samples), as the loader does it.

        Args:
            x: prepared ECGs.
            extra: (batch, values) the `extra_inputs` of each, NaN where unknown; None where there are none.

        Raises:
            ModelError: `x` is not what `spec.prepare` gives, or `extra` is not what the model needs.
        """
        expected = (len(self.spec.leads), self.spec.model_samples)
        if self.training and self.crops is not None and x.shape[1:] == (expected[0], self.crops.samples):
            return self.logits(self.body(x), extra)
        if x.ndim != 3 or x.shape[1:] != expected:
            raise ModelError(
                f"{self.name} reads batches of {expected[0]} leads × {expected[1]} samples, not {tuple(x.shape)}",
                remedy="prepare ECGs with model.spec.prepare",
            )
        if self.crops is not None and not self.training:
            return self.crop_logits(x, extra).mean(dim=1)
        return self.logits(self.body(x if self.crops is None else self.crops.draw(x)), extra)

    def logits(self, features: Tensor, extra: Tensor | None = None) -> Tensor:
        """What the head makes of the body's features and of the values beside the ECG; (batch, outputs).

        Raises:
            ModelError: `extra` is not what the model needs.
        """
        found = () if extra is None else tuple(extra.shape)
        if found != ((len(features), len(self.extra_inputs)) if self.extra else ()):
            raise ModelError(
                f"this {self.name} reads {', '.join(self.extra_inputs) or 'nothing'} beside the ECG: "
                f"for {len(features)} ECGs it was given values of shape {found}",
                remedy="give a column for each, NaN where unknown",
            )
        if self.extra and extra is not None:
            features = torch.cat([features, self.extra(extra)], dim=1)
        logits: Tensor = self.head(features)
        return logits

    def crop_logits(self, x: Tensor, extra: Tensor | None = None) -> Tensor:
        """Logits of each of the evaluation crops; (batch, 8, samples) → (batch, crops, outputs)."""
        if self.crops is None:
            raise ModelError(f"{self.name} reads whole recordings and has no crops")
        return self.piece_logits(self.crop_features(x, self.crops.starts(x.shape[-1])), extra)

    def crop_features(self, x: Tensor, starts: Sequence[int]) -> Tensor:
        """What the body makes of the crops that begin at `starts`; (batch, 8, samples) → (batch, starts, features)."""
        if self.crops is None:
            raise ModelError(f"{self.name} reads whole recordings and has no crops")
        pieces = torch.split(self.crops.spread(x, starts), CROPS_AT_ONCE)
        return torch.cat([self.body(piece) for piece in pieces]).view(len(x), len(starts), -1)

    def piece_logits(self, features: Tensor, extra: Tensor | None = None) -> Tensor:
        """Logits of each piece of each ECG, from the body's features; (batch, pieces, …) → (batch, pieces, outputs)."""
        batch, pieces = features.shape[:2]
        parts = torch.split(features.flatten(0, 1), CROPS_AT_ONCE)
        beside: Sequence[Tensor | None] = [None] * len(parts)
        if extra is not None:
            beside = torch.split(extra.repeat_interleave(pieces, dim=0), CROPS_AT_ONCE)
        logits = [self.logits(part, some) for part, some in zip(parts, beside, strict=True)]
        return torch.cat(logits).view(batch, pieces, -1)

    def penalty(self) -> Tensor:
        """The L2 term of the loss: the sum of λ · Σw² over `l2`, a scalar; zero where there is none."""
        total = torch.zeros((), device=next(self.parameters()).device)
        for name, weight in self.l2.items():
            total = total + weight * self.get_parameter(name).square().sum()
        return total

    def replace_head(self, kind: HeadKind = "target", outputs: int = 1, extra_inputs: tuple[str, ...] = ()) -> None:
        """Put a freshly initialised head in the place of the present one; its L2 weights go with it.

        The weights are drawn on the CPU from torch's global generator (seed it with `torch.manual_seed`), and so
        are the same on every device. Make the optimiser afterwards: it must know the new parameters.

        Args:
            kind: which head, see `Architecture.head`.
            outputs: number of outputs.
            extra_inputs: names of values beside the ECG that the new head reads.
        """
        self._make_head(kind, outputs, extra_inputs)
        place = next(self.body.parameters()).device
        for module in (self.extra, self.head):
            if module is not None:
                module.to(place).train(self.training)


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
