"""A trained model at work on one ECG."""

from precordial.bedside.predictor import Predictor

__all__ = ["Predictor"]
