# The other half of the virtual clock: asyncio's idle wait is one poll, and here a poll is what moves time.
from time import advance_us

POLLIN = 1
POLLOUT = 4


class poll:
    def register(self, *_):
        pass

    def unregister(self, *_):
        pass

    def ipoll(self, timeout_ms):
        if timeout_ms < 0:
            raise RuntimeError("every task waits for ever")
        advance_us(timeout_ms * 1000)
        return ()
