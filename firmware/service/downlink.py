"""Takes in what a node is sent: opened, new, and only then decoded; all else is refused, by name, and counted."""

from node.room import drop, load
from quaver_wire.cose import Header
from quaver_wire.fields import WireError


class Refused(Exception):
    """A message that is not taken; args[0] is why.

    malformed, unknown_node, wrong_key (another key or class, or an altered bit), old_boot, replay, wrong_version
    """


class Downlink:
    """node_id: this node's own 8 bytes; channels: {generation: Channel} of the downlink; window: a replay.Window.

    While a key is changed there are two channels. The first message under the newer one drops the older: `newest`
    tells the generation, so that the owner forgets the old key on flash. `counts`: {why: how often}.
    """

    def __init__(self, node_id, channels, window, longest=512):
        self._node_id = node_id
        self._window = window
        self._out = bytearray(longest)
        self.channels = channels
        self.newest = 0
        self.counts = {}

    def open(self, message_class, message):
        """The record in `message`; raises Refused. The window's state must be saved before the record is acted on."""
        why = "malformed"
        try:
            header = Header(message)
            channel = self.channels.get(header.generation)
            if header.node_id != self._node_id or channel is None:
                why = "unknown_node"
                raise WireError
            length = channel.open(header, message_class, message, self._out)
            if length < 0:
                why = "wrong_key"
                raise WireError
            refused = self._window.refuses(header.boot, header.seq)
            if refused:
                why = refused
                raise WireError
            self._window.take(header.boot, header.seq)
            record = _decode(self._out, message_class, length)
            if record is None:
                why = "wrong_version"
                raise WireError
        except WireError:
            self.counts[why] = self.counts.get(why, 0) + 1
            raise Refused(why)
        if header.generation > self.newest:
            self.newest = header.generation
            for generation in list(self.channels):
                if generation < self.newest:
                    del self.channels[generation]
        return record


def _decode(data, message_class, length):
    """The record, or None for another version's; what reads it (5 kB) is given back at once."""
    decoder = load("quaver_wire.decoder")
    try:
        return decoder.decode(data, message_class, length)
    except decoder.VersionError:
        return None
    finally:
        drop("quaver_wire.decoder")
