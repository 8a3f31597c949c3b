"""Live sessions are tested on the event loop they are served by: uvloop."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """What pytest-asyncio makes the loop of each test here by."""
    return {"uvloop": uvloop.new_event_loop}
