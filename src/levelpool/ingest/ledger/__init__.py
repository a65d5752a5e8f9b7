"""The service's own tables: what arrived, who works on it, what became of it. Named SQL on a connection that is handed in."""
