"""Enrolment: what a technician asks of a node in a session, and the two phases by which it comes into service.

    blank    no /device.key: the node offers sessions and nothing else
    staged   key and configuration are in memory, checked; flash is as it was
    enrolled /device.key is there: the one rename that makes it is the commit

Before that rename the configuration is on flash already, where a blank node does not read it. Re-enrolling removes the
old key first, so that a cut leaves a blank node and never the new configuration with the old key.
"""

import json
import os

from build.keys import KEY, key_check, load_key, save_key
from node import store
from quaver_wire.session import same

if False:  # types alone: never compiled
    from collections.abc import Callable
    from typing import Any

    from enrol.session import Tries

CONFIG = "/config.json"
_OF_THE_OLD_KEY = ("/commands.taken", "/gateways.revoked")


def _missing(path: str) -> bool:
    try:
        os.stat(path)
        return False
    except OSError:
        return True


class Enrolment:
    """Answers the requests of an open session.

    check(config) -> list of problems. join(ssid, password): a coroutine that joins or raises OSError. scan(): a
    coroutine, [(ssid, rssi, secured)]. identify(): shows which one it is. about: what the node says of itself.
    tries: of enrol.session. command(name, arguments): a coroutine, what an enrolled node does beside this; or None.
    root: the folder of its files, for tests.
    """

    def __init__(
        self,
        about: dict,
        check: "Callable",
        join: "Callable",
        scan: "Callable",
        identify: "Callable",
        tries: "Tries",
        command: "Callable | None" = None,
        root: str = "",
    ) -> None:
        self._about = about
        self._check = check
        self._join = join
        self._scan = scan
        self._identify = identify
        self._tries = tries
        self._command = command
        self._root = root
        self._staged: tuple[bytes, bytes, int] | None = None
        self.done = False  # committed: the node is to restart

    async def answer(self, request: bytes) -> bytes:
        """The answer to the request, both JSON as bytes. Never raises but MemoryError."""
        try:
            given = json.loads(request)
            if not isinstance(given, dict):
                raise ValueError("expected an object")
            do = given.pop("do")
            verb = _VERBS.get(do)
            if verb:
                result = await verb(self, **given)
            elif self._command:
                result = await self._command(do, given)
            else:
                raise ValueError("unknown request")
            return json.dumps({"result": result}).encode()
        except (ValueError, KeyError, TypeError, OSError) as error:
            return json.dumps({"error": str(error)[:200] or type(error).__name__}).encode()

    async def _say(self) -> dict:
        held = load_key(self._root + KEY)
        about = dict(self._about)
        about["enrolled"] = held is not None
        about["generation"] = held[0] if held else 0
        about["check"] = key_check(held[1]) if held else ""
        about["wrong_codes"] = self._tries.untold
        return about

    async def _show(self) -> None:
        self._identify()

    async def _networks(self) -> list:
        found: list = []
        for ssid, rssi, secured in sorted(await self._scan(), key=lambda network: -network[1]):
            if ssid and len(found) < 12 and not any(ssid == other[0] for other in found):
                found.append((ssid, rssi, bool(secured)))
        return found

    async def _try(self, ssid: str, password: str) -> None:
        _text(ssid, 1, 32)
        _text(password, 0, 63)
        await self._join(ssid, password)

    async def _stage(self, config: "Any", key: "Any", generation: "Any") -> str:
        if not isinstance(config, dict):
            raise ValueError("config: expected an object")
        config = dict(self._flashed(), **config)
        problems = self._check(config)
        if problems:
            raise ValueError("config: " + "; ".join(problems))
        key = bytes.fromhex(key)
        if len(key) != 32 or type(generation) is not int or not 1 <= generation <= 255:
            raise ValueError("key: expected 32 bytes and a generation from 1 to 255")
        self._staged = json.dumps(config).encode(), key, generation
        return key_check(key)

    def _flashed(self) -> dict:
        """The configuration that is there, by sections: what sensors the board has may stand in it since flashing."""
        try:
            with open(self._root + CONFIG) as file:
                found = json.load(file)
            return found if isinstance(found, dict) else {}
        except (OSError, ValueError):
            return {}

    async def _commit(self, check: str) -> None:
        if self._staged is None:
            raise ValueError("nothing is staged")
        config, key, generation = self._staged
        if not isinstance(check, str) or not same(check.encode(), key_check(key).encode()):
            raise ValueError("check: not of the staged key")
        if not _missing(self._root + KEY):
            os.remove(self._root + KEY)
        for path in _OF_THE_OLD_KEY:  # with it every command and every gateway's grant is void
            if not _missing(self._root + path):
                os.remove(self._root + path)
        store.replace(self._root + CONFIG, config)
        save_key(generation, key, path=self._root + KEY)
        self._staged = None
        self.done = True


def _text(value: object, low: int, high: int) -> None:
    if not isinstance(value, str) or not low <= len(value) <= high:
        raise ValueError("expected text of {} to {}".format(low, high))


_VERBS: dict = {
    "about": Enrolment._say,
    "identify": Enrolment._show,
    "scan": Enrolment._networks,
    "join": Enrolment._try,
    "stage": Enrolment._stage,
    "commit": Enrolment._commit,
}
