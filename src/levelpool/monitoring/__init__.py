"""The eyes: readings of one moment as one frozen snapshot."""
