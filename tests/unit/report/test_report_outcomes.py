"""What the report says of each outcome: its definition, from the cohort's settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from precordial.cohort import RegistersSettings
from precordial.report.summary import outcome_notes
from small_cohort import small_cohort

REGISTERS: dict[str, Any] = {"complaint": ["chest pain"], "visits": {"file": "v.csv"}, "diagnoses": {"file": "d.csv"}}
AMI = "a diagnosis that begins with I21, from the day of arrival to 30 days after it"


def notes(*outcomes: dict[str, Any], **more: Any) -> list[tuple[str, str]]:
    given = REGISTERS | more | ({"outcomes": list(outcomes)} if outcomes else {})
    settings = RegistersSettings.model_validate(given)
    names = [outcome.name for outcome in settings.outcomes]
    return outcome_notes(replace(small_cohort(outcomes=names), settings=settings.model_dump(mode="json")))


def test_the_papers_outcome() -> None:
    window = ("Index ECG", "from 2 h before to 3 h after arrival")
    assert notes() == [("Outcome", f"AMI: {AMI}"), window]


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (
            {"codes": ["I21.4", "I22"], "exclude_codes": ["I22.8"], "from_days": 1, "days": 7, "registers": ["npr"]},
            "a diagnosis that begins with I21.4 or I22 and not with I22.8, of the registers npr, from day 1 to 7 "
            "days after arrival",
        ),
        (
            {"codes": ["I21"], "procedures": ["FNG", "FNC"], "death": "event", "death_causes": ["I2"]},
            "a diagnosis that begins with I21, a procedure that begins with FNG or FNC or death of a cause that begins "
            "with I2, from the day of arrival to 30 days after it",
        ),
        ({"codes": ["I21"], "death": "competing"}, f"{AMI}; unknown after a death before it"),
        ({"code_list": "ami-icd10"}, f"{AMI} (code list ami-icd10@1)"),
    ],
)
def test_other_outcomes(outcome: dict[str, Any], words: str) -> None:
    more = {"deaths": {"file": "x.csv"}, "procedures": {"file": "p.csv"}}
    columns = {"diagnoses": {"file": "d.csv", "columns": {"register": "source"}, "registers": ["npr", "local"]}}
    assert notes({"name": "X", **outcome}, **more, **columns)[0] == ("Outcome", f"X: {words}")


def test_several_outcomes_and_follow_up() -> None:
    found = notes(
        {"name": "AMI", "codes": ["I21"]},
        {"name": "UA", "codes": ["I20.0"]},
        follow_up={"complete_until": "2018-11-01", "incomplete": "unknown"},
    )
    assert [what for what, _ in found] == ["Outcome", "Outcome", "Index ECG", "Follow-up"]
    assert found[-1][1] == (
        "the registers cover the days until 2018-11-01; a visit without the outcome that has days beyond has an "
        "unknown outcome"
    )


def test_labels_come_from_a_table_or_a_public_set() -> None:
    cohort = small_cohort(outcomes=("MI", "NORM"))
    for settings, words in (
        ({"kind": "labels"}, "the label table"),
        ({"kind": "labels", "dataset": "ptb-xl"}, "the labels of ptb-xl"),
    ):
        assert outcome_notes(replace(cohort, settings=settings)) == [("Outcome", f"MI and NORM, from {words}")]
