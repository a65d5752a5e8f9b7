"""What Alembic runs for each command: the migrations, on the connection it was handed."""

from alembic import context

from levelpool.ingest.migrations import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
