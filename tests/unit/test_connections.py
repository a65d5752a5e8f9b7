"""The pools of one process share one budget; with connections that only count themselves."""

import asyncio
import gc
import threading
import time

import pytest
import sqlalchemy as sa

from levelpool.capacity.detect import Capacity
from levelpool.connections.budget import Budget, budget_of
from levelpool.connections.pool import WatchedPool
from levelpool.connections.server import ServerConnections, count_server_connections
from levelpool.errors import DatabaseError, PoolExhausted
from levelpool.pools import PoolAccount, pool_stats
from levelpool.sizing import size

RESERVE = 3 + 1
"""The reserve of 3, and one loading worker."""
SIZES = size(Capacity(2.0, "a test", 1 << 30, "a test"), web_concurrency=1)


class Server:
    """Counts what is open, and the most that ever was; `allows` is what it says, `room` what it takes before it refuses."""

    def __init__(self):
        self.open = self.most = 0
        self.allows = 100
        self.room = 1000
        self._lock = threading.Lock()

    def connect(self):
        with self._lock:
            if self.open >= self.room:
                raise ConnectionError('connection failed: FATAL:  sorry, too many clients already\n\tat "socket"')
            self.open += 1
            self.most = max(self.most, self.open)
        return _Connection(self)

    def closed(self):
        with self._lock:
            self.open -= 1


class _Connection:
    def __init__(self, server):
        self.server = server

    def cursor(self):
        return _Cursor(self.server.allows)

    def rollback(self):
        """Nothing to do."""

    def close(self):
        self.server.closed()


class _Cursor:
    def __init__(self, max_connections):
        self.max_connections = max_connections

    def execute(self, statement):
        assert "max_connections" in statement

    def fetchall(self):
        return [(self.max_connections, 0, -1, -1, "levelpool", True, True, 1)]

    def close(self):
        """Nothing to do."""


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def make_pool(server):
    """A function that makes a pool within `budget`, of which this process may have *share* connections."""
    pools = []

    def make(budget, share, name="main", *, timeout=0.3):
        pool = WatchedPool(server.connect, pool_size=5, max_overflow=5, timeout=timeout)
        pool.account = PoolAccount(name)
        server.allows = share + RESERVE
        pool.keep_to(budget, SIZES)
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        pool.dispose()


def take(pool, count):
    """So many connections of *pool*."""
    return [pool.connect() for _ in range(count)]


def give(*connections):
    for connection in connections:
        connection.close()


def test_second_pool_gets_its_part_of_what_the_first_had(server, make_pool):
    """Alone, a pool may have the whole share; idle connections beyond its part are closed when another one joins."""
    budget = Budget()
    first, second = make_pool(budget, 6), make_pool(budget, 6, "second")
    alone = take(first, 6)
    give(*alone)
    idle = server.open
    both = take(second, 3)

    assert (idle, server.open, server.most) == (5, 6, 6)
    assert (first.limits, second.limits) == ((3, 0), (3, 0))
    assert sum(pool_stats(each).checked_out for each in (Engine(first), Engine(second))) == 3
    give(*both)


class Engine:
    """What `pool_stats` looks at."""

    def __init__(self, pool):
        self.pool = pool


def test_pool_that_joins_waits_for_what_is_in_use(server, make_pool):
    """Nobody's connection is taken away: the new pool gets one when it comes back."""
    budget = Budget()
    first, second = make_pool(budget, 4), make_pool(budget, 4, "second", timeout=5)
    held = take(first, 4)
    got = []
    joining = threading.Thread(target=lambda: got.append(second.connect()))
    joining.start()
    time.sleep(0.1)
    early = list(got)
    give(held.pop())
    joining.join(5)

    assert (early, len(got), server.open) == ([], 1, 4)
    assert first.limits == (2, 0)
    give(*held, *got)


def test_pool_without_room_gives_up_in_time_and_says_why(make_pool):
    """The wait for another pool ends at the timeout, as every wait does."""
    budget = Budget()
    first, second = make_pool(budget, 2), make_pool(budget, 2, "second")
    held = take(first, 2)
    began = time.monotonic()
    with pytest.raises(PoolExhausted, match=r"pool 'second' .* within 0.3 s \(the other pools of this process hold all"):
        second.connect()

    assert 0.3 <= time.monotonic() - began < 3
    give(*held)


