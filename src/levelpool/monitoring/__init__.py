"""Monitoring: readings of one moment as one frozen snapshot."""

from levelpool.monitoring.lag import Block, LagReading, LagWatch
from levelpool.monitoring.monitor import ResourceMonitor
from levelpool.monitoring.resources import Resources
from levelpool.monitoring.snapshot import Snapshot

__all__ = ["Block", "LagReading", "LagWatch", "ResourceMonitor", "Resources", "Snapshot"]
