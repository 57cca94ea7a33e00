"""Scoring one ECG with the model of a finished run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import torch

from precordial.ecg import Ecg, normalise
from precordial.errors import ModelError
from precordial.models import ModelCard, Network, load_model
from precordial.training.layout import BEST
from precordial.training.objectives import scores


class Predictor:
    """A trained model with everything it needs to read an ECG.

    Args:
        network: the model.
        card: what it is, what it predicts and how ECGs become its input.
    """

    def __init__(self, network: Network, card: ModelCard) -> None:
        self.network, self.card = network.eval(), card

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Load a finished run's folder, or a model file.

        Raises:
            ModelError: there is no model, or it is damaged.
        """
        path = Path(path)
        if path.is_dir():
            if not (path / BEST).exists():
                raise ModelError("this folder holds no trained model", file=path, remedy="give the folder of a run")
            path = path / BEST
        return cls(*load_model(path))

    def score(self, ecg: Ecg, extra: Mapping[str, float | None] | None = None) -> dict[str, float]:
        """What the model says of one ECG, by target: a probability, or years for age.

        The ECG is brought to the model's leads, rate and length as at ingest (see `precordial.ecg.normalise`).

        Args:
            ecg: the recording. What its file says of age and sex is not used.
            extra: the values beside the ECG that the model was trained with (`card.extra_inputs`), such as
                ``{"age": 63, "sex": 1}``: years at the ECG, and 1 for female. None says that one is unknown.

        Raises:
            UnusableEcg: a lead is missing or flat, or the recording is too short.
            ModelError: a value is missing that the model needs, or given that it does not read.
        """
        beside = self._beside(extra or {})
        spec = self.card.spec
        signal = normalise(ecg, rate=spec.rate, samples=spec.samples).signal
        targets = dict.fromkeys(self.card.targets, 1.0)
        with torch.inference_mode():
            outputs = self.network(spec.prepare(torch.from_numpy(signal)[None]), beside)
        values = scores(outputs, targets)[0].tolist()
        return dict(zip(self.card.targets, values, strict=True))

    def _beside(self, extra: Mapping[str, float | None]) -> torch.Tensor | None:
        needed = self.card.extra_inputs
        if missing := [name for name in needed if name not in extra]:
            example = ", ".join(f'"{name}": …' for name in needed)
            raise ModelError(
                f"this model also reads {', '.join(needed)}, and {missing[0]} is not given",
                remedy=f"score(ecg, {{{example}}}); None says that a value is unknown",
            )
        if surplus := sorted(extra.keys() - set(needed)):
            raise ModelError(
                f"this model does not read {surplus[0]}", remedy=f"give {', '.join(needed) or 'the ECG alone'}"
            )
        values = [extra[name] for name in needed]
        for name, value in zip(needed, values, strict=True):
            if value is not None and not math.isfinite(value):
                raise ModelError(f"{name} is not a number", remedy="give None if it is unknown")
        return torch.tensor([[math.nan if value is None else value for value in values]]) if needed else None
