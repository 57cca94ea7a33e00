"""Commands of scores: what they are worth, and whether one run is better than another. They load no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from precordial.cli.app import app
from precordial.errors import PrecordialError

if TYPE_CHECKING:
    from precordial.evaluation.by_split import Options
    from precordial.evaluation.scores import ScoreColumns, Scores

Truth = Annotated[str, typer.Option(metavar="COLUMN", help="The truth: 1, 0, or empty where it is not known.")]
Score = Annotated[str, typer.Option(metavar="COLUMN", help="The model's score.")]
Ecg = Annotated[str | None, typer.Option(metavar="COLUMN", help="ECG ids [ecg_id, if there].")]
Patient = Annotated[str | None, typer.Option(metavar="COLUMN", help="Patient ids [patient_id, if there].")]
Split = Annotated[str | None, typer.Option(metavar="COLUMN", help="Splits [split, if there].")]
Target = Annotated[str | None, typer.Option(metavar="COLUMN", help="Outcomes [target, if there].")]
Scale = Annotated[Literal["probabilities", "logits", "ranks"], typer.Option("--scores", help="What the scores are.")]
Kind = Annotated[
    Literal["event", "binary", "regression"] | None, typer.Option(help="Of the targets, where their names do not tell.")
]
Interval = Annotated[
    Literal["basic", "percentile", "bca", "delong"] | None, typer.Option(help="Kind of interval [basic].")
]
Resample = Annotated[Literal["patients", "ecgs"] | None, typer.Option(help="What a resample draws [patients].")]
Stratify = Annotated[
    bool | None, typer.Option("--stratify/--no-stratify", help="Draw those with an event and those without apart [no].")
]
Replicates = Annotated[int | None, typer.Option(min=10, help="Bootstrap resamples [1000].")]
Level = Annotated[float | None, typer.Option(help="Confidence level [0.95].")]
Seed = Annotated[int | None, typer.Option(min=0, help="Of the resampling [0].")]
Below = Annotated[int, typer.Option("--suppress-below", min=0, help="Leave out what is of 1 to N − 1.")]
Out = Annotated[Path | None, typer.Option(metavar="FILE", help="Also write every number: .csv or .json.")]


@app.command()
def evaluate(
    predictions: Annotated[Path, typer.Argument(metavar="PREDICTIONS.csv", help="A truth and a score in each row.")],
    truth: Truth = "truth",
    score: Score = "score",
    ecg: Ecg = None,
    patient: Patient = None,
    split: Split = None,
    target: Target = None,
    group: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="A column whose values make subgroups; repeatable.")
    ] = None,
    scale: Scale = "probabilities",
    kind: Kind = None,
    threshold: Annotated[list[float] | None, typer.Option(help="Try this threshold; repeatable.")] = None,
    validation: Annotated[str, typer.Option(metavar="SPLIT", help="Where thresholds are found.")] = "validation",
    interval: Interval = None,
    resample: Resample = None,
    stratify: Stratify = None,
    replicates: Replicates = None,
    level: Level = None,
    seed: Seed = None,
    suppress_below: Below = 0,
    out: Out = None,
) -> None:
    """Print what any model's scores are worth, with the statistics of the report."""
    from precordial.evaluation.description import describe
    from precordial.evaluation.scores import ScoreColumns, read_scores
    from precordial.report.statistics import check_suffix, statistics_tables, write_statistics

    if out is not None:
        check_suffix(out)
    options = _options({}, interval, resample, stratify, replicates, level, seed)
    columns = ScoreColumns(truth, score, ecg, patient, split, target, tuple(group or ()))
    scores = read_scores(predictions, columns, scale=scale, kind=kind)
    found = describe(scores, options, thresholds=threshold or (), validation=validation, smallest=suppress_below)
    print("\n".join(table.text() for table in statistics_tables(found)))
    _explain([scores], options)
    if not (scores.table.split == validation).any():
        print(f"no split '{validation}': no thresholds or zones were fixed on it")
    if out is not None:
        write_statistics(out, found, {"file": predictions.name, "intervals": _about(options)})
        print(f"every number in {out}")


