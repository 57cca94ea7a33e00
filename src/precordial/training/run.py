"""What one training is: everything that decides its result, and the id that follows from it."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from precordial.models.cropping import Cropping
from precordial.training.options import ClassWeights, Precision
from precordial.training.recipes import Pretraining
from precordial.training.stages import Stage

# Weight of each target in the loss, by task (section II.C of the paper).
TASKS: dict[str, dict[str, float]] = {"age": {"age": 1.0}, "sex": {"sex": 1.0}, "age-sex": {"age": 0.045, "sex": 1.0}}

# The fields of version 0.1.0, which are in every id.
FIRST_FIELDS = frozenset(
    [
        "model",
        "rate",
        "role",
        "task",
        "fraction",
        "seed",
        "stages",
        "batch",
        "adam_epsilon",
        "schedule_per",
        "crop_per",
        "head",
        "age_bias",
        "precision",
        "cohort",
    ]
)
FIRST_STAGE_FIELDS = frozenset(["epochs", "peak", "start", "end", "warmup", "decay_epochs", "batch", "trains", "awake"])


class TrainingRun(BaseModel):
    """One training, described completely: two runs with equal descriptions give equal results.

    Attributes:
        model: name in `precordial.models.MODELS`.
        rate: Hz of the archive.
        role: which part of the cohort it trains on. A source run is a pre-training.
        task: "age", "sex" or "age-sex" on the source; "label" (the cohort's outcomes) on the target.
        outcomes: what a target run predicts, each by an output of its own.
        fold: name of the fold whose test set no training of this run sees; None where the test set stays the same, and
            on the source, whose patients are in no fold.
        fraction: share of the training patients.
        seed: decides initial weights, order of the batches, dropout and crops.
        stages: what is done, in order.
        batch: ECGs in a step.
        adam_epsilon: of the optimiser.
        schedule_per: the learning rate moves with each "step" or each "epoch" (the authors' PyTorch path).
        crop_per: a random crop is drawn for each "ecg", or one for each "batch" (the authors' code).
        head: which head a fine-tuned model gets.
        age_bias: where the age output starts: at "zero", as in the paper, or at the "median" of the training ages,
            without which a short training spends its epochs on finding the mean age.
        precision: "fp32", or "bf16": forward and backward passes multiply in bfloat16. Predictions are always made in
            float32.
        cropping: crops of a chosen length and number; by default the model's own way.
        extra_inputs: what the head reads beside the ECG: "age", "sex", or names of the cohort's inputs.
        cache_features: whether the head on a frozen body is trained on features that are computed once: "auto", where
            the model draws no crops; True, also where it does, with starts on a grid; or False.
        crop_grid: seconds between the starts of that grid.
        best_by: which epoch's model is kept: by validation loss on the source and validation AUC on the target
            ("paper"), or by "loss" on both.
        ema: decay per step of a running mean of the weights, which is then what is validated, kept and used; None: no
            mean. After n steps the decay is at most (1 + n) / (10 + n), so that a short training forgets its start.
        clip_norm: longest gradient, as the norm over all parameters; a longer one is shortened to it.
        class_weights: "balanced", or the weight of the positive examples of each outcome named, against 1 for the
            negative ones; in the loss that is trained on, not in the validation loss.
        label_smoothing: ε; yes and no are learned as 1 - ε / 2 and ε / 2. The validation loss knows nothing of it.
        cohort: digest of the cohort.
        parent: the pre-training that this run starts from; None when from scratch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    model: str
    rate: int = 500
    role: Literal["source", "target"]
    task: Literal["age", "sex", "age-sex", "label"]
    outcomes: tuple[str, ...] = Field(("label",), min_length=1)
    fold: str | None = None
    fraction: str = "1"
    seed: int = 0
    stages: tuple[Stage, ...] = Field(min_length=1)
    batch: int = Field(default=256, ge=2)
    adam_epsilon: float = 1e-7
    schedule_per: Literal["step", "epoch"] = "step"
    crop_per: Literal["ecg", "batch"] = "ecg"
    head: Literal["own", "target", "target-authors"] = "own"
    age_bias: Literal["zero", "median"] = "zero"
    precision: Precision = "fp32"
    cropping: Cropping | None = None
    extra_inputs: tuple[str, ...] = ()
    cache_features: bool | Literal["auto"] = "auto"
    crop_grid: float = Field(default=0.25, gt=0)
    best_by: Literal["paper", "loss"] = "paper"
    ema: float | None = Field(default=None, gt=0, lt=1)
    clip_norm: float | None = Field(default=None, gt=0)
    class_weights: ClassWeights | None = None
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    cohort: str = ""
    parent: TrainingRun | None = None

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.outcomes)) != len(self.outcomes):
            raise ValueError("an outcome is named twice")
        if len(set(self.extra_inputs)) != len(self.extra_inputs):
            raise ValueError("an extra input is named twice")
        return self

    @model_validator(mode="after")
    def _no_leak(self) -> Self:
        told = [name for name in self.extra_inputs if name in self.targets]
        if told:
            raise ValueError(f"{told[0]} is to be predicted, and cannot be an extra input")
        return self

    @model_validator(mode="after")
    def _as_its_parent(self) -> Self:
        if self.parent and (self.parent.model, self.parent.cropping) != (self.model, self.cropping):
            raise ValueError("a run has the model and the crops of the one that it starts from")
        return self

    @model_validator(mode="after")
    def _cacheable(self) -> Self:
        moving = any(stage.trains == "head" and not stage.body_is_fixed for stage in self.stages)
        if self.cache_features is True and moving:
            raise ValueError("features of a frozen body with awake layers, or of augmented ECGs, cannot be stored")
        return self

    @property
    def id(self) -> str:
        """Digest of the whole description, ancestors included: 12 hex digits.

        A setting that is new in a version changes no id as long as it is not used.
        """
        text = json.dumps(self._identity(), sort_keys=True)
        return blake2b(text.encode(), digest_size=6).hexdigest()

    def _identity(self) -> dict[str, Any]:
        """The description as plain values. What came later and is at its default is left out: ids stay as they were."""
        values = self.model_dump(mode="json", include=_spoken(self, FIRST_FIELDS))
        values["stages"] = [
            stage.model_dump(mode="json", include=_spoken(stage, FIRST_STAGE_FIELDS)) for stage in self.stages
        ]
        return values | {"parent": self.parent and self.parent._identity()}

    @property
    def group(self) -> str:
        """Id of the run without its fold: equal for the runs that are one cross-validation."""
        return self.model_copy(update={"fold": None}).id

    @property
    def kind(self) -> Literal["pretrain", "scratch", "finetune"]:
        """Which of the three kinds of training it is."""
        if self.role == "source":
            return "pretrain"
        return "finetune" if self.parent else "scratch"

    @property
    def epochs(self) -> int:
        """Epochs over all stages."""
        return sum(stage.epochs for stage in self.stages)

    @property
    def pretraining(self) -> Pretraining:
        """Task of the pre-training that this run is, or stands on; "none" from scratch."""
        run = self.parent or self
        return "none" if run.task == "label" else run.task

    @property
    def source_fraction(self) -> str:
        """Share of the source patients that it has seen; "0" from scratch."""
        run = self.parent or self
        return run.fraction if run.role == "source" else "0"

    @property
    def targets(self) -> dict[str, float]:
        """Its outputs in order, with their weights in the loss."""
        return TASKS.get(self.task) or dict.fromkeys(self.outcomes, 1.0)

    @property
    def lineage(self) -> tuple[str, ...]:
        """Ids of its ancestors, oldest first, and its own."""
        return (*(self.parent.lineage if self.parent else ()), self.id)

    def describe(self) -> str:
        """A line for people, such as ``rn-900k, from scratch on AMI, target fraction 1, seed 0, fold 2``."""
        of = self.outcomes[0] if len(self.outcomes) == 1 else f"{len(self.outcomes)} outcomes"
        what = {
            "pretrain": f"pre-training on {self.task}, source fraction {self.fraction}",
            "scratch": f"from scratch on {of}, target fraction {self.fraction}",
            "finetune": f"fine-tuning on {of} from {self.pretraining} (source fraction {self.source_fraction}), "
            f"target fraction {self.fraction}",
        }[self.kind]
        fold = f", fold {self.fold}" if self.fold is not None else ""
        return f"{self.model}, {what}, seed {self.seed}{fold}"


def _spoken(settings: BaseModel, first: frozenset[str]) -> set[str]:
    """Fields that were always in the id, and those that are not at their default; the parent has its own."""
    fields = type(settings).model_fields
    changed = {
        name
        for name, field in fields.items()
        if getattr(settings, name) != field.get_default(call_default_factory=True)
    }
    return (changed | first) - {"parent"}
