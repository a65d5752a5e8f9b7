"""From a messy spreadsheet file to clean tables: reads and understands, without a database. `levelpool.ingest` loads them."""

from importlib import import_module
from typing import TYPE_CHECKING

from levelpool.sheets.clean.options import ColumnOptions, Policy, TableOptions
from levelpool.sheets.frames import Table
from levelpool.sheets.inspect import Inspection, inspect_file
from levelpool.sheets.parser import ExcelParser
from levelpool.sheets.table import ColumnType

if TYPE_CHECKING:
    from levelpool.ingest.importer import RawDataImporter
    from levelpool.ingest.inbox import DataSyncService, SyncReport
    from levelpool.ingest.service import DataIngestionService

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

_LIVE_IN_INGEST = {
    "DataIngestionService": "levelpool.ingest.service",
    "DataSyncService": "levelpool.ingest.inbox",
    "RawDataImporter": "levelpool.ingest.importer",
    "SyncReport": "levelpool.ingest.inbox",
}


def __getattr__(name: str) -> object:
    """The services that load into a database, which once lived here; they need its packages, and are loaded when they are asked for."""
    if name not in _LIVE_IN_INGEST:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LIVE_IN_INGEST[name]), name)
