"""ECG files, each read into an `Ecg`; the reader is picked by the file's content, never by its name."""

from precordial.formats.read import READERS, find_reader, read_ecg
from precordial.formats.reader import Reader, Several

__all__ = ["READERS", "Reader", "Several", "find_reader", "read_ecg"]
