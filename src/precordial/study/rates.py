"""How fast a machine trains: rates by model, measured here or written down elsewhere."""

from __future__ import annotations

import json
import tomllib
from hashlib import blake2b
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from precordial.errors import SettingsError
from precordial.files import write_atomic
from precordial.study.plan import Plan
from precordial.study.settings import Study
from precordial.training import TrainingRun

CALIBRATION = "calibration.json"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ModelRates(_Strict):
    """ECG/s of one model.

    Attributes:
        train: of steps that train all of it.
        score: of scoring.
        head: of steps that train its head on a frozen body; where it is not known, that of `train`, which is slower.
    """

    train: float = Field(gt=0)
    score: float = Field(gt=0)
    head: float | None = Field(default=None, gt=0)


class EcgCounts(_Strict):
    """How many ECGs a cohort has that is not built, or not here."""

    source_train: int = Field(ge=0)
    source_validation: int = Field(ge=0)
    target_train: int = Field(ge=0)
    target_validation: int = Field(ge=0)
    target_test: int = Field(ge=0)


class RatesFile(_Strict):
    """A file of rates, TOML or JSON.

    Attributes:
        device: what they are of, in words.
        rates: by model.
        ecgs: of the cohort, where it is not built.
    """

    device: str = ""
    rates: dict[str, ModelRates]
    ecgs: EcgCounts | None = None


def read_rates(path: Path) -> RatesFile:
    """Read a file of rates.

    Raises:
        SettingsError: it is not there, not TOML or JSON, or has a wrong key or value.
    """
    remedy = "see 'precordial study plan' in docs/reference/commands.md"
    try:
        text = path.read_text(encoding="utf-8")
        return RatesFile.model_validate(json.loads(text) if path.suffix == ".json" else tomllib.loads(text))
    except FileNotFoundError:
        raise SettingsError("there is no such file of rates", file=path, remedy=remedy) from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        problem = first["msg"][0].lower() + first["msg"][1:]
        raise SettingsError(problem, file=path, key=key, remedy=remedy) from None
    except (ValueError, UnicodeDecodeError):
        raise SettingsError("this is neither TOML nor JSON", file=path, remedy=remedy) from None


def measure_rates(study: Study, plan: Plan) -> RatesFile:
    """The rates of this machine for a study's models, measured for some seconds each, and then kept in its folder."""
    from precordial.training.loop import find_device
    from precordial.training.provenance import library_versions, machine

    place = find_device(study.training.device)
    here: dict[str, Any] = {"machine": machine(place), "torch": library_versions()["torch"]}
    path, kept = study.folder / CALIBRATION, {}
    try:
        kept = json.loads(path.read_bytes())
    except (OSError, ValueError):
        kept = {}  # measured anew
    known = kept.setdefault(blake2b(json.dumps(here).encode(), digest_size=8).hexdigest(), here | {"rates": {}})[
        "rates"
    ]
    found = {}
    for model in dict.fromkeys(run.model for run in plan.runs):
        runs = [run for run in plan.runs if run.model == model]
        one = runs[0]
        key = f"{model}, {one.rate} Hz, {one.precision}, batch {one.batch}, crops {one.cropping}, {len(one.targets)}"
        if key not in known:
            known[key] = _measure(runs, place).model_dump(mode="json")
            write_atomic(path, json.dumps(kept, indent=1) + "\n")
        found[model] = ModelRates.model_validate(known[key])
    gpu = here["machine"].get("gpu", {}).get("name")
    return RatesFile(device=gpu or f"{here['machine']['processor']}, {here['machine']['threads']} threads", rates=found)


def _measure(runs: list[TrainingRun], place: Any) -> ModelRates:
    from precordial.training.calibrate import scoring_rate, training_rate

    whole = next((run for run in runs if run.stages[0].trains == "all"), runs[0])
    frozen = next(((run, stage) for run in runs for stage in run.stages if stage.trains == "head"), None)
    train = training_rate(whole, next((s for s in whole.stages if s.trains == "all"), whole.stages[-1]), place)
    head = training_rate(*frozen, place, cached=stores_features(*frozen)) if frozen else None
    return ModelRates(train=train, score=scoring_rate(whole, place), head=head)


def stores_features(run: TrainingRun, stage: Any) -> bool:
    """Whether a stage trains the head on features that are computed once, see `TrainingRun.cache_features`."""
    crops = run.cropping is not None or run.model.startswith("rn-900k")
    return bool(stage.body_is_fixed and (run.cache_features is True or (run.cache_features == "auto" and not crops)))
