"""
From a file to the tables of a database, without a lost cell: keeps, records, claims, loads.

The way of one upload, from top to bottom: `service` is called; `originals` keeps the file under its hash; `arrivals` records it as pending;
`background`, or whoever waits for it, has `runner` claim it and call a worker; there `job` reads it and loads it in one transaction
(`conversion`, `load/`, `ledger/`); and `ending` says what became of the run. All of them stand on one `session`.
"""

from levelpool.extras import needed_for

with needed_for("levelpool.ingest", extra="ingest"):
    from levelpool.ingest.importer import RawDataImporter
    from levelpool.ingest.inbox import DataSyncService, SyncReport
    from levelpool.ingest.service import DataIngestionService

__all__ = ["DataIngestionService", "DataSyncService", "RawDataImporter", "SyncReport"]
