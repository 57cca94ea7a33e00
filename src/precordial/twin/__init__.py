"""A synthetic hospital with a known truth: patients, visits, diagnoses and ECG files."""

from precordial.twin.heart import Infarctions
from precordial.twin.hospital import Hospital, make_hospital
from precordial.twin.shaped import PaperRegisters, make_paper_registers
from precordial.twin.signal import synthetic_ecgs

__all__ = [
    "Hospital",
    "Infarctions",
    "PaperRegisters",
    "make_hospital",
    "make_paper_registers",
    "synthetic_ecgs",
]
