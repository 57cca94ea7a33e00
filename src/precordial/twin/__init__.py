"""A synthetic hospital with a known truth: patients, visits, diagnoses and ECG files."""

from precordial.twin.heart import Infarctions
from precordial.twin.hospital import Hospital, make_hospital
from precordial.twin.signal import synthetic_ecgs

__all__ = ["Hospital", "Infarctions", "make_hospital", "synthetic_ecgs"]