@app.command()
def compare(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN RUN...", help="Folders of runs, CSV files of predictions, or ids.")
    ],
    study: Annotated[
        Path | None, typer.Option(metavar="STUDY.toml", help="The study of the ids; its intervals are used.")
    ] = None,
    truth: Truth = "truth",
    score: Score = "score",
    ecg: Ecg = None,
    patient: Patient = None,
    split: Split = None,
    target: Target = None,
    scale: Scale = "probabilities",
    kind: Kind = None,
    interval: Interval = None,
    resample: Resample = None,
    stratify: Stratify = None,
    replicates: Replicates = None,
    level: Level = None,
    seed: Seed = None,
    suppress_below: Below = 0,
    out: Out = None,
) -> None:
    """Print the paired differences of the first run to the others, on the same ECGs, with p-values."""
    from precordial.evaluation.description import differences
    from precordial.evaluation.scores import ScoreColumns
    from precordial.report.statistics import check_suffix, comparison_tables, write_statistics
    from precordial.study.settings import load_study

    if out is not None:
        check_suffix(out)
    if len(runs) < 2:
        raise PrecordialError("one run alone cannot be compared", remedy="name two or more")
    settings = None if study is None else load_study(study)
    given = {} if settings is None else settings.evaluation.model_dump()
    options = _options(given, interval, resample, stratify, replicates, level, seed)
    columns = ScoreColumns(truth, score, ecg, patient, split, target)
    tables = [_run(name, None if settings is None else settings.folder, columns, scale, kind) for name in runs]
    smallest = max(suppress_below, 0 if settings is None else settings.privacy.smallest_cell)
    found = differences(tables, options, smallest=smallest)
    print("\n".join(table.text() for table in comparison_tables(found)))
    _explain(tables, options)
    print("p: of AUCs DeLong's paired test, else the bootstrap's; Holm's correction is over the runs compared")
    if out is not None:
        write_statistics(out, found, {"runs": [table.name for table in tables], "intervals": _about(options)})
        print(f"every number in {out}")


def _options(
    given: dict[str, Any],
    interval: str | None,
    resample: str | None,
    stratify: bool | None,
    replicates: int | None,
    level: float | None,
    seed: int | None,
) -> Options:
    """What a study says of intervals, and what the command line says otherwise."""
    from precordial.evaluation.by_split import Options

    said = {
        "interval": interval,
        "resample": resample,
        "stratify": stratify,
        "replicates": replicates,
        "level": level,
        "seed": seed,
    }
    options = Options(**(given | {name: value for name, value in said.items() if value is not None}))
    if not 0 < options.level < 1:
        raise PrecordialError(f"--level {options.level:g} is not between 0 and 1", remedy="write 0.95 for 95 %")
    return options


def _run(name: str, folder: Path | None, columns: ScoreColumns, scale: Any, kind: Any) -> Scores:
    """The scores of a run: of a CSV file, of a run's folder, or of an id in a study, or its beginning."""
    from dataclasses import replace

    from precordial.evaluation import CROSS_VALIDATED
    from precordial.evaluation.scores import ScoreColumns, read_scores
    from precordial.training.layout import PREDICTIONS

    path = Path(name)
    if path.is_file():
        return read_scores(path, columns, scale=scale, kind=kind)
    if not path.is_dir() and folder is not None:
        found = sorted(one for one in (folder / "runs").glob("*") if one.is_dir() and one.name.startswith(name))
        if len(found) != 1:
            what = f"{len(found) or 'no'} run{'s' * (len(found) != 1)} whose id begins with '{name}'"
            raise PrecordialError(what, file=folder / "runs", remedy="give the id of one; study status prints them")
        path = found[0]
    if not path.is_dir():
        raise PrecordialError(
            f"'{name}' is no folder of a run and no file", remedy="for ids, name their study with --study STUDY.toml"
        )
    files = [path / file for file in (CROSS_VALIDATED, PREDICTIONS) if (path / file).is_file()]
    if not files:
        raise PrecordialError("this run has no predictions yet", file=path, remedy="wait until it is done")
    return replace(read_scores(files[0], ScoreColumns(), kind=kind), name=path.name)


def _explain(tables: list[Scores], options: Options) -> None:
    """Say how the intervals were made, and what was left out."""
    drawn = "patients" if options.resample == "patients" and all(t.has_patients for t in tables) else "ECGs"
    strata = ", with and without an event apart" if options.stratify else ""
    resamples = f"{options.replicates} resamples of {drawn}{strata}"
    kind = "DeLong's for AUCs, else basic" if options.interval == "delong" else options.interval
    print(f"intervals: {kind} bootstrap, {resamples}, seed {options.seed}; of other statistics see the method notes")
    for table in tables:
        if not table.has_patients:
            print(f"{table.name}: no patient ids, each ECG counts as a patient of its own")
        if table.without_truth:
            print(f"{table.name}: {table.without_truth:,} rows without a truth were left out")


def _about(options: Options) -> dict[str, Any]:
    return {name: value for name, value in vars(options).items() if name != "kinds"}
