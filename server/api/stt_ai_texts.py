"""Seed C's work on written text (C7, C13-C15, C18). It costs nothing; only how often is limited."""

from typing import TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from batch.texts import Texts
from protocol.checking import check
from protocol.dialects.stt_ai import texts as wire
from server.api.exchange import while_there
from server.api.json_bodies import read_json
from server.api.stt_ai_door import Door

PREFIX = "/c"
BODY_BYTES = 4 << 20  # 400,000 characters, written as JSON escapes, need 2.4 MB
M = TypeVar("M", bound=BaseModel)


class SttAiTexts:
    """The routes."""

    def __init__(self, door: Door, texts: Texts) -> None:
        self._door = door
        self._texts = texts

    def routes(self) -> list[BaseRoute]:
        """By the document's path and under the prefix."""
        table = {
            "/v1/summarize": self._summarize,
            "/v1/translate": self._translate,
            "/v1/analyze": self._analyze,
            "/v1/generate": self._generate,
            "/v1/embed": self._embed,
        }
        return [
            Route(prefix + path, handler, methods=["POST"])
            for prefix in ("", PREFIX)
            for path, handler in table.items()
        ]

    async def _summarize(self, request: Request) -> Response:
        """C7."""
        asked = await self._asked(request, wire.Summarize)
        made = self._texts.summarize(asked.text, asked.style)
        return JSONResponse(wire.summary(await while_there(request, made), asked.style))

    async def _translate(self, request: Request) -> Response:
        """C13."""
        asked = await self._asked(request, wire.Translate)
        done = await while_there(request, self._texts.translate(asked.all(), asked.source, asked.target))
        return JSONResponse(wire.translation(asked, done))

    async def _analyze(self, request: Request) -> Response:
        """C14."""
        asked = await self._asked(request, wire.Analyze)
        return JSONResponse(wire.analysis(await while_there(request, self._texts.analyze(asked.text, asked.type))))

    async def _generate(self, request: Request) -> Response:
        """C15."""
        asked = await self._asked(request, wire.Generate)
        made = self._texts.generate(asked.text, asked.type)
        return JSONResponse(wire.generated(await while_there(request, made), asked.type))

    async def _embed(self, request: Request) -> Response:
        """C18."""
        asked = await self._asked(request, wire.Embed)
        return JSONResponse(wire.embeddings(await while_there(request, self._texts.embed(asked.texts))))

    async def _asked(self, request: Request, model: type[M]) -> M:
        await self._door.caller(request)
        return check(model, await read_json(request, most=BODY_BYTES))
