"""Sample files of every format: a writer and an independent decoder each, one module a reader."""

from importlib import import_module

from ecg_samples.sample import Decoded, Sample
from precordial.formats import READERS

SAMPLES: dict[str, Sample] = {name: import_module(f"ecg_samples.{name.replace('-', '_')}").SAMPLE for name in READERS}

__all__ = ["SAMPLES", "Decoded", "Sample"]
