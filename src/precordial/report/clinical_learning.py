"""How many ECGs are needed: the learning curves of one model, from its trainings at all target fractions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from precordial.cohort import Cohort, fold_names, named_fold
from precordial.evaluation import Row
from precordial.evaluation.estimate import Estimate
from precordial.evaluation.influence import covariance, measured_auc
from precordial.evaluation.learning import LearningCurve, Saved, ecgs_needed, ecgs_saved, learning_curves
from precordial.evaluation.metrics import Floats
from precordial.report.clinical_data import BOTH, Reading, Source
from precordial.report.clinical_figures import Line, learning_figure
from precordial.report.clinical_part import Chapter, Drawing, Part
from precordial.report.table import Table, grouped
from precordial.report.tables import TRAINED, at_largest

WITHOUT, WITH = "scratch", "finetune"


@dataclass(frozen=True, eq=False)
class Learned:
    """The learning curves with ("finetune") and without ("scratch") pre-training, or why there is none.

    Attributes:
        curves: kind → curve, or the reason.
        saved: what pre-training saves; None where a curve is missing.
        split: the test set.
        level: of the intervals.
    """

    curves: Mapping[str, LearningCurve | str]
    saved: Saved | None
    split: str
    level: float


def learned(this: Chapter, cohort: Cohort, rows: Sequence[Row], predictions: Source) -> Learned | None:
    """Fit the curves of the model that is read; None where the study has one target fraction only.

    All seeds take part. The covariance of the AUCs is that of one test set, seen by all.

    Args:
        this: the outcome's chapter.
        cohort, rows, predictions: see `precordial.report.clinical_data.read`.
    """
    reading = this.reading
    best = reading.runs[0]
    of = [row for row in rows if row.target == reading.outcome and row.metric == "auc" and row.kind in TRAINED]
    of = [row for row in of if row.model == best.model and row.split == reading.main and not math.isnan(row.value)]
    of = [row for row in of if row.kind == WITHOUT or row.pretraining == best.pretraining]
    of, _ = at_largest(of, target=False)
    if len({row.target_fraction for row in of}) < 2:
        return None
    scores = _scores(of, reading, predictions)
    of = [row for row in of if not np.isnan(scores[row.run]).any()]  # all on the same ECGs
    fold = next(iter(fold_names(cohort)), None)
    one = cohort if fold is None else named_fold(cohort, fold)
    sizes = _sizes(one, {row.target_fraction for row in of}, reading, rounded=bool(this.smallest))
    series: dict[str, list[Row]] = {
        kind: sorted((row for row in of if row.kind == kind), key=lambda row: (row.target_fraction or 1, row.seed))
        for kind in (WITHOUT, WITH)
        if any(row.kind == kind for row in of)
    }
    part = reading.splits[reading.main]
    measured = [measured_auc(part.truth, scores[row.run]) for those in series.values() for row in those]
    points: dict[str, tuple[Floats, Floats]] = {}
    start = 0
    for kind, those in series.items():
        values = np.array([one.value for one in measured[start : start + len(those)]])
        points[kind] = np.array([sizes[row.target_fraction] for row in those], np.float64), values
        start += len(those)
    among = covariance(measured, part.patients)
    how = this.evaluation
    curves = learning_curves(points, among, replicates=how.replicates, level=how.level, seed=how.seed)
    scratch, tuned = curves.get(WITHOUT), curves.get(WITH)
    saved = (
        ecgs_saved(scratch, tuned) if isinstance(scratch, LearningCurve) and isinstance(tuned, LearningCurve) else None
    )
    return Learned(curves, saved, reading.main, how.level)


def learning_part(this: Chapter, cohort: Cohort, rows: Sequence[Row], predictions: Source) -> Part | None:
    """The learning curves."""
    found = learned(this, cohort, rows, predictions)
    title = "How many ECGs are needed?"
    if found is None:
        return None
    names = {WITH: "With pre-training", WITHOUT: "From scratch"}
    series = {WITH: this.reading.runs[0].pretraining, WITHOUT: "none"}
    curves = {kind: curve for kind, curve in found.curves.items() if isinstance(curve, LearningCurve)}
    refused = [f"{names[kind]}: no curve, {why}." for kind, why in found.curves.items() if isinstance(why, str)]
    text = (
        "An inverse power law, fitted to the AUCs of trainings on shares of the target's training patients. "
        f"{saved_text(found)} {' '.join(refused)}"
    )
    text += " Beyond ten times the largest size no number is given, nor where the law is not identified."
    tables = {f"learning{this.suffix}": table_laws(found, names)}
    drawings = []
    if curves:
        tables[f"ecgs-needed{this.suffix}"] = table_needed(found, names)
        drawn = {kind: (Line(names[kind], series[kind]), curve) for kind, curve in curves.items()}
        drawings.append(
            Drawing(
                f"learning{this.suffix}",
                learning_figure(drawn, found.saved),
                "Learning curves; numbers in the tables below.",
                f"AUC on {this.where} by the number of ECGs trained on, with intervals of each training, the fitted "
                f"curve and its {100 * this.level:g} % band; dashed beyond the sizes tried. The arrow is what "
                "pre-training saves.",
            )
        )
    return this.part("learning", title, text, tables=tables, drawings=drawings)


def _scores(rows: Sequence[Row], reading: Reading, predictions: Source) -> dict[str, Floats]:
    """The scores of each run, in the order of the reading's main test set; NaN for an ECG that a run has not scored."""
    splits = BOTH if reading.main == "combined_test" else (reading.main,)
    table = predictions(list(dict.fromkeys(row.run for row in rows)), reading.outcome)
    table = table.rows(np.isin(table.split, splits) & ~np.isnan(table.truth))
    found: dict[str, dict[str, float]] = {row.run: {} for row in rows}
    for run, ecg, score in zip(table.run.tolist(), table.ecg_id.tolist(), table.score.tolist(), strict=True):
        found[run][ecg] = score
    order = reading.splits[reading.main].ecg_id.tolist()
    return {run: np.array([of.get(ecg, math.nan) for ecg in order], np.float64) for run, of in found.items()}


