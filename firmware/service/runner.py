"""The runner of commands: whatever link a command came by, it is in time and well formed, and done once, or it is not.

That a message is new is the downlink's to say (service.downlink, service.replay); what its window knows is on flash
before the work begins. A command also has an id: who got no answer sends it again in a new message with the same id,
and it is answered again and not done again. So a command is done at most once; a power cut in the middle shows as no
answer, and asking again then says that it was begun.
"""

import asyncio

from micropython import const

from node import store
from node.room import drop, load

_KEPT = const(4)  # answers for commands that come again: of those that are noted, the rest is read again
_IDS = const(8)  # ids of commands that were begun, on flash
_FILE_MAX = const(200)
_LIMIT_S = const(60)
_NO_CLOCK = "clock not set"


def taken(path="/commands.taken"):
    """(state of the downlink's window or None, ids that were begun), as the last run left them.

    Raises ValueError for a file that is no longer whole: it may hide a replay, so no command is to be taken.
    """
    try:
        with open(path) as file:
            words = file.read(_FILE_MAX).split()
    except OSError:
        return None, []
    if not words or len(words) > 1 + _IDS:
        raise ValueError("{} is corrupt".format(path))
    return bytes.fromhex(words[0]), [int(word) for word in words[1:]]


class Runner:
    """node: what the commands work on, of service.obey. now_ms(): milliseconds since 1970, or None while the clock is
    not set. window: the downlink's, of service.replay. ids: of `taken`; kept up to date. names: of the commands that
    this board takes, None for all.
    """

    def __init__(self, node, now_ms, window, ids, path="/commands.taken", names=None):
        self._node = node
        self._now_ms = now_ms
        self._window = window
        self.ids = ids
        self._path = path
        self._names = names
        self._answers = []
        self._busy = asyncio.Lock()

    async def run(self, command):
        """Carry out a command, fields by name: "id", "name", "args", "expiry". Returns the fields of its answer:
        "id", and "result" or "error"."""
        async with self._busy:
            identity = command.get("id")
            for answer in self._answers:
                if answer["id"] == identity:
                    return answer
            answer = {"id": identity}
            try:
                answer["result"] = await self._carry_out(identity, command) or {}
            except asyncio.TimeoutError:
                answer["error"] = "took too long"
            except MemoryError as error:  # what was read for the command is given back, so there is some to say so
                print("node: commands:", error)
                answer["error"] = "memory"
            except (ValueError, OSError) as error:
                answer["error"] = str(error)[:90] or type(error).__name__
                if answer["error"] == _NO_CLOCK:
                    return answer  # sent again later it may well be done
            if identity in self.ids:
                self._answers.append(answer)
                if len(self._answers) > _KEPT:
                    self._answers.pop(0)
            return answer

    def _note(self, identity):
        """Have on flash that this command, and the message that it came in, were taken. Raises OSError."""
        self.ids = self.ids[1 - _IDS :] + [identity]
        words = [self._window.state().hex()] + [str(known) for known in self.ids]
        store.replace(self._path, " ".join(words).encode())

    async def _carry_out(self, identity, command):
        expiry = command.get("expiry")
        now = self._now_ms()
        if identity is None or expiry is None:
            raise ValueError("no id or no expiry")
        if now is None:
            raise ValueError(_NO_CLOCK)
        if now > expiry:
            raise ValueError("expired")
        if identity in self.ids:
            raise ValueError("was begun before the last restart")
        try:
            work = _command(command.get("name"), self._names)
            arguments = command.get("args") or {}
            _check(work.ARGUMENTS, arguments)
            if work.NOTED:
                self._note(identity)
            return await asyncio.wait_for(work.run(self._node, **arguments), _LIMIT_S)
        finally:
            drop("command", "build", "hal.chip", "board", "quaver_wire.hkdf")


def _command(name, names):
    """The module of that command. Raises ValueError when there is none, or one that is not for this board."""
    if names and name not in names:
        raise ValueError("not a gateway's command")
    if isinstance(name, str) and name.replace("_", "").isalpha():
        try:
            found = load("command." + name)
            if hasattr(found, "ARGUMENTS"):  # else it is what commands share
                return found
        except ImportError:
            pass
    raise ValueError("unknown command")


def _check(wanted, arguments):
    """Raises ValueError unless the arguments are just these, of their types and within their bounds."""
    if not isinstance(arguments, dict) or len(arguments) != len(wanted):
        raise ValueError("expected {} arguments".format(len(wanted)))
    for key, kind, low, high in wanted:
        if key not in arguments:
            raise ValueError("{}: missing".format(key))
        value = arguments[key]
        if type(value) is not kind or not low <= (value if kind is int else len(value)) <= high:
            raise ValueError("{}: expected {} from {} to {}".format(key, kind.__name__, low, high))
