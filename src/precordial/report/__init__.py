"""Tables of a study, as text and CSV, from its cohort and its results table; never loads torch."""

from precordial.report.characteristics import table_one, table_two
from precordial.report.table import Table, write_report
from precordial.report.tables import report_tables, table_four, table_sizes, table_three

__all__ = [
    "Table",
    "report_tables",
    "table_four",
    "table_one",
    "table_sizes",
    "table_three",
    "table_two",
    "write_report",
]
