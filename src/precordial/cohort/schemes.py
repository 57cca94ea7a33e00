"""The table [cohort.split]: how the target's patients are divided."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from precordial.cohort.definitions import Day
from precordial.registers.settings import Strict, Words

Values = Annotated[tuple[str, ...], Field(strict=False)]


class _Temporal(Strict):
    temporal_from: Day | None = None


class PaperSplit(_Temporal):
    """The paper's: the newest visits, then random patients.

    Attributes:
        temporal_from: the temporal test is every visit from this day on, in place of a share of the patients.
            `random_test` and `validation` stay shares of what `temporal_test` leaves.
    """

    scheme: Literal["paper"] = "paper"


class FoldSplit(_Temporal):
    """Cross-validation: patients are dealt to folds, and each fold is tested once. A temporal test is kept apart first.

    `random_test` has no part in it. In each fold int(validation · n) of its n other patients are validation.

    Attributes:
        folds: how many.
        temporal_from: as in the paper's scheme.
    """

    scheme: Literal["k-fold"]
    folds: int = Field(5, ge=2)


class SiteSplit(_Temporal):
    """Leave one site out: each site is tested once, by models that have seen no target patient who was ever there.

    `random_test` has no part in it, and `validation` is as in "k-fold".

    Attributes:
        sites: values of the site column, each of them a fold; visits to other sites are never tested.
        temporal_from: as in the paper's scheme.
    """

    scheme: Literal["sites"]
    sites: Words

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.sites)) != len(self.sites):
            raise ValueError("a site is named twice")
        return self


class ColumnSplit(Strict):
    """A split that is given, such as PTB-XL's folds.

    Attributes:
        train, validation, random_test, temporal_test: values of the column that is mapped as `fold` (a public set's own
            table has it); rows with any other are left out and counted.
    """

    scheme: Literal["column"]
    train: Values = Field(min_length=1)
    validation: Values = Field(min_length=1)
    random_test: Values = ()
    temporal_test: Values = ()

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        named = (*self.train, *self.validation, *self.random_test, *self.temporal_test)
        if len(set(named)) != len(named):
            raise ValueError("a value is named for two splits")
        return self


SplitSettings = Annotated[PaperSplit | FoldSplit | SiteSplit | ColumnSplit, Field(discriminator="scheme")]
