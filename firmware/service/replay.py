"""The window of what was received: a message is taken once, and after a restart it is still known.

As in OSCORE (RFC 8613, 7.4): the highest number so far and a bit for each of the 32 up to it. Here a number is the
sender's boot and its sequence number within that boot; nothing of an earlier boot is taken any more.
"""

from micropython import const

_SIZE = const(32)
_STATE = const(11)  # boot 4, highest seq 3, bits 4, big endian


class Window:
    """state: what `state()` once gave, or None for a sender that was never heard. Raises ValueError for other bytes.

    After a message was taken its new state must be on flash before anything is done that the message asks for: a
    message that was acted on and forgotten could be sent again.
    """

    def __init__(self, state=None):
        if state is None:
            state = bytes(_STATE)
        if len(state) != _STATE:
            raise ValueError("replay window: expected 11 bytes, found {}".format(len(state)))
        self._boot = int.from_bytes(state[0:4], "big")
        self._seq = int.from_bytes(state[4:7], "big")
        self._bits = int.from_bytes(state[7:11], "big")  # bit 0: the highest seq itself

    def refuses(self, boot, seq):
        """Why a message of this boot and seq is not to be taken: "old_boot", "replay", or None for one that is new."""
        if boot < self._boot:
            return "old_boot"
        if boot > self._boot or seq > self._seq:
            return None
        behind = self._seq - seq
        return "replay" if behind >= _SIZE or self._bits >> behind & 1 else None

    def take(self, boot, seq):
        """Note a message that was new and whose tag was right; only such a one, or anybody could shift the window."""
        if boot > self._boot:
            self._boot = boot
            self._seq = seq
            self._bits = 1
        elif seq > self._seq:
            ahead = seq - self._seq
            self._bits = (self._bits << ahead if ahead < _SIZE else 0) & 0xFFFFFFFF | 1
            self._seq = seq
        else:
            self._bits |= 1 << self._seq - seq

    def state(self):
        """11 bytes for flash."""
        return self._boot.to_bytes(4, "big") + self._seq.to_bytes(3, "big") + self._bits.to_bytes(4, "big")
