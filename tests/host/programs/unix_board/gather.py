"""Tasks that wait, fail, are cancelled and are late."""

import asyncio

order = []


async def after(ms, name, fail=False):
    try:
        await asyncio.sleep_ms(ms)
        order.append(name)
        if fail:
            raise ValueError(name)
        return name
    except asyncio.CancelledError:
        order.append("cancelled " + name)
        raise


async def main():
    event = asyncio.Event()

    async def waiter():
        await event.wait()
        order.append("event")

    tasks = [
        asyncio.create_task(after(30, "c")),
        asyncio.create_task(after(10, "a")),
        asyncio.create_task(after(20, "b")),
        asyncio.create_task(waiter()),
    ]
    lost = asyncio.create_task(after(1000, "lost"))
    await asyncio.sleep_ms(25)
    event.set()
    lost.cancel()
    await asyncio.gather(*tasks)
    try:
        await asyncio.wait_for_ms(after(5000, "late"), 50)
    except asyncio.TimeoutError:
        order.append("timeout")
    try:
        await asyncio.create_task(after(1, "f", True))
    except ValueError as error:
        order.append(repr(error))
    order.append(await after(1, "value"))


asyncio.run(main())
print(order)
