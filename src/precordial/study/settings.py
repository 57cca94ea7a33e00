"""A study: one TOML file, read into strict settings."""

from __future__ import annotations

import difflib
import inspect
import tomllib
import typing
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from precordial.cohort import CohortSettings
from precordial.errors import SettingsError
from precordial.models.cropping import Cropping
from precordial.training.options import Augment, ClassWeights, TrackerName
from precordial.training.stages import Stage

_PAPERS_MODELS = ("cnn-20k", "rn-900k", "rn-7m", "rn-33m")  # so that a cohort can be built without torch


class Settings(BaseModel):
    """Frozen, strict, and no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _fraction(value: Any) -> str:
    """A share as its shortest exact decimal: 1.0, "1" and 1 are one share, and have one run id."""
    try:
        fraction = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise ValueError("must be a number above 0 and not above 1") from None
    if not 0 < fraction <= 1:
        raise ValueError("must be a number above 0 and not above 1")
    return str(float(fraction)) if fraction != 1 else "1"


def _model(value: Any) -> str:
    if value in _PAPERS_MODELS:
        return str(value)
    from precordial.models import MODELS, VARIANTS

    known = [*MODELS, *VARIANTS]
    if value not in known:
        near = difflib.get_close_matches(str(value), known, 1, 0.0)
        raise ValueError(f"there is no model {value!r}; the nearest is {near[0]!r} of {', '.join(known)}")
    return str(value)


def _plain_name(name: str) -> str:
    if not name.strip() or name in (".", "..") or "/" in name or "\\" in name or not name.isprintable():
        raise ValueError("must be a plain name, as of a file: not empty, and without slashes")
    return name


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


FractionText = Annotated[str, BeforeValidator(_fraction)]
ModelName = Annotated[str, BeforeValidator(_model)]
PlainName = Annotated[str, AfterValidator(_plain_name)]
PathText = Annotated[Path, Field(strict=False)]
T = typing.TypeVar("T")
Tuple = Annotated[tuple[T, ...], BeforeValidator(_tuple)]


class ArchiveSettings(Settings):
    """[archive]: where the ECGs are, and the files they come from.

    Attributes:
        path: folder of the archive; by default ``archive`` in the study's folder.
        sources: folders of ECG files to ingest; none: the archive must be there.
        rate: Hz of the archive, 500 or 100.
    """

    path: PathText | None = None
    sources: Tuple[PathText] = ()
    rate: Literal[500, 100] = 500


class GridSettings(Settings):
    """[[grid]]: trainings, as the product of its lists. Several grids add up; equal trainings are done once.

    Attributes:
        models: of `precordial models`.
        pretraining: "none" (from scratch), "age", "sex", "age-sex".
        source_fractions: shares of the source patients for pre-training.
        target_fractions: shares of the target's training patients; empty: pre-training only.
        outcomes: of the cohort's outcomes those that a network learns, all in one; names, or patterns such as
            ``statement:*``. By default all of them.
    """

    models: Tuple[ModelName] = Field(min_length=1)
    pretraining: Tuple[Literal["none", "age", "sex", "age-sex"]] = Field(
        ("none", "age", "sex", "age-sex"), min_length=1
    )
    source_fractions: Tuple[FractionText] = Field(("1",), min_length=1)
    target_fractions: Tuple[FractionText] = ("1",)
    outcomes: Tuple[str] = Field(("*",), min_length=1)


class StageLists(Settings):
    """[training.models.NAME]: stages that stand in for the paper's.

    Attributes:
        source: of pre-training.
        scratch: of training from scratch on the target.
        target: of fine-tuning.
        batch: ECGs in a step, for this model.
        crops: crops of a length and number of one's own, in all its trainings; by default rn-900k alone reads crops, of
            2.5 s.
    """

    source: Tuple[Stage] | None = Field(None, min_length=1)
    scratch: Tuple[Stage] | None = Field(None, min_length=1)
    target: Tuple[Stage] | None = Field(None, min_length=1)
    batch: int | None = Field(default=None, ge=2)
    crops: Cropping | None = None


class TrainingSettings(Settings):
    """[training]: settings of every training. See `precordial.training.TrainingRun`.

    Attributes:
        batch: ECGs in a step.
        schedule_per: "step" or "epoch"; by default as the rules say.
        crop_per: "ecg" or "batch"; by default as the rules say.
        age_bias: "zero" (the paper's) or "median".
        device: "auto", "cpu" or "cuda".
        precision: "fp32", "bf16", or "auto": bf16 where the GPU, or else the processor, multiplies it in hardware.
            What "auto" means is found where the study is first run, and kept in its folder (``precision.json``).
            Trainings in one precision are not continued or counted as done in the other.
        augment: how ECGs are changed in training, in stages that say nothing of their own.
        extra_inputs: what the head reads beside the ECG in trainings on the target: "age", "sex", or names of the
            cohort's inputs. Pre-trainings have the ECG alone.
        track: where metrics go beside metrics.jsonl.
        best_by: "paper" (validation loss in pre-training, AUC on the target) or "loss": which epoch is the best.
        patience: epochs without a better one after which a stage ends, for stages that say nothing of their own.
        ema: decay of a running mean of the weights, such as 0.999; by default there is none.
        clip_norm: longest gradient; by default gradients are not clipped.
        class_weights: "balanced", or weights of the positive examples by outcome, such as `{ AMI = 10.0 }`.
        label_smoothing: 0.1 makes 0.05 and 0.95 of no and yes.
        resident: whether the signals of a training set are kept on the GPU, or in memory, decompressed: true, false, or
            "auto", where that makes reading faster and half of the free memory suffices. It does not change results.
        cache_features: whether the features of a frozen body are computed once, for all epochs of its stage: "auto",
            where that gives the same training but for rounding, as with every model that draws no crops; true, also
            where crops are drawn, whose starts are then on a grid; or false.
        crop_grid: seconds between the starts of that grid.
        save_every: seconds between saved states within an epoch; there is one at the end of each epoch, too. It does
            not change results.
        models: stages per model, where they are not the paper's.
    """

    batch: int = Field(default=256, ge=2)
    schedule_per: Literal["step", "epoch"] | None = None
    crop_per: Literal["ecg", "batch"] | None = None
    age_bias: Literal["zero", "median"] = "zero"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "fp32"
    augment: Augment | None = None
    extra_inputs: Tuple[str] = ()
    track: Tuple[TrackerName] = ()
    best_by: Literal["paper", "loss"] = "paper"
    patience: int | None = Field(default=None, ge=1)
    ema: float | None = Field(default=None, gt=0, lt=1)
    clip_norm: float | None = Field(default=None, gt=0)
    class_weights: ClassWeights | None = None
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    resident: bool | Literal["auto"] = "auto"
    cache_features: bool | Literal["auto"] = "auto"
    crop_grid: float = Field(default=0.25, gt=0)
    save_every: float = Field(default=300.0, ge=0)
    models: dict[ModelName, StageLists] = Field(default_factory=dict)


class EvaluationSettings(Settings):
    """[evaluation]: intervals.

    Attributes:
        replicates: bootstrap resamples.
        level: of the intervals.
        resample: "patients" or "ecgs".
        seed: of the resampling.
        interval: "basic" (the paper's), "percentile" or "bca" of the bootstrap; "delong" for AUCs, and basic ones for
            other metrics.
        stratify: whether patients with an event, and those without, are drawn by themselves.
    """

    replicates: int = Field(default=1000, ge=10)
    level: float = Field(default=0.95, gt=0, lt=1)
    resample: Literal["patients", "ecgs"] = "patients"
    seed: int = 0
    interval: Literal["basic", "percentile", "bca", "delong"] = "basic"
    stratify: bool = False


class PrivacySettings(Settings):
    """[privacy]: what flow chart, tables and report may show.

    Attributes:
        smallest_cell: counts of patients, visits, ECGs and events from 1 to one below it are not shown, nor is what
            would tell them; 0 shows everything, 1 and 2 are refused, for they would hide nothing.
    """

    smallest_cell: int = Field(default=0, ge=0)

    @field_validator("smallest_cell")
    @classmethod
    def _hides(cls, smallest: int) -> int:
        if smallest in (1, 2):
            raise ValueError("must be 0, or at least 3: a count that is shown as < 2 is 1")
        return smallest


class Study(Settings):
    """A whole study.

    Attributes:
        name: of the study; it names its folder.
        rules: "paper", or "authors-code": the values of the authors' published code wherever it differs, in the
            archive, the cohort and the training. What the file sets itself wins over either.
        out: folder of everything the study makes; by default ``NAME-work`` beside the TOML file.
        seeds: one training of each kind per seed.
    """

    name: PlainName
    rules: Literal["paper", "authors-code"] = "paper"
    out: PathText | None = None
    seeds: Tuple[int] = Field((0,), min_length=1)
    archive: ArchiveSettings = ArchiveSettings()
    cohort: CohortSettings | None = None
    grid: Tuple[GridSettings] = ()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    privacy: PrivacySettings = PrivacySettings()

    @property
    def folder(self) -> Path:
        """Where everything the study makes goes."""
        assert self.out is not None  # load_study sets it
        return self.out

    @property
    def archive_path(self) -> Path:
        """Folder of the archive."""
        return self.archive.path or self.folder / "archive"


def load_study(path: str | Path, overrides: typing.Sequence[str] = ()) -> Study:
    """Read a study's TOML file.

    Paths in it are relative to the file.

    Args:
        path: the TOML file.
        overrides: changes such as ``training.batch=64`` or ``grid.0.models=["rn-7m"]``; the value is TOML,
            or a text where it is not.

    Raises:
        SettingsError: no such file, no TOML, an unknown key (with the nearest right one) or a wrong value.
    """
    path = Path(path)
    if not path.is_file():
        raise SettingsError("there is no such study file", file=path, remedy="give the path of a study's TOML file")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"this is not TOML: {error}", file=path, remedy="mend the line named") from None
    except UnicodeDecodeError:
        raise SettingsError("this is not TOML: it is not written in UTF-8", file=path, remedy="save it so") from None
    for override in overrides:
        _override(data, override)
    cohort = data.get("cohort")
    if isinstance(cohort, dict) and cohort.get("kind") == "registers" and "rules" in data:
        cohort.setdefault("rules", data["rules"])
    try:
        study = Study.model_validate(data)
    except ValidationError as error:
        raise _explain(error, data, path, overrides) from None
    return _resolve(study, path.resolve().parent)


def _resolve(study: Study, base: Path) -> Study:
    """The study with every path absolute."""
    archive = study.archive.model_copy(
        update={
            "path": None if study.archive.path is None else (base / study.archive.path).resolve(),
            "sources": tuple((base / source).resolve() for source in study.archive.sources),
        }
    )
    cohort = study.cohort and study.cohort.resolve(base)
    out = (base / (study.out or f"{study.name}-work")).resolve()
    return study.model_copy(update={"archive": archive, "cohort": cohort, "out": out})


def _override(data: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise SettingsError(f"--set {text} is not KEY=VALUE", remedy="write for example --set training.batch=64")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    *parents, last = key.split(".")
    place: Any = data
    try:
        for parent in parents:
            place = place[int(parent)] if isinstance(place, list) else place.setdefault(parent, {})
        place[int(last) if isinstance(place, list) else last] = parsed
    except (ValueError, IndexError, TypeError, AttributeError):
        raise SettingsError("there is no such place in the study", key=key, remedy="check the dotted key") from None


def _explain(
    error: ValidationError, data: dict[str, Any], path: Path, overrides: typing.Sequence[str]
) -> SettingsError:
    """The first fault as one line: dotted key, what is wrong, and the nearest right name."""
    # A key that is not known is the cause of one that is missing: it is named first.
    first = min(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    # A discriminated union adds its tag to the location; only what is in the file belongs in the key.
    parts: list[str] = []
    place: Any = data
    tagged = False
    for part in first["loc"]:
        if not tagged and isinstance(place, dict) and part in (place.get("kind"), place.get("scheme")):
            tagged = True  # a kind of cohort may be called as one of its keys: labels
            continue
        tagged = False
        try:
            place = place[part]
        except (KeyError, IndexError, TypeError):
            if first["type"] != "missing" or part != first["loc"][-1]:
                continue
        parts.append(str(part))
    key = ".".join(parts)
    problem = first["msg"].removeprefix("Value error, ")
    problem = problem[0].lower() + problem[1:]
    remedy = "see the reference of study files in docs/reference/study.md"
    if first["type"] == "extra_forbidden":
        problem = "there is no such key"
        near = difflib.get_close_matches(parts[-1], sorted(_known_keys(Study)), 1, 0.5)
        remedy = f"did you mean '{near[0]}'?" if near else remedy
    elif first["type"] == "missing":
        problem, remedy = "this key is missing", "add it"
    elif first["type"] == "too_short":
        problem, remedy = "this list is empty", "give at least one"
    elif first["type"] == "string_type":
        problem, remedy = "this must be a text", 'write it in quotes, such as "10"'
    elif first["type"] == "tuple_type":
        problem = "this must be a list"
    elif first["type"].startswith("union_tag"):
        key, problem = f"{key}.kind", 'it must be "registers" or "labels"'
    blamed = [override for override in overrides if key.startswith(override.partition("=")[0])]
    return SettingsError(problem, file=f"--set {blamed[0]}" if blamed else path, key=key, remedy=remedy)


def _known_keys(kind: Any, seen: set[Any] | None = None) -> set[str]:
    """Names of all fields of a settings class and of everything in it."""
    seen = set() if seen is None else seen
    names: set[str] = set()
    if inspect.isclass(kind) and issubclass(kind, BaseModel):
        if kind in seen:
            return names
        seen.add(kind)
        for name, field in kind.model_fields.items():
            names |= {name} | _known_keys(field.annotation, seen)
    for inner in typing.get_args(kind):
        names |= _known_keys(inner, seen)
    return names
