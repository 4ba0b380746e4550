"""How the tests run: the same on a slow machine as on a fast one."""

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

# isort: off
from bargein.testing.virtual_time import VirtualTimeLoop  # before any host

# isort: on
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from redis.asyncio import Redis

from bargein.memory import MemoryStore, Store, open_store
from deprecated import DeprecatedUses
from livekit_server import MISSING as NO_LIVEKIT_SERVER
from livekit_server import LiveKitServer, served
from livekit_server import find as livekit_server_binary

settings.register_profile(
    "bargein",
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("bargein")

try:
    from loguru import logger

    logger.remove()  # a test that wants the host's log adds a sink of its own
except ImportError:
    pass


def pytest_configure(config: pytest.Config) -> None:
    """What the hosts are about to take away fails the run."""
    config.pluginmanager.register(DeprecatedUses())


OUTSIDE = {"redis_url", "store", "address", "livekit_server"}
"""Fixtures whose far end is another process, on another clock."""


def _from_outside(item: pytest.Item) -> bool:
    return bool(OUTSIDE & set(getattr(item, "fixturenames", ())))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say so where a fixture brings somebody from outside."""
    for item in items:
        if _from_outside(item):
            item.add_marker("real_time")


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], object]]:
    """Calls are held in virtual time, unless somebody from outside takes part."""
    if item.get_closest_marker("real_time") or _from_outside(item):
        return {"real": asyncio.new_event_loop}
    return {"virtual": VirtualTimeLoop}


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server of our own, on a free port of the loopback."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("no redis-server here: install Debian's package of that name")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen([server, *options], stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def livekit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitServer]:
    """A real server of our own, on free ports of the loopback."""
    binary = livekit_server_binary()
    if binary is None:
        pytest.skip(NO_LIVEKIT_SERVER)
    with served(binary, tmp_path_factory.mktemp("livekit")) as server:
        yield server


@pytest_asyncio.fixture(params=["memory", "sqlite", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """One of each kind, empty."""
    if request.param == "memory":
        yield MemoryStore()
        return
    made = open_store(await _address(request, tmp_path))
    yield made
    await made.close()


@pytest_asyncio.fixture(params=["sqlite", "redis"])
async def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store is that other processes may open, too."""
    return await _address(request, tmp_path)


async def _address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "calls.db")
    url: str = request.getfixturevalue("redis_url")
    client = Redis.from_url(url)
    await client.flushdb()
    await client.aclose()
    return url
