"""Somebody who asks an application."""

from typing import Any

from quaver.serve.endpoints import WHO, Who


class As:
    """A middleware by which every request is somebody's."""

    def __init__(self, app: Any, who: Who) -> None:
        self._app, self._who = app, who

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope[WHO] = self._who
        await self._app(scope, receive, send)
