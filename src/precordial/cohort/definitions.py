"""The parts of [cohort] that say who is eligible, what the outcome is, and how long patients are followed."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from precordial.cohort.code_lists import load_code_list
from precordial.registers.settings import Strict, Words

Day = Annotated[date, Field(strict=False)]  # a TOML date, or a text such as "2018-11-01"
Position = Literal["any", "main"]
PAPER_CODES = ("I21",)  # acute myocardial infarction
PAPER_DAYS = 30


class Eligibility(Strict):
    """[cohort.eligibility]: which visits take part. By default, as in the paper, all that have the complaint.

    Attributes:
        min_age, max_age: completed years at the index ECG, both included; of unknown age nobody is taken then.
        sites: values of the visits' site column that take part.
        first_day, last_day: of arrival, both included.
        visits: "all"; "first", the patient's first eligible one; or "first-with-ecg", the first with an index ECG.
        washout_days: a visit is left out if one of `washout_codes` is dated so many days or fewer before the day of
            arrival, that day not included.
        washout_codes: prefixes; by default the codes of the main outcome.
    """

    min_age: float | None = Field(None, ge=0)
    max_age: float | None = Field(None, ge=0)
    sites: Words | None = None
    first_day: Day | None = None
    last_day: Day | None = None
    visits: Literal["all", "first", "first-with-ecg"] = "all"
    washout_days: int | None = Field(None, ge=1)
    washout_codes: Words | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_age is not None and self.max_age is not None and self.min_age > self.max_age:
            raise ValueError("min_age is above max_age")
        if self.first_day is not None and self.last_day is not None and self.first_day > self.last_day:
            raise ValueError("first_day is after last_day")
        if self.washout_codes is not None and self.washout_days is None:
            raise ValueError("washout_codes are given, but washout_days does not say how far back they count")
        return self


class Outcome(Strict):
    """[[cohort.outcomes]]: something that happens to a patient within some days of arrival.

    Attributes:
        name: of the outcome, as tables and figures show it.
        codes: prefixes of diagnoses that are the outcome.
        code_list: a list that comes with precordial, such as "ami-icd10"; see `precordial cohort codes`. Its codes,
            exclusions and procedures are added to those given here.
        exclude_codes: prefixes of diagnoses that are not, though one of `codes` fits.
        procedures: prefixes of procedures that are the outcome too.
        position: "any", or "main": diagnoses in the main position alone.
        registers: values of the diagnoses' register column that count; by default those of [cohort.diagnoses].
        from_days, days: the event is dated from so many to so many days after the day of arrival, both included.
        death: within these days and before any event: "ignore" (the label is 0), "competing" (the label is unknown),
            or "event" (death is part of the outcome).
        death_causes: prefixes of the causes of death that make it an event; by default any death does.
    """

    name: str
    codes: Words | None = None
    code_list: str | None = None
    exclude_codes: Annotated[tuple[str, ...], Field(strict=False)] = ()
    procedures: Annotated[tuple[str, ...], Field(strict=False)] = ()
    position: Position = "any"
    registers: Words | None = None
    from_days: int = Field(0, ge=0)
    days: int = Field(PAPER_DAYS, ge=0)
    death: Literal["ignore", "competing", "event"] = "ignore"
    death_causes: Words | None = None

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not name.strip() or not name.isprintable() or name != name.strip() or name in ("age", "sex"):
            raise ValueError('must be a plain name such as "AMI", and not "age" or "sex"')
        return name

    @field_validator("codes", "exclude_codes", "procedures", "death_causes")
    @classmethod
    def _no_empty_prefix(cls, codes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if any(not code.strip(" .") for code in codes or ()):
            raise ValueError("an empty prefix would take in every code")
        return codes

    @field_validator("code_list")
    @classmethod
    def _with_version(cls, name: str | None) -> str | None:
        # With its version, which the cohort's manifest keeps: a newer list must not change an old study unseen.
        return None if name is None else load_code_list(name).full_name

    @model_validator(mode="after")
    def _something_counts(self) -> Self:
        if self.from_days > self.days:
            raise ValueError("from_days is above days")
        if not self.all_codes and not self.all_procedures and self.death != "event":
            raise ValueError('name codes, a code_list or procedures, or set death = "event"')
        if self.death_causes is not None and self.death != "event":
            raise ValueError('death_causes go with death = "event"')
        return self

    @property
    def all_codes(self) -> tuple[str, ...]:
        """Prefixes of diagnoses, those of the code list among them."""
        return (*(self.codes or ()), *(load_code_list(self.code_list).codes if self.code_list else ()))

    @property
    def all_exclusions(self) -> tuple[str, ...]:
        """Prefixes that are not the outcome, those of the code list among them."""
        return (*self.exclude_codes, *(load_code_list(self.code_list).exclude if self.code_list else ()))

    @property
    def all_procedures(self) -> tuple[str, ...]:
        """Prefixes of procedures, those of the code list among them."""
        return (*self.procedures, *(load_code_list(self.code_list).procedures if self.code_list else ()))


class FollowUp(Strict):
    """[cohort.follow_up]: until when events would be in the registers.

    Attributes:
        complete_until: the last day that the registers cover; by default the last day that stands in the diagnoses.
        incomplete: what becomes of a visit without event whose days are not all covered, because the registers end or
            the patient has left: "keep" (the label is 0, and they are counted) or "unknown" (the label is empty).
    """

    complete_until: Day | None = None
    incomplete: Literal["keep", "unknown"] = "keep"


PAPER_OUTCOMES = (Outcome(name="AMI", codes=PAPER_CODES, days=PAPER_DAYS),)
