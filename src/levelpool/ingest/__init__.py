"""From a file to the tables of a database: keeps originals, records what arrives, claims it, and loads it without a lost cell."""

from levelpool.extras import needed_for

with needed_for("levelpool.ingest", extra="sheets"):
    from levelpool.ingest.importer import RawDataImporter
    from levelpool.ingest.inbox import DataSyncService, SyncReport
    from levelpool.ingest.service import DataIngestionService

__all__ = ["DataIngestionService", "DataSyncService", "RawDataImporter", "SyncReport"]
