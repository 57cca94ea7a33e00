"""precordial: from ECG files and registers to a transfer-learned infarction model and its evidence."""

__version__ = "0.1.0"