def test_wait_of_two_kinds_is_bounded_once(server, make_pool):
    """A call that finds the server full, and then its pool full, waits for both together no longer than the timeout."""
    pool = make_pool(Budget(), 2, timeout=0.5)
    held = take(pool, 1)
    server.room = 1
    began = time.monotonic()
    with pytest.raises(PoolExhausted, match=r"the server is full: connection failed: FATAL: sorry, too many clients already"):
        pool.connect()

    assert 0.5 <= time.monotonic() - began < 3
    give(*held)


def test_full_server_is_asked_again(server, make_pool):
    """What somebody else held a moment ago is free now: the call that met the full server gets its connection."""
    pool = make_pool(Budget(), 2, timeout=5)
    server.room = 0
    threading.Timer(0.1, setattr, (server, "room", 1)).start()
    connection = pool.connect()

    assert server.open == 1
    give(connection)


def test_server_that_is_out_of_reach_fails_at_once(server, make_pool):
    """Only a full server is worth waiting for."""
    pool = make_pool(Budget(), 2, timeout=30)

    def refuse():
        raise ConnectionError("connection refused")

    pool._creator = refuse
    began = time.monotonic()
    with pytest.raises(ConnectionError, match="refused"):
        pool.connect()

    assert time.monotonic() - began < 5


def test_disposed_pool_gives_its_part_back(make_pool):
    """The other one may have all again; the disposed one joins with its next connection."""
    budget = Budget()
    first, second = make_pool(budget, 6), make_pool(budget, 6, "second")
    give(*take(first, 1), *take(second, 1))
    divided = first.limits
    second.dispose()
    alone = first.limits
    again = second.recreate()
    give(*take(again, 1))

    assert (divided, alone, first.limits) == ((3, 0), (5, 1), (3, 0))
    again.dispose()


def test_forgotten_pool_gives_its_part_back(make_pool, server):
    """An engine that nobody holds any more does not count."""
    budget = Budget()
    first = make_pool(budget, 6)
    lost = WatchedPool(server.connect, pool_size=5, max_overflow=5, timeout=1)
    lost.account = PoolAccount("lost")
    lost.keep_to(budget, SIZES)
    give(*take(lost, 1))
    del lost
    gc.collect()
    give(*take(first, 1))

    assert first.limits == (5, 1)


def test_more_loading_workers_leave_less_for_the_pools(make_pool, caplog):
    """The container allows more CPUs: each new worker may open a connection, so the pools give theirs back."""
    budget = Budget()
    pool = make_pool(budget, 6)
    give(*take(pool, 6))
    budget.follow(4)
    fewer = pool.limits
    budget.follow(1)
    as_before = pool.limits
    budget.follow(40)

    assert (fewer, as_before, pool.limits) == ((3, 0), (5, 1), (5, 1))
    assert "the pools stay as they are: the database server does not allow enough connections" in caplog.text


def test_shares_too_small_for_all_pools_are_refused_with_the_sum(make_pool):
    """One connection for two pools: the second start fails, the first goes on."""
    budget = Budget()
    first, second = make_pool(budget, 1), make_pool(budget, 1, "second", timeout=0.2)
    give(*take(first, 1))
    with pytest.raises(DatabaseError, match="for 1 web worker: 1 each, for 2 pools together"):
        second.connect()

    assert first.limits == (1, 0)


def test_disposing_never_fails(server, make_pool):
    """Also when what is left is not enough for the others: they stay as they are."""
    budget = Budget()
    first, second = make_pool(budget, 2), make_pool(budget, 2, "second")
    give(*take(first, 1), *take(second, 1))
    budget.follow(40)
    second.dispose()
    give(*take(first, 1))

    assert first.limits == (1, 0)


def test_engine_that_is_refused_spoils_nothing(server, make_pool):
    """A second engine wants to share with a hundred web workers: it is refused, and the first one goes on as before."""
    budget = Budget()
    first, second = make_pool(budget, 6), make_pool(budget, 6, "second")
    give(*take(first, 6))
    second.sizes = size(Capacity(2.0, "a test", 1 << 30, "a test"), web_concurrency=100)
    with pytest.raises(DatabaseError, match="for 100 web workers: 0 each"):
        second.connect()
    give(*take(first, 6))

    assert first.limits == (5, 1)
    assert server.open == 5


