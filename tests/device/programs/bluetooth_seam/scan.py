"""The board listens once, and says what it heard of a peer that says more and more."""


async def main():
    said = []
    async with aioble.scan(10_000, 30_000, 30_000) as scanner:
        async for result in scanner:
            for _, data in result.manufacturer(0x1234):
                if data not in said:
                    said.append(data)
            if len(said) == 4:
                break
    print(said)


asyncio.run(main())
