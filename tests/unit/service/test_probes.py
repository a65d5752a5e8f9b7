"""Readiness: true, with the reason, and cheap to ask."""

import asyncio
from types import SimpleNamespace

import pytest

from levelpool.errors import DatabaseError
from levelpool.service.assembly import Readiness
from levelpool.supervision import Supervisor
from levelpool.testing import inline_manager


@pytest.fixture
def service():
    """What readiness looks at: a database that answers what `error` says, and counts the questions."""
    service = SimpleNamespace(runtime=SimpleNamespace(stopping=asyncio.Event(), manager=inline_manager()), error=None, asked=0)
    service.supervisor = Supervisor()
    service.ingestion = SimpleNamespace(intake=SimpleNamespace(session=SimpleNamespace(supervisor=service.supervisor)))

    async def ask(_question):
        service.asked += 1
        if service.error:
            raise service.error

    service.ask = ask
    return service


async def test_service_with_a_database_is_ready(service):
    """No reason against it."""
    assert await Readiness(service).reasons() == []


async def test_database_that_is_away_is_the_reason(service):
    """The sentence of the database is the reason."""
    service.error = DatabaseError("cannot connect to postgresql://db.example/sales")

    assert await Readiness(service).reasons() == ["cannot connect to postgresql://db.example/sales"]


async def test_service_that_stops_is_not_ready(service):
    """A balancer sends nobody here any more."""
    service.runtime.stopping.set()

    assert await Readiness(service).reasons() == ["The service is stopping."]


async def test_many_questions_cost_one_look(service):
    """Who asks the probe without credentials cannot keep the database busy."""
    readiness = Readiness(service)
    await asyncio.gather(*(readiness.reasons() for _ in range(50)))

    assert service.asked == 1
