"""Readiness: true, with the reason, and cheap to ask."""

import asyncio
from functools import partial
from types import SimpleNamespace

import pytest

from levelpool.errors import DatabaseError
from levelpool.ingest.room import Room, has_room_in
from levelpool.service.assembly import Readiness
from levelpool.supervision import Supervisor
from levelpool.testing import inline_manager


@pytest.fixture
def service(tmp_path):
    """What readiness looks at: a database that answers what `error` says, and counts the questions."""
    runtime = SimpleNamespace(stopping=asyncio.Event(), manager=inline_manager(), supervisor=Supervisor())
    service = SimpleNamespace(runtime=runtime, error=None, asked=0)
    service.room = Room(partial(has_room_in, tmp_path), "files can be kept again")
    service.database_room = Room(lambda _: True, "the database can be written again")

    async def do(_name, look):
        return look()

    session = SimpleNamespace(room=service.room, database_room=service.database_room, do=do)
    service.ingestion = SimpleNamespace(intake=SimpleNamespace(session=session))

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


async def test_disk_without_room_is_the_reason_until_there_is_room(service):
    """It is looked at again: nobody sends a file to a service that is not ready."""
    service.room.has_failed("nothing can be kept", 1 << 62)
    assert await Readiness(service).reasons() == ["nothing can be kept"]

    service.room.has_failed("nothing can be kept", 0)
    service.room.has_taken()
    assert await Readiness(service).reasons() == []


async def test_disk_that_fills_up_is_told_at_once(service):
    """That all is well was believed for a second; somebody was refused meanwhile."""
    readiness = Readiness(service)
    assert await readiness.reasons() == []

    service.room.has_failed("nothing can be kept", 1 << 62)

    assert await readiness.reasons() == ["nothing can be kept"]
    assert (await readiness.reasons(), service.asked) == (["nothing can be kept"], 2)


async def test_database_that_cannot_write_is_the_reason(service):
    """It answers all the same."""
    service.database_room = service.ingestion.intake.session.database_room = Room(lambda _: False, "")
    service.database_room.has_failed("the database cannot write")

    assert await Readiness(service).reasons() == ["the database cannot write"]
