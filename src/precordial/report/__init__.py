"""The report of a study, from its cohort, results and predictions; never loads torch.

Tables are here; the page is `precordial.report.html.write_html`, which loads matplotlib and is imported where it is
called.
"""

from precordial.report.table import Table, write_report
from precordial.report.table_one import table_one, table_two
from precordial.report.tables import results_tables, table_four, table_outcomes, table_sizes, table_three

__all__ = [
    "Table",
    "results_tables",
    "table_four",
    "table_one",
    "table_outcomes",
    "table_sizes",
    "table_three",
    "table_two",
    "write_report",
]
