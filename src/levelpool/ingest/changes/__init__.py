"""What changed between two files of one dataset: records added, removed and changed, counted from fingerprints of rows; needs no database."""
