"""What each command of the table does on a node; imported when the first one comes."""

from binascii import crc32

from micropython import const

from node.room import load, once

_TEXT = const(400)  # characters of a long text in one answer
_PART = const(480)  # bytes of a waveform in one answer
_BEFORE_RESTART_MS = const(3000)  # for the answer to leave


class Operations:
    """The handlers of service.runner.Commands.

    config: the path of the file in force. check(config) -> problems. trial: of node.trial. verbs: what only the node's
    root can give, name -> function: "identify", "measure" (a coroutine that returns a dict), "waveform" (a coroutine:
    (samples, rate in Hz, g a count)), "hold" (keeps the next measurement off those samples for a while), "relearn",
    "log" (lines), "restart" (delay in ms), "erase", "announce" (the generation of a new key: an event, sealed under
    the one in force).
    name: the node's, which `retire` must be told. root: the folder of its files, for tests.
    """

    def __init__(self, config, check, trial, verbs, name, root=""):
        self._config = config
        self._check = check
        self._trial = trial
        self._verbs = verbs
        self._name = name
        self._root = root
        self._wave = None

    def handlers(self):
        """name -> coroutine function, for Commands."""
        found = {name: getattr(self, name) for name in ("config_get", "config_set", "config_validate", "rotate")}
        for name in ("config_rollback", "identify", "measure", "waveform", "waveform_part", "relearn", "log"):
            found[name] = getattr(self, name)
        for name in ("reboot", "retire"):
            found[name] = getattr(self, name)
        return found

    async def config_get(self, at):
        text = once("command.reconfigure", "text", self._config)
        return {"text": text[at : at + _TEXT], "size": len(text)}

    def _changed(self, changes):
        return once("command.reconfigure", "changed", self._config, changes, self._check)

    async def config_validate(self, changes):
        self._changed(changes)

    async def config_set(self, changes):
        self._trial.propose(self._changed(changes))
        self._verbs["restart"](_BEFORE_RESTART_MS)
        return {"state": "trial"}

    async def config_rollback(self):
        self._trial.back()
        self._verbs["restart"](_BEFORE_RESTART_MS)
        return {"state": "trial"}

    async def identify(self):
        self._verbs["identify"]()

    async def measure(self):
        return await self._verbs["measure"]()

    async def waveform(self):
        """What was measured last, which then stays for a while; its parts are asked for in any order, also twice."""
        data, rate_hz, scale_g = await self._verbs["waveform"]()
        self._wave = data
        self._verbs["hold"]()
        return {"size": len(data), "crc": crc32(data), "rate_hz": rate_hz, "scale_g": scale_g, "part": _PART}

    async def waveform_part(self, at, crc):
        if self._wave is None or crc32(self._wave) != crc:
            raise ValueError("that waveform is gone")
        self._verbs["hold"]()
        return {"at": at, "data": bytes(memoryview(self._wave)[at : at + _PART])}

    async def relearn(self):
        self._verbs["relearn"]()

    async def log(self, at):
        lines = self._verbs["log"]()
        found = []
        size = 0
        for line in lines[at:]:
            size += len(line) + 3
            if size > _TEXT:
                break
            found.append(line)
        return {"lines": found, "next": at + len(found), "size": len(lines)}

    async def reboot(self):
        self._verbs["restart"](_BEFORE_RESTART_MS)

    async def rotate(self, key, generation):
        """Take a new device key beside the one in force; after the restart the node seals with it, and opens with both
        until it has opened a message under the new one."""
        keys = load("build.keys")
        path = self._root + keys.KEY
        held = keys.load_key(path)
        if held is None:
            raise ValueError("not enrolled")
        if generation != held[0] + 1:
            raise ValueError("generation: expected {}".format(held[0] + 1))
        keys.save_key(generation, key, held[1], path)
        self._verbs["announce"](generation)  # before the restart: the last that the old key seals
        self._verbs["restart"](_BEFORE_RESTART_MS)
        return {"generation": generation}

    async def retire(self, confirm):
        """Erase keys, configuration and records, once the answer has had its time to leave."""
        if confirm != self._name:
            raise ValueError("confirm: expected the node's name")
        self._verbs["erase"](_BEFORE_RESTART_MS)
