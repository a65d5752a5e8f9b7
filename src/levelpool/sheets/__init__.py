"""The sheets wing: from a messy spreadsheet file to a database table, without a lost cell."""

from levelpool.sheets.clean.options import ColumnOptions, TableOptions
from levelpool.sheets.frames import Table
from levelpool.sheets.inspect import Inspection, inspect_file
from levelpool.sheets.parser import ExcelParser
from levelpool.sheets.table import ColumnType

__all__ = [
    "ColumnOptions",
    "ColumnType",
    "ExcelParser",
    "Inspection",
    "Table",
    "TableOptions",
    "inspect_file",
]
