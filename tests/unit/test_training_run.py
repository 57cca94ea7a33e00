"""Ids of runs: what decides a result is in them, and what a later version adds changes none that does not use it."""

from __future__ import annotations

import pytest

from precordial.training import Stage, TrainingRun, source_stages, target_stages

PARENT = TrainingRun(model="rn-900k", role="source", task="age", stages=source_stages("rn-900k"))
CHILD = TrainingRun(
    model="rn-900k",
    role="target",
    task="label",
    stages=target_stages("rn-900k", "age"),
    parent=PARENT,
    head="target",
    fold="1",
    outcomes=("a", "b"),
)


def test_ids_are_those_of_the_first_version() -> None:
    """As they were before ids left anything out; another id would train a finished study again."""
    assert (PARENT.id, CHILD.id) == ("c9a7327a6c7c", "3a6e14f6fdf8")


def test_a_new_setting_counts_only_where_it_is_used() -> None:
    class Later(TrainingRun):
        ideas: tuple[str, ...] = ()

    later = Later.model_validate(PARENT.model_dump())
    assert later.id == PARENT.id
    assert later.model_copy(update={"ideas": ("one",)}).id != PARENT.id
    assert CHILD.model_copy(update={"parent": later}).id == CHILD.id
    assert CHILD.model_copy(update={"parent": later.model_copy(update={"ideas": ("one",)})}).id != CHILD.id


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"batch": 128}, {"precision": "bf16"}, {"fold": None}, {"stages": (Stage(epochs=1, peak=1e-3),)}],
    ids=lambda change: next(iter(change)),
)
def test_what_decides_a_result_is_in_the_id(change: dict[str, object]) -> None:
    assert CHILD.model_copy(update=change).id != CHILD.id
