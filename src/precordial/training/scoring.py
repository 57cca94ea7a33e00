"""Scoring: what a network says of ECGs, how good that is, and which epoch is the best."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from precordial.archive import Archive
from precordial.cohort import Cohort
from precordial.evaluation import Predictions, measure
from precordial.models import Network, make_card, save_model
from precordial.training.distributed import is_first, processes, put_together, rank
from precordial.training.examples import all_examples
from precordial.training.features import EVALUATION_BATCH, Features, head_outputs
from precordial.training.layout import BEST
from precordial.training.loader import Examples, batches, split_batches
from precordial.training.objectives import REGRESSED, scores
from precordial.training.options import Precision
from precordial.training.precision import autocast
from precordial.training.run import TrainingRun
from precordial.training.state import Progress
from precordial.training.steps import run_losses

MEAN_AUC = "validation_auc"  # over the outcomes
TEST_SPLITS = {"source": ("validation",), "target": ("validation", "random_test", "site_test", "temporal_test")}


def forward(network: Network, examples: Examples, place: torch.device, precision: Precision = "fp32") -> Tensor:
    """(n, outputs) outputs of the network in evaluation mode, float32 on the CPU.

    Several processes share the batches out among them, and each has all outputs in the end.
    """
    network.eval()
    parts = split_batches(np.arange(len(examples)), EVALUATION_BATCH)
    own, outputs = parts[rank() :: processes()], []
    with torch.inference_mode():
        for inputs, _, extra in batches(examples, own, network.spec, place):  # prepared in float32
            with autocast(precision, place):
                outputs.append(network(inputs, extra).float().cpu())
    return put_together(outputs, [len(part) for part in parts], network.outputs)


def validate(
    run: TrainingRun,
    network: Network,
    validation: Examples,
    place: torch.device,
    features: Features | None = None,
) -> dict[str, float]:
    """Loss (penalty included) and metrics on the validation set, from its features where they are stored.

    A target without a metric there, an outcome that has one value only, is left out. Of several outcomes the mean AUC
    is ``validation_auc``.
    """
    if features:
        outputs = head_outputs(network, features, place, run.precision)
    else:
        outputs = forward(network, validation, place, run.precision)
    truth = torch.from_numpy(validation.truth)
    penalty = float(network.penalty().detach())
    row = {"validation_loss": float(run_losses(run, outputs, truth).mean()) + penalty}
    score = scores(outputs, run.targets).numpy()
    for column, name in enumerate(run.targets):
        metric = "mae" if name in REGRESSED else "auc"
        known = ~np.isnan(validation.truth[:, column])
        value = measure(metric, validation.truth[known, column], score[known, column])
        if not np.isnan(value):
            row[f"validation_{name}_{metric}"] = value
    if run.task == "label" and len(run.outcomes) > 1:
        row[MEAN_AUC] = float(np.mean([value for key, value in row.items() if key != "validation_loss"]))
    return row


def keep_best(run: TrainingRun, network: Network, row: dict[str, Any], state: Progress, folder: Path) -> None:
    """Save the network if this epoch is the best: by validation loss on the source, validation AUC on the target.

    See `TrainingRun.best_by`.
    """
    by_loss = run.role == "source" or run.best_by == "loss"
    auc = f"validation_{run.outcomes[0]}_auc" if len(run.outcomes) == 1 else MEAN_AUC
    value = row["validation_loss"] if by_loss else row[auc]
    if state.best is not None and not (value < state.best if by_loss else value > state.best):
        return
    state.best_epoch, state.best = row["epoch"], value
    if is_first():
        card = make_card(network, tuple(run.targets), run.model_dump(mode="json"), run.lineage)
        save_model(folder / BEST, network, card)


def predict(run: TrainingRun, network: Network, cohort: Cohort, archive: Archive, place: torch.device) -> Predictions:
    """Scores of a network on the evaluation splits of its role: probabilities, or years for age."""
    parts = []
    for split in TEST_SPLITS[run.role]:
        part = cohort.select(role=run.role, split=split)
        if len(part) == 0:
            continue
        examples = all_examples(run, part, archive)
        truth, outputs = examples.truth, forward(network, examples, place)
        score = scores(outputs, run.targets).numpy()
        for column, target in enumerate(run.targets):
            table = Predictions(run.id, part.ecg_id, part.patient_id, split, target, truth[:, column], score[:, column])
            parts.append(table.rows(~np.isnan(table.truth)))
    return Predictions.concatenate(parts)
