"""The one place that knows which version this is."""

__version__ = "0.2.0"
