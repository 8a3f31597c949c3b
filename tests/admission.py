"""Coming in as a polite client does: a server that is full says when to ask again, and is asked again then."""

import asyncio
from http import HTTPStatus
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

PATIENCE_S = 60


async def admitted(address: str, **options: Any) -> ClientConnection:
    """An open WebSocket. Engines that share a machine with other tests may be behind for a while: 503, Retry-After."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await connect(address, **options)
            except InvalidStatus as refused:
                if refused.response.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                    raise
                await asyncio.sleep(float(refused.response.headers["Retry-After"]))
