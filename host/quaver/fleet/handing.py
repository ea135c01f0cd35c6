"""Hands grants over by sealed commands: link keys to a gateway on a board, and to nodes what was revoked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from quaver.broker.address import BrokerUrl
from quaver.errors import OperationError, UnansweredError
from quaver.fleet.grants import Grants, GrantStore
from quaver.fleet.keys import KeyStore
from quaver.fleet.link_keys import LinkKey
from quaver.fleet.operator import Operator, Refused

_ROWS = 10  # of one command, which has 512 bytes
_NO_KEY = bytes(32)


def renew(store: GrantStore, grants: Grants, board: Callable[[str], Operator]) -> str:
    """Have a gateway hold the keys that it is to have now; returns what was done, in a line.

    board(name): commands a gateway on a board, entered. Raises GatewayError, OperationError.
    """
    keys = store.link_keys(grants)
    count = len(grants.granted())
    nodes = f"{count} node{'' if count == 1 else 's'}"
    if grants.file is not None:
        store.write(grants)
        return f"{grants.name}: the link keys of {nodes} are in {grants.file}; on its machine: --link-keys FILE"
    gone = [LinkKey(node_id, 1, 1, _NO_KEY) for node_id, grant in grants.nodes.items() if not grant.granted]
    rows = [key.row() for key in sorted(keys, key=lambda key: key.node_id)] + [key.row() for key in gone]
    with board(grants.name) as gateway:
        for part in _parts(rows):
            gateway.ask("grant", {"gateway": grants.name, "rows": b"".join(part)})
    return f"{grants.name}: has the link keys of {nodes}"


def _parts(rows: Sequence[bytes]) -> list[list[bytes]]:
    """What goes into one command each; the rows of a node stay together."""
    parts: list[list[bytes]] = [[]]
    for at, row in enumerate(rows):
        together = 1 + sum(other[:8] == row[:8] for other in rows[at + 1 :])
        if len(parts[-1]) + together > _ROWS:
            parts.append([])
        parts[-1].append(row)
    return [part for part in parts if part]


def tell(
    keys: KeyStore,
    store: GrantStore,
    grants: Grants,
    url: BrokerUrl,
    ca: Path | None,
    *,
    timeout_s: float,
    expires_s: float,
    say: Callable[[str], None],
) -> None:
    """Tell each node that does not know it yet what was revoked; the commands go to all before an answer is waited for.

    Raises UnansweredError when some have not answered: they are told the next time.
    """
    missing: list[str] = []
    with ExitStack() as stack:
        asked = []
        for node_id, generation in grants.untold().items():
            known = keys.get(node_id)
            if known is None:  # whoever has no key here is told by nobody, and takes nothing from here
                store.told(grants.name, node_id, generation)
                continue
            try:
                operator = Operator(url, keys, known.name, ca, timeout_s, expires_s, say)
                node = stack.enter_context(operator)
                asked.append(
                    (node, generation, node.send("revoke", {"gateway": grants.name, "generation": generation}))
                )
            except OperationError as error:
                say(str(error))
                missing.append(known.name)
        for node, generation, identity in asked:
            try:
                node.answer("revoke", identity)
            except Refused as refused:
                if refused.reason != "no gateway fetches its records":
                    say(str(refused))
                    missing.append(node.node.name)
                    continue
            except UnansweredError as error:
                say(str(error))
                missing.append(node.node.name)
                continue
            store.told(grants.name, node.node.node_id, generation)
    if missing:
        raise UnansweredError(
            f"gateway {grants.name}: not yet known to be revoked by {', '.join(sorted(missing))}; give them another "
            f"gateway, then try again: quaver gateway revoke {grants.name}"
        )
