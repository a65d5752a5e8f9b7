"""Into the database: what a schema change may do, and one target per database."""
