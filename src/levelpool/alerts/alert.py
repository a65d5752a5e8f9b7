"""One alert, as a frozen record."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a person should know: it burns, or it has been resolved."""

    rule: str
    message: str
    """One sentence with the figures."""
    value: float
    enter: float
    """The level at which it began."""
    leave: float
    """The level below which it ends."""
    since: datetime
    """UTC; when the value first was above `enter`."""
    at: datetime
    """UTC; when this record was made."""
    resolved: bool = False

    @property
    def title(self) -> str:
        """A line for a subject or a headline."""
        return f"levelpool: {self.rule} {'resolved' if self.resolved else 'burning'}"

    def to_dict(self) -> dict[str, object]:
        """The same as plain values, for JSON."""
        return {
            "rule": self.rule,
            "message": self.message,
            "value": self.value,
            "enter": self.enter,
            "leave": self.leave,
            "since": self.since.isoformat(),
            "at": self.at.isoformat(),
            "resolved": self.resolved,
        }
