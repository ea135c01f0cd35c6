"""Carries a session's messages between any link and the enrolment, one message at a time."""

import asyncio

from micropython import const

from quaver_wire.session import PROGRESS

if False:  # types alone: never compiled
    from collections.abc import Callable

    from enrol.enrolment import Enrolment
    from enrol.session import Session

_SIGN_MS = const(500)


async def serve(session: "Session", enrolment: "Enrolment", message: bytes, send: "Callable") -> None:
    """Work on one message from the host; `send(message)`, a coroutine, brings what it gives rise to.

    While a request takes its time (joining a network) the host is told so twice a second, so that it waits.
    """
    for out in session.receive(message):
        if out:
            await send(out)
        await asyncio.sleep_ms(0)
    if session.request is None:
        return
    work = asyncio.create_task(enrolment.answer(session.request))
    session.request = None
    waited = 0
    while not work.done():
        await asyncio.sleep_ms(10)
        waited += 10
        if waited % _SIGN_MS == 0:
            await send(bytes((PROGRESS, 100)))
    await send(session.answer(await work))
