"""The board advertises until it is too late."""


async def main():
    late = await error(
        aioble.advertise(
            50_000, name="pump", services=[SERVICE], appearance=0x0540, manufacturer=(0x1234, b"xy"), timeout_ms=400
        )
    )
    print((late, aioble.config("mac")))


asyncio.run(main())
