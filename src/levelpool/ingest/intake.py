"""What the services of one database share: its session, its originals, its arrivals, and the runner of its files."""

from dataclasses import dataclass
from typing import Self

from levelpool.executor import ExecutorManager
from levelpool.ingest.arrivals import Arrivals
from levelpool.ingest.config import IngestConfig
from levelpool.ingest.originals import Originals
from levelpool.ingest.runner import Runner
from levelpool.ingest.session import Session
from levelpool.supervision import Supervisor


@dataclass(frozen=True, slots=True)
class Intake:
    """A file goes through them in this order: it is kept, recorded, claimed and run, all within one session."""

    session: Session
    originals: Originals
    arrivals: Arrivals
    runner: Runner

    @classmethod
    def of(cls, config: IngestConfig, manager: ExecutorManager | None = None, supervisor: Supervisor | None = None) -> Self:
        """For one database; it opens itself."""
        session = Session(config, manager, supervisor)
        arrivals = Arrivals(session)
        return cls(session, Originals(session), arrivals, Runner(session, arrivals))

    async def open(self) -> None:
        """Reach the database; see `Session.open`."""
        await self.session.open()

    async def aclose(self) -> None:
        """Give back what was claimed and does not run, and close the connections."""
        self.runner.stop_renewing()
        await self.session.aclose()
