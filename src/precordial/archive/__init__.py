"""Thousands of ECG files as one folder: memory-mapped signals, an index, and the rejects with their reasons."""

from precordial.archive.archive import Archive
from precordial.archive.copying import convert
from precordial.archive.intake import IngestSummary, ingest
from precordial.archive.verification import Verification, verify

__all__ = ["Archive", "IngestSummary", "Verification", "convert", "ingest", "verify"]