def _sizes(
    cohort: Cohort, fractions: set[float | None], reading: Reading, *, rounded: bool
) -> dict[float | None, float]:
    """ECGs of the target that a training at each fraction learns the outcome from; to two digits where rounded."""
    found: dict[float | None, float] = {}
    for fraction in fractions:
        part = cohort.select(role="target", split="train", fraction=str(fraction or 1))
        n = int((~np.isnan(part.labels[reading.outcome])).sum())
        found[fraction] = float(f"{n:.1e}") if rounded else n
    return found


def table_needed(found: Learned, names: Mapping[str, str]) -> Table:
    """ECGs needed for round AUCs, and what pre-training saves.

    Args:
        found: the curves.
        names: kind → name to print.
    """
    curves = {kind: curve for kind, curve in found.curves.items() if isinstance(curve, LearningCurve)}
    values = [value for curve in curves.values() for value in curve.at([curve.sizes.min(), curve.farthest])[0]]
    first, last = math.ceil(50 * min(values)), math.floor(50 * max(values))
    lines = []
    for step in range(first, last + 1):
        auc = step / 50
        cells = [_sizes_text(ecgs_needed(curve, auc), curve) for curve in curves.values()]
        lines.append((f"{auc:.2f}", *cells))
    title = f"ECGs of the target needed for an AUC, {100 * found.level:g} % interval"
    return Table(title, ("AUC", *(names[kind] for kind in curves)), tuple(lines))


def table_laws(found: Learned, names: Mapping[str, str]) -> Table:
    """The fitted numbers."""
    lines: list[tuple[str, ...]] = []
    for kind, curve in found.curves.items():
        if isinstance(curve, str):
            lines.append((names[kind], "–", "–", "–", f"not fitted: {curve}"))
            continue
        tails = [(1 - curve.level) / 2, (1 + curve.level) / 2]
        ends = np.quantile(curve.drawn, tails, axis=0)
        a, b, c = (f"{value:.3g} ({low:.3g} to {high:.3g})" for value, low, high in zip(curve.law, *ends, strict=True))
        # An interval of b alone says nothing, for it goes with c; and neither does c where nothing rises.
        cells = (a, b.split()[0], c) if curve.law[1] > 0 else (a, "0", "–")
        lines.append((names[kind], *cells, curve.why_not or "yes"))
    header = ("AUC = a − b · n^−c", "a", "b", "c", "Identified beyond the sizes tried")
    return Table(f"Fitted learning curves, {100 * found.level:g} % interval", header, tuple(lines))


def saved_text(found: Learned) -> str:
    """What pre-training saves, in a sentence; empty where it cannot be told."""
    saved, tuned = found.saved, found.curves.get(WITH)
    if saved is None or not isinstance(tuned, LearningCurve):
        return ""
    reached = f"With {grouped(round(saved.size))} ECGs, training from scratch reaches an AUC of {saved.auc}"
    if math.isinf(saved.needed.value):
        return (
            f"{reached}; the curve with pre-training does not reach that within {grouped(round(tuned.farthest))} ECGs."
        )
    needed = _sizes_text(saved.needed, tuned)
    share = 100 * saved.saved.value / saved.size
    what = f"that is {share:.0f} % fewer" if share > 0 else "no fewer"
    return f"{reached}. With pre-training this takes {needed} ECGs; {what}."


def _sizes_text(needed: Estimate, curve: LearningCurve) -> str:
    """A number of ECGs with its interval, open where the curve says no more."""

    def one(value: float) -> str:
        if math.isinf(value):
            return f"> {grouped(round(curve.farthest))}"
        return f"≤ {grouped(round(value))}" if value <= curve.sizes.min() else grouped(round(value))

    return (
        one(needed.value)
        if needed.low == needed.high
        else f"{one(needed.value)} ({one(needed.low)} to {one(needed.high)})"
    )
