"""A study's plan and its state as tables and sentences, for the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from precordial.report.table import Table, grouped

if TYPE_CHECKING:
    from precordial.study import RunStatus
    from precordial.study.forecast import Forecast

GB = 1e9


def plan_table(forecast: Forecast) -> Table:
    """The trainings by model, with the hours that those which are not finished take."""
    from precordial.study.estimate import by_model

    hours = forecast.hours.models if forecast.hours else {}
    rows = [
        (model, *map(str, counts), f"{hours.get(model, 0.0):,.1f}" if forecast.hours else "")
        for model, counts in by_model(forecast.plan).items()
    ]
    header = ("Model", "Pre-trainings", "From scratch", "Fine-tunings", "Hours left")
    return Table(f"Trainings of study {forecast.study.name}", header, tuple(rows))


def plan_lines(forecast: Forecast) -> list[str]:
    """The sum of the trainings, and what is done, hours and disk, each as a line."""
    plan, study = forecast.plan, forecast.study
    lines = [
        f"{study.name}: {_several(plan.count('pretrain'), 'pre-training')}, "
        f"{_several(plan.count('scratch'), 'training')} from scratch, "
        f"{_several(plan.count('finetune'), 'fine-tuning')}; {_several(len(plan.runs), 'training')} in all, "
        f"{sum(run.epochs for run in plan.runs):,} epochs, seeds {', '.join(map(str, study.seeds))}",
        f"done: {forecast.done} of {len(plan.runs)}",
    ]
    if forecast.disk is None:
        lines.append("hours and disk: build the cohort first (precordial cohort build), or give its size with --rates")
        return lines
    if forecast.hours is not None and forecast.rates is not None:
        hours, longest = forecast.hours.hours, forecast.hours.longest
        lines.append(
            f"hours left: {_hours(hours)} on one device such as {forecast.rates.device or 'that of the rates'}, "
            f"one training after the other; at least {_hours(longest)} on any number"
        )
    elif forecast.done < len(plan.runs):
        lines.append("hours left: not measured; leave out --no-calibrate, or give --rates")
    room = forecast.disk
    lines.append(
        f"disk: {_size(room.models)} of models, {_size(room.predictions)} of predictions; "
        f"{_size(room.states)} more for each training at work"
    )
    return lines


def status_table(rows: Sequence[RunStatus]) -> Table:
    """Every training: its state, who is at it, why it has failed, how far and how fast it is."""
    header = ("Run", "Kind", "State", "Epochs", "ECG/s", "Left", "Training", "By whom, or why not")
    lines = [
        (
            row.run.id,
            row.run.kind,
            row.state,
            f"{row.epochs}/{row.run.epochs}",
            "" if row.rate is None else f"{row.rate:,.0f}",
            "" if row.seconds is None else _hours(row.seconds / 3600),
            row.run.describe(),
            row.by or row.reason,
        )
        for row in rows
    ]
    return Table("Trainings", header, tuple(lines))


def _several(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _hours(hours: float) -> str:
    """Hours in words for people.

    >>> _hours(0.003), _hours(0.05), _hours(3.21), _hours(1234.5)
    ('11 s', '3 min', '3.2 h', '1 234 h')
    """
    if hours < 1 / 40:
        return f"{hours * 3600:.0f} s"
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.1f} h" if hours < 100 else f"{grouped(round(hours))} h"


def _size(count: float) -> str:
    """Bytes for people.

    >>> _size(1_234), _size(12_345_678), _size(5.43e9)
    ('1 kB', '12 MB', '5.4 GB')
    """
    if count < 1e6:
        return f"{count / 1e3:.0f} kB"
    return f"{count / 1e6:.0f} MB" if count < GB else f"{count / GB:.1f} GB"
