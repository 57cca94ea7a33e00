"""What a study will take: hours of one device, and room on the disk. Without torch, once rates are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from precordial.cohort import Cohort, named_fold
from precordial.study.plan import Plan
from precordial.study.rates import EcgCounts, ModelRates, RatesFile, stores_features
from precordial.training import TrainingRun

# Numbers in a model's file, batch norm's statistics included; those of other models are asked of torch.
WEIGHTS = {"cnn-20k": 20_479, "rn-900k": 906_529, "rn-7m": 6_784_561, "rn-33m": 33_062_569}
STATES = 3 * 3  # as many models: the last state, the one before and the next; each with two moments of Adam
BYTES_A_ROW = 85 + 15  # of a prediction: in the run's file and in the study's
TESTS = ("random_test", "site_test", "temporal_test")
Count = Callable[[TrainingRun, str], int]  # ECGs of a run's training, validation or tests


@dataclass(frozen=True)
class Estimate:
    """What some trainings need on one device.

    Attributes:
        hours: one after the other.
        longest: hours of the longest chain, a pre-training and what starts from it: no number of devices is faster.
        models: hours by model.
    """

    hours: float
    longest: float
    models: dict[str, float]


@dataclass(frozen=True)
class Disk:
    """Bytes that a study's trainings need.

    Attributes:
        models, predictions: when all are done.
        states: more, for each training that is at work.
    """

    models: int
    predictions: int
    states: int


def estimate(runs: Iterable[TrainingRun], rates: RatesFile, count: Count) -> Estimate:
    """The hours of some trainings.

    Reading ECGs is not in the rates of a calibration, and early ends of stages by patience are not known before: what
    is found is neither a least nor a most.

    Args:
        runs: each after its parent; parents that are not among them are done.
        rates: of every model.
        count: ECGs of each.
    """
    ends: dict[str, float] = {}
    models: dict[str, float] = {}
    for run in runs:
        hours = run_seconds(run, rates.rates[run.model], count) / 3600
        models[run.model] = models.get(run.model, 0.0) + hours
        ends[run.id] = hours + (ends.get(run.parent.id, 0.0) if run.parent else 0.0)
    return Estimate(sum(models.values()), max(ends.values(), default=0.0), models)


def run_seconds(run: TrainingRun, rates: ModelRates, count: Count, epochs_done: int = 0) -> float:
    """Seconds that a training needs, after some of its epochs are done."""
    training, validation = count(run, "train"), count(run, "validation")
    head, total = rates.head or rates.train, 0.0
    for stage in run.stages:
        epochs = max(stage.epochs - epochs_done, 0)
        epochs_done = max(epochs_done - stage.epochs, 0)
        if stage.trains == "all":
            total += epochs * (training / rates.train + validation / rates.score)
        elif stores_features(run, stage):
            total += bool(epochs) * (training + validation) / rates.score + epochs * (training + validation) / head
        else:
            total += epochs * (training / head + validation / rates.score)
    tested = validation + (count(run, "test") if run.role == "target" else 0)
    return total + tested / rates.score


def disk(runs: Iterable[TrainingRun], count: Count) -> Disk:
    """Room for some trainings; that of their predictions as it is for ids of 10 letters."""
    models = predictions = states = 0
    for run in runs:
        size = 4 * _weights(run.model)
        rows = count(run, "validation") + (count(run, "test") if run.role == "target" else 0)
        models, states = models + size, max(states, STATES * size)
        predictions += BYTES_A_ROW * rows * len(run.targets)
    return Disk(models, predictions, states)


def counts_of(cohort: Cohort) -> Count:
    """ECGs as a cohort has them, whether or not their label is known."""

    @cache
    def ecgs(role: str, split: str, fraction: str, fold: str | None) -> int:
        there = cohort if fold is None else named_fold(cohort, fold)
        return len(there.select(role=role, split=split, fraction=fraction))

    def count(run: TrainingRun, part: str) -> int:
        if part == "test":
            return sum(ecgs(run.role, split, "1", run.fold) for split in TESTS)
        return ecgs(run.role, part, run.fraction if part == "train" else "1", run.fold)

    return count


def counts_given(given: EcgCounts) -> Count:
    """ECGs of a cohort that is not built; its patients have equally many."""
    values = given.model_dump()

    def count(run: TrainingRun, part: str) -> int:
        return round(int(values[f"{run.role}_{part}"]) * (float(run.fraction) if part == "train" else 1))

    return count


def by_model(plan: Plan) -> dict[str, tuple[int, int, int]]:
    """Pre-trainings, trainings from scratch and fine-tunings of each model."""
    found: dict[str, list[int]] = {}
    for run in plan.runs:
        counts = found.setdefault(run.model, [0, 0, 0])
        counts[("pretrain", "scratch", "finetune").index(run.kind)] += 1
    return {model: (counts[0], counts[1], counts[2]) for model, counts in found.items()}


@cache
def _weights(model: str) -> int:
    if model in WEIGHTS:
        return WEIGHTS[model]
    from precordial.models import model_table

    (row,) = model_table(names=[model])
    return int(row["with_statistics"])
