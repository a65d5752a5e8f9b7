"""Readers: one file per format, all deliver the same cells."""
