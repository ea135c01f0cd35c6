"""What a node's own reason for not doing something means, and what to do."""

_MEANINGS = {
    "expired": "it reached the node after its expiry; send it again with a longer one (--expires)",
    "clock not set": "the node does not know the time, so it can't tell whether a command is late; "
    "check its time_server, or the gateway's clock",
    "not a gateway's command": "a gateway takes update, reboot and identify, and link keys; command the nodes behind "
    "it, and change its own configuration over its cable with quaver files",
    "memory": "it has too little memory free for that; an update fits while vibration is switched off: see "
    "docs/updates.md, Room in memory",
    "unknown command": "its firmware does not know this command; update it with quaver sync",
    "release refused: wrong_key": "it trusts another release key; sign the release with that one, or give the "
    "node this machine's key with quaver sync",
    "release refused: wrong_signature": "the release was changed after it was signed; publish it again",
    "release refused: old": "it runs that release or a later one; build one with a higher --sequence",
    "release refused: expired": "the release has expired; build it anew with a later --expires",
    "release refused: wrong_board": "the release is not for its board; build it with that one",
    "release refused: wrong_micropython": "the release is for another MicroPython than it runs; flash it by cable",
    "release refused: no_time": "it does not know the date, so it can't tell whether the release has expired; check "
    "its time_server",
    "not enrolled": "the node has no key; enrol it with quaver provision",
}


def in_words(reason: str) -> str:
    """For a person; a reason that is not known here stays as the node said it."""
    return _MEANINGS.get(reason, reason)
