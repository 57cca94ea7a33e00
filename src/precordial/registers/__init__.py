"""Register extracts as tables with our column names, dates and ids; every error names file, row and column."""

from precordial.registers.tables import Kind, read_table

__all__ = ["Kind", "read_table"]
