"""The voice: rules over a snapshot, and the channels that carry an alert to a person."""