def test_pool_without_a_limit_keeps_its_connections(server):
    """`max_overflow=-1` opens as many as are asked for, and keeps as many as its size."""
    pool = WatchedPool(server.connect, pool_size=2, max_overflow=-1, timeout=1)
    pool.account = PoolAccount("no limit")
    give(*take(pool, 7))

    assert (server.most, server.open) == (7, 2)
    pool.dispose()


def test_crowd_of_threads_never_opens_more_than_the_share(server, make_pool):
    """Three pools, twelve threads, seven connections: everybody gets some, and there are never eight."""
    budget = Budget()
    pools = [make_pool(budget, 7, name, timeout=20) for name in ("one", "two", "three")]
    end = time.monotonic() + 0.6
    served = dict.fromkeys(pools, 0)

    def work(pool):
        while time.monotonic() < end:
            connection = pool.connect()
            time.sleep(0.002)
            served[pool] += 1
            connection.close()

    threads = [threading.Thread(target=work, args=(pool,)) for pool in pools for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert server.most <= 7
    assert all(count > 5 for count in served.values())
    assert sum(sum(pool.limits) for pool in pools) == 7


def test_url_of_another_database_or_role_is_the_same_server():
    """The server counts connections, whatever they are for; another port is another server."""
    urls = ["postgresql://a@h/one", "postgresql://b:x@h/two", "postgresql://a@h:5433/one", "postgresql://a@/one?host=/tmp"]
    first, second, third, fourth = (budget_of(sa.make_url(url)) for url in urls)

    assert first is second
    assert len({id(each) for each in (first, third, fourth)}) == 3


ROWS = [
    # max, reserved, limit of the role, of the database, program, our role, our database, connections
    (100, 3, 20, -1, "levelpool", True, True, 4),
    (100, 3, 20, -1, "levelpool worker", True, True, 1),
    (100, 3, 20, -1, "shop", True, True, 6),
    (100, 3, 20, -1, "psql", False, True, 2),
    (100, 3, 20, -1, "", False, False, 5),
]


def test_connections_are_counted_by_whose_they_are():
    """Ours by name; everybody else's against the server, the role and the database."""
    counted = count_server_connections(ROWS, {"shop"})

    assert counted == ServerConnections(100, 3, 18, 7, role_limit=20, database_others=2)
    assert count_server_connections(ROWS).role_others == 6
    assert [limit.allowed for limit in counted.limits(pooler_connections=5)] == [97, 20]


def test_behind_a_pooler_its_connections_are_the_limit():
    """Whatever PostgreSQL shows: the connections of others there may be those that the pooler hands to us next."""
    limits = count_server_connections(ROWS, behind_pooler=True).limits(pooler_connections=5)

    assert [(limit.allowed, limit.others) for limit in limits] == [(5, 0)]


async def test_async_pools_share_alike(server):
    """Awaited engines wait in their loop, and close what is too many there."""
    from sqlalchemy.util import greenlet_spawn

    from levelpool.connections.pool import WatchedAsyncPool

    budget = Budget()
    server.allows = 4 + RESERVE
    pools = []
    for name in ("one", "two"):
        pool = WatchedAsyncPool(server.connect, pool_size=5, max_overflow=5, timeout=5)
        pool.account = PoolAccount(name)
        pool.keep_to(budget, SIZES)
        pools.append(pool)
    one, two = pools
    held = [await greenlet_spawn(one.connect) for _ in range(4)]
    for connection in held:
        await greenlet_spawn(connection.close)
    idle = server.open
    both = [await greenlet_spawn(two.connect) for _ in range(2)]
    waiting = asyncio.create_task(greenlet_spawn(two.connect))
    await asyncio.sleep(0.1)
    waited = not waiting.done()
    await greenlet_spawn(both.pop().close)
    both.append(await asyncio.wait_for(waiting, 5))

    assert (idle, waited, server.most) == (4, True, 4)
    assert (one.limits, two.limits) == ((2, 0), (2, 0))
    for connection in both:
        await greenlet_spawn(connection.close)
    for pool in pools:
        await greenlet_spawn(pool.dispose)
