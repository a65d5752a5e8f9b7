"""Alerts: rules over a snapshot, and the channels that carry an alert to a person."""

from levelpool.alerts.alert import Alert
from levelpool.alerts.alerter import Alerter
from levelpool.alerts.channels import Channel
from levelpool.alerts.rules import Rule

__all__ = ["Alert", "Alerter", "Channel", "Rule"]
