"""The sheets wing: from a messy spreadsheet file to a database table, without a lost cell."""

from levelpool.sheets.clean.options import ColumnOptions, Policy, TableOptions
from levelpool.sheets.frames import Table
from levelpool.sheets.importer import RawDataImporter
from levelpool.sheets.ingestion import DataIngestionService
from levelpool.sheets.inspect import Inspection, inspect_file
from levelpool.sheets.parser import ExcelParser
from levelpool.sheets.sync import DataSyncService, SyncReport
from levelpool.sheets.table import ColumnType

__all__ = [
    "ColumnOptions",
    "ColumnType",
    "DataIngestionService",
    "DataSyncService",
    "ExcelParser",
    "Inspection",
    "Policy",
    "RawDataImporter",
    "SyncReport",
    "Table",
    "TableOptions",
    "inspect_file",
]
