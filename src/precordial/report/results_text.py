"""The key sentences of a results section."""

from __future__ import annotations

from collections.abc import Iterable

from precordial.report.material import Material
from precordial.report.prose import Part, todo
from precordial.report.sizes_figures import gains, learning
from precordial.report.summary import key_results
from precordial.report.tables import MANY, MODELS, PRETRAINING


def results(material: Material) -> Part:
    """What was found, in sentences; the main outcome's dependence on sizes among it."""
    outcomes = material.cohort.outcomes
    sentences = key_results(material.largest, outcomes, counts=material.counts)
    if len(outcomes) <= MANY:
        sentences += _of_the_target(material)
    sentences += _of_the_source(material)
    return Part("Results", (tuple(sentences), todo("what these numbers mean, and how they compare with other studies")))


def _of_the_target(material: Material) -> Iterable[str]:
    """With how little of the target how much is reached."""
    found = gains(material.rows, material.cohort.outcomes[0])
    if found is None:
        return
    task = PRETRAINING[found.task].lower()
    for model, pairs in found.models.items():
        (least, (without, after)), (most, (whole, best)) = (min(pairs.items()), max(pairs.items()))
        enough = [fraction for fraction, (_, pair) in pairs.items() if pair.value >= whole.value]
        reached = (
            f"; {100 * min(enough):g} % after pre-training do as well as {100 * most:g} % without" if enough else ""
        )
        yield (
            f"{MODELS.get(model, model)} by share of the target's training patients: at {100 * least:g} % AUC "
            f"{without.value:.3f} without and {after.value:.3f} with pre-training on {task}, at {100 * most:g} % "
            f"{whole.value:.3f} and {best.value:.3f}{reached}."
        )


def _of_the_source(material: Material) -> Iterable[str]:
    """How the error of the age falls with the source."""
    found = learning(material.rows)
    for model, values in (found.models.get("mae", {}) if found else {}).items():
        (least, few), (most, all_) = min(values.items()), max(values.items())
        yield (
            f"{MODELS.get(model, model)}: mean absolute error of age {few.value:.2f} years with {100 * least:g} % of "
            f"the source, {all_.value:.2f} with {100 * most:g} %."
        )
