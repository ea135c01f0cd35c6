"""The numbers of commands to nodes: a pair of boot and sequence number that is never sent twice to a node.

They are part of each command's nonce, and a nonce that comes twice opens both messages. So a number is on the disk
before it is used, in a file beside the keys, and whoever else commands from the same store takes the next one. The
"boot" is the time, in seconds, at which a stretch of numbers began, and a stretch lasts an hour: a store that comes
back from a copy goes on with higher numbers than it ever gave, unless the copy is younger than that. One that
`quaver keys restore` made goes on with higher ones at once (`jump`).

Technicians on several machines may share the folder, and not every file system there keeps its promise of a lock, or
shows the file as another machine has just written it. So a number is also claimed by a file that only one can create
(O_EXCL, which NFS from version 3 on and SMB do at the server): whoever finds it claimed takes the next one.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from quaver.errors import KeyStoreError
from quaver.files.private import read_private, write_private
from quaver.fleet.locks import locked

_FILE = "commands.json"
_LOCK = ".commands.lock"
_CLAIMS = ".commands.claims"  # a folder
_CLAIM_S = 86_400  # that a claim is kept: two machines' clocks, and what they see of the file, differ by less
_FILE_MAX = 8 << 20
_STRETCH_S = 3600
_SEQ_END = 1 << 24
_JUMP_S = 86_400
_LEAST = "least"  # in the node's stead: above which the numbers of nodes begin that the file does not have


class Counter:
    """folder: the key store's. clock: seconds since 1970. Raises KeyStoreError."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = folder / _FILE
        self._lock = folder / _LOCK
        self._claims = folder / _CLAIMS
        self._clock = clock

    def take(self, node_id: bytes) -> tuple[int, int]:
        """The next (boot, seq) for a node; nobody is given it again."""
        with locked(self._lock, needed=False):  # else the claim alone decides
            known = self._read()
            now = int(self._clock())
            boot, seq = known.get(node_id.hex()) or known.get(_LEAST, (0, 0))
            if now - boot >= _STRETCH_S or seq + 1 >= _SEQ_END:
                boot, seq = max(boot + 1, now), -1
            seq = self._claimed(node_id.hex(), boot, seq + 1, now)
            known[node_id.hex()] = (boot, seq)
            write_private(self.path, json.dumps(known).encode(), KeyStoreError)
            return boot, seq

    def _claimed(self, node: str, boot: int, seq: int, now: int) -> int:
        """The first sequence number from `seq` on that nobody has claimed, claimed."""
        try:
            self._claims.mkdir(mode=0o700, exist_ok=True)
            if seq == 0:  # a stretch begins: what nobody can come back to is cleared away
                for old in self._claims.glob(f"{node}-*"):
                    if int(old.name.split("-")[1]) < now - _CLAIM_S:
                        old.unlink(missing_ok=True)
            while True:
                try:
                    path = self._claims / f"{node}-{boot}-{seq}"
                    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
                    return seq
                except FileExistsError:
                    seq += 1
                    if seq >= _SEQ_END:
                        raise KeyStoreError(
                            f"{self._claims}: all numbers of this hour are taken; wait for an hour"
                        ) from None
        except OSError as error:
            raise KeyStoreError(
                f"{self._claims}: can't be written ({error.strerror}); nothing was sent: check owner and disk"
            ) from error

    def jump(self) -> None:
        """Go on, for all nodes, above every number that may have been given since this file was copied.

        That is a day and a drawn part of a second one above the date and above the highest number here: a store whose
        clock was not a day ahead gave none so high, and of two that jump from one copy each has its own.
        """
        with locked(self._lock, needed=False):  # else the claim alone decides
            known = self._read()
            highest = max((boot for boot, _ in known.values()), default=0)
            least = max(highest, int(self._clock())) + _JUMP_S + secrets.randbelow(_JUMP_S)
            known = dict.fromkeys(known, (least, -1)) | {_LEAST: (least, -1)}
            write_private(self.path, json.dumps(known).encode(), KeyStoreError)

    def _read(self) -> dict[str, tuple[int, int]]:
        data = read_private(self.path, _FILE_MAX, KeyStoreError)
        if data is None:
            return {}
        try:
            return {node: (int(boot), int(seq)) for node, (boot, seq) in json.loads(data).items()}
        except (ValueError, TypeError, AttributeError):
            raise KeyStoreError(
                f"{self.path}: corrupt, and not changed; move it away: the numbers then start again from the time"
            ) from None
