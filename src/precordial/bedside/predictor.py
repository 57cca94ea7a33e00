"""Scoring one ECG with the model of a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import torch

from precordial.ecg import Ecg, normalise
from precordial.errors import ModelError
from precordial.models import ModelCard, Network, load_model
from precordial.training.objectives import scores
from precordial.training.state import BEST


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

    def score(self, ecg: Ecg) -> dict[str, float]:
        """What the model says of one ECG, by target: a probability, or years for age.

        The ECG is brought to the model's leads, rate and length as at ingest (see `precordial.ecg.normalise`).

        Raises:
            UnusableEcg: a lead is missing or flat, or the recording is too short.
        """
        spec = self.card.spec
        signal = normalise(ecg, rate=spec.rate, samples=spec.samples).signal
        targets = dict.fromkeys(self.card.targets, 1.0)
        with torch.inference_mode():
            outputs = self.network(spec.prepare(torch.from_numpy(signal)[None]))
        values = scores(outputs, targets)[0].tolist()
        return dict(zip(self.card.targets, values, strict=True))
