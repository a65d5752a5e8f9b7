"""Where the table is, what its columns are, and what cannot be loaded."""
