"""The provisioning room's radio: finds nodes that wait for a session by their advertisement, and connects to them.

bleak lives in an event loop of a thread of its own; the dialogue stays as it is over a cable. A connection that is
lost comes back with the next message that is sent: the session does not end with it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from quaver.errors import SessionError
from quaver_wire import chunks
from quaver_wire import gatt_session as gatt

SCHEME = "ble:"
"""Begins the name of where a node is: "ble:28:CD:C1:00:00:01"."""

_LOOK_S = 3.0  # a blank node advertises four times a second
_CONNECT_S = 10.0
_ATTEMPTS = 3
_WRITE_S = 5.0
_REAL_S = 60.0
_AT_ONCE = 4  # connections: an adapter holds some seven, and others use it too

Start = Callable[[Coroutine[Any, Any, Any]], "concurrent.futures.Future[Any]"]


class Bluetooth:
    """The machine's adapter. start: begins a coroutine in the loop where bleak is to live.

    settings: for bleak's scanner and client, as keyword arguments ({"backend": …}).
    """

    def __init__(
        self,
        start: Start | None = None,
        scanner: dict[str, Any] | None = None,
        client: dict[str, Any] | None = None,
    ) -> None:
        self._start = start or _in_a_thread()
        self._scanner = scanner or {}
        self._client = client or {}
        self._devices: dict[str, Any] = {}
        self._connecting = asyncio.Lock()
        self._places = threading.BoundedSemaphore(_AT_ONCE)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The coroutine's result. Raises SessionError when there is no Bluetooth or the peer is gone."""
        from bleak.exc import BleakError

        future = self._start(coroutine)
        try:
            return future.result(_REAL_S)
        except concurrent.futures.CancelledError:
            raise SessionError("Bluetooth: the connection was lost; move closer and try again") from None
        except (BleakError, TimeoutError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "no answer"
            raise SessionError(
                f"Bluetooth: {reason}; move closer, and check this machine's Bluetooth adapter"
            ) from error

    def find(self, seconds: float = _LOOK_S) -> dict[str, tuple[bytes, bool]]:
        """Where -> (id, whether it is enrolled), of the nodes that wait for a session. Raises SessionError."""
        found: dict[str, tuple[bytes, bool]] = self.run(self._find(seconds))
        return found

    async def _find(self, seconds: float) -> dict[str, tuple[bytes, bool]]:
        from bleak import BleakScanner

        found: dict[str, tuple[bytes, bool]] = {}

        def heard(device: Any, advertisement: Any) -> None:
            about = gatt.parse_service_data(advertisement.service_data.get(gatt.SERVICE, b""))
            if about is not None:
                where = SCHEME + device.address
                found[where] = (about[0], bool(about[1] & gatt.ENROLLED))
                self._devices[where] = device

        async with BleakScanner(heard, **self._scanner):
            await asyncio.sleep(seconds)
        return found

    def open(self, where: str) -> BleTransport:
        """A node that `find` has found, or one whose address is known. Raises SessionError."""
        self._places.acquire()
        return BleTransport(self, where, self._places.release)

    async def connect(self, where: str, gone: Callable[[Any], None]) -> Any:
        """In the loop: a connected bleak client."""
        from bleak import BleakClient
        from bleak.exc import BleakError

        device = self._devices.get(where, where.removeprefix(SCHEME))
        async with self._connecting:  # adapters do one at a time
            for attempts_left in range(_ATTEMPTS - 1, -1, -1):
                client = BleakClient(device, gone, timeout=_CONNECT_S, services=[gatt.SERVICE], **self._client)
                try:
                    await client.connect()
                    break
                except (BleakError, TimeoutError):  # the very first packet may be the one that is lost
                    if not attempts_left:
                        raise
            return client


class BleTransport:
    """Session messages to and from one node. Connects when there is something to send. Raises SessionError."""

    def __init__(self, bluetooth: Bluetooth, where: str, release: Callable[[], None]) -> None:
        self._bluetooth = bluetooth
        self._where = where
        self._release: Callable[[], None] | None = release
        self._client: Any = None
        self._inbox: queue.Queue[bytes] = queue.Queue(64)
        self._assembler = chunks.Assembler(gatt.MESSAGE_MAX)

    def send(self, message: bytes) -> None:
        self._bluetooth.run(self._send(message))

    async def _send(self, message: bytes) -> None:
        client = self._client
        if client is None or not client.is_connected:
            client = await self._connect()
        down = self._characteristic(client, gatt.TO_NODE)
        size = min(max(down.max_write_without_response_size, chunks.SIZE_MIN), chunks.SIZE_MAX)
        buffer = bytearray(chunks.SIZE_MAX)
        async with asyncio.timeout(_WRITE_S):
            for length in chunks.split(message, size, buffer, gatt.MESSAGE_MAX):
                await client.write_gatt_char(down, bytes(buffer[:length]), response=True)

    async def _connect(self) -> Any:
        self._assembler.reset()
        client = await self._bluetooth.connect(self._where, lambda _: None)
        self._client = client
        await client.start_notify(self._characteristic(client, gatt.TO_HOST), self._heard)
        return client

    def _characteristic(self, client: Any, uuid: str) -> Any:
        found = client.services.get_characteristic(uuid)
        if found is None:
            raise OSError(f"{self._where} is not a node that waits for a session")
        return found

    def _heard(self, _characteristic: object, data: bytearray) -> None:
        """In the loop. What keeps to no protocol, and what nobody fetches, is dropped: the session asks again."""
        try:
            message = self._assembler.feed(bytes(data))
        except chunks.ChunkError:
            return
        if message is not None and not self._inbox.full():
            self._inbox.put_nowait(message)

    def receive(self, timeout: float) -> bytes | None:
        try:
            return self._inbox.get(timeout=max(timeout, 0.0))
        except queue.Empty:
            return None

    def close(self) -> None:
        client, self._client = self._client, None
        release, self._release = self._release, None
        try:
            if client is not None and client.is_connected:
                self._bluetooth.run(client.disconnect())
        except SessionError:
            pass  # it is gone already
        finally:
            if release is not None:
                release()


def _in_a_thread() -> Start:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="bluetooth", daemon=True).start()
    return lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop)
