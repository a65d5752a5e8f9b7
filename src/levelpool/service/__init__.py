"""The service: spreadsheet exports become database tables, with a page and an API."""
