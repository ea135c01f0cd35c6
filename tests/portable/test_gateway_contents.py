"""What a gateway keeps of releases: each chunk is asked for once, over restarts, and what is wrong is not kept."""

import textwrap
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

CONTENT = bytes(range(256)) * 9  # three chunks, of which the last is short

CODE = textwrap.dedent("""
    import asyncio
    import os
    from hashlib import sha256

    from gateway.contents import Contents

    CONTENT = bytes(range(256)) * 9
    DIGEST = sha256(CONTENT).digest()[:8]
    PREFIXES = {b"1" * 8: "plant/hall/line1/motor1/n1", b"2" * 8: "works/hall/line1/motor1/n2"}


    class Broker:
        def __init__(self):
            self.content = CONTENT
            self.online = True
            self.asked = []

        def gateway(self):
            contents = Contents(PREFIXES, lambda: self.answer(contents), argument)
            contents.online = self.online
            return contents

        def answer(self, contents):
            self.asked.append(contents.wanted)
            number = int(contents.wanted.rpartition("/")[2])
            chunk = self.content[number * 1024 : number * 1024 + 1024]
            if chunk:
                contents.bring(chunk)


    async def whole(contents, node):
        found = b""
        for number in range(3):
            found += await contents.chunk(node, DIGEST, number)
        return found == CONTENT
""")


def run(micropython: Callable[..., Any], tmp_path: Path, code: str) -> Any:
    return micropython(CODE + textwrap.dedent(code), argument=str(tmp_path / "contents"), virtual_time=True)


def test_the_broker_is_asked_once_for_all_nodes_also_after_a_restart(
    micropython: Callable[..., Any], tmp_path: Path
) -> None:
    code = """
    async def main():
        broker = Broker()
        first = await whole(broker.gateway(), b"1" * 8)
        broker.online = False
        contents = broker.gateway()
        second = await whole(contents, b"2" * 8), await whole(contents, b"2" * 8)
        nothing = await contents.chunk(b"2" * 8, bytes(8), 0)
        contents.clear()
        return first, second, nothing, broker.asked, os.listdir(argument)

    print(json.dumps(asyncio.run(main())))
    """
    first, second, nothing, asked, left = run(micropython, tmp_path, code)
    name = sha256(CONTENT).hexdigest()[:16]
    assert (first, second, nothing) == (True, [True, True], None)
    assert asked == [f"plant/release/{name}/{number}" for number in range(3)] and left == []


def test_what_is_wrong_at_the_broker_is_asked_for_again_when_a_node_begins_again(
    micropython: Callable[..., Any], tmp_path: Path
) -> None:
    code = """
    async def main():
        broker = Broker()
        broker.content = bytes(2304)
        contents = broker.gateway()
        wrong = await whole(contents, b"1" * 8)
        broker.content = b""
        missing = await contents.chunk(b"1" * 8, DIGEST, 0) == b""
        broker.content = CONTENT
        right = await whole(contents, b"1" * 8)
        return wrong, missing, right

    print(json.dumps(asyncio.run(main())))
    """
    assert run(micropython, tmp_path, code) == [False, True, True]


def test_without_room_on_flash_the_last_chunks_are_in_ram_until_nobody_asks(
    micropython: Callable[..., Any], tmp_path: Path
) -> None:
    code = """
    import gateway.contents

    class Full:
        def statvfs(self, path):
            return 4096, 4096, 100, 16

        def __getattr__(self, name):
            return getattr(os, name)

    async def main():
        broker = Broker()
        gateway.contents.os = Full()
        contents = broker.gateway()
        both = await whole(contents, b"1" * 8), await whole(contents, b"2" * 8)
        asked = len(broker.asked)
        contents.tidy()
        contents.tidy()
        await whole(contents, b"1" * 8)
        for number in range(100):
            await contents.chunk(b"2" * 8, number.to_bytes(8, "big"), 0)
        return both, asked, len(broker.asked), len(contents._held), os.listdir(argument)

    print(json.dumps(asyncio.run(main())))
    """
    assert run(micropython, tmp_path, code) == [[True, True], 3, 106, 8, []]
