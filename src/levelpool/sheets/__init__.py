"""The sheets wing: from a messy spreadsheet file to a database table, without a lost cell."""
