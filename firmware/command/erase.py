"""Takes a node out of service: its secrets leave the file system, and then the flash itself."""

import os

from micropython import const

if False:  # types alone: never compiled
    from collections.abc import Callable, Iterable

SECRETS = (
    "/device.key",  # first: from here on the node is blank
    "/config.json",
    "/config.next",
    "/config.before",
    "/config.rejected",
    "/config.tried",
    "/condition.json",
    "/condition2.json",
    "/condition3.json",
    "/condition4.json",
    "/alarm.wave",
    "/commands.taken",
    "/rules.tripped",
    "/gateways.revoked",
    "/link.keys",
    "/session.tries",
)
_FILL = "/erase.fill"
_BLOCK = const(4096)
_CHURN = const(80)  # small files, so that the root folder's log is rewritten, and the block it was in erased


def erase(more: "Iterable[str]" = (), root: str = "", progress: "Callable | None" = None) -> None:
    """Remove all that makes this node this node, then use up the free flash, so that no block keeps what was in it.

    session.code, the boot counter and random.seed stay: the label is still true, and no nonce is ever used twice.
    A file system that never writes in place leaves what it removed where it was, until the block is needed again.
    more: further paths (the journal's). progress(): called for each block, to feed a watchdog. A cut after the first
    removal leaves a blank node; erase again.
    """
    for name in SECRETS + tuple(more):
        for path in (root + name, root + name + ".new"):
            try:
                os.remove(path)
            except OSError:
                pass
    block = bytes(_BLOCK)
    for _ in range(2):
        try:
            with open(root + _FILL, "wb") as file:
                while True:
                    file.write(block)
                    if progress:
                        progress()
        except OSError:  # full
            pass
        try:
            os.remove(root + _FILL)
        except OSError:
            pass
        for _ in range(_CHURN):
            with open(root + _FILL, "wb") as file:
                file.write(block[:100])
            os.remove(root + _FILL)
