"""What the other programs use; given: the three UUIDs as text."""

import asyncio
import aioble
import bluetooth

SERVICE = bluetooth.UUID(SERVICE)
VALUE = bluetooth.UUID(VALUE)
INBOX = bluetooth.UUID(INBOX)


async def error(awaitable):
    try:
        await awaitable
    except Exception as e:
        return type(e).__name__
