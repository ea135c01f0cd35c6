"""The console of an emulated board: one hub that joins the guest's bytes to a TCP port and to ptys.

The guest's side is two calls: the board hands `feed` what the guest printed, and gets what clients typed by
`send`. The clients' side is an address that pyserial and mpremote open: a loopback TCP port, always there,
and a pseudo-terminal for tools that want a port. All clients share the one console, as on a real UART.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import socket
import threading
import tty
from collections.abc import Callable, Iterator

_HISTORY = 64 * 1024  # bytes kept for `history`
_BACKLOG = 1024 * 1024  # bytes a client may lag behind before it is let go
_CHUNK = 16 * 1024
_PTY_POLL_S = 0.02  # how often a pty that nobody holds open is looked at: the kernel has no event for it


class _Client:
    """One end of the console: a TCP connection, or the master side of a pty."""

    def __init__(self, fd: int, sock: socket.socket | None) -> None:
        self.fd = fd
        self.sock = sock
        self.pending = bytearray()
        self.listening = sock is not None  # a pty listens only while somebody holds it open

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()
        else:
            os.close(self.fd)


class Console:
    """Joins one guest to any number of clients; runs a thread of its own from construction to `close`.

    send: called in the hub's thread with the bytes that a client typed; left: when a client has closed its connection.
    """

    def __init__(self, send: Callable[[bytes], None], left: Callable[[], None] = lambda: None) -> None:
        self._send = send
        self._left = left
        self._lock = threading.Lock()
        self._history = bytearray()
        self._quiet = 0
        self._closed = False
        self._clients: dict[int, _Client] = {}
        self._selector = selectors.DefaultSelector()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setblocking(False)
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._selector.register(self._server, selectors.EVENT_READ)
        self._selector.register(self._wake_in, selectors.EVENT_READ)
        self.port: int = self._server.getsockname()[1]
        self.address = f"socket://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)
        self._thread.start()

    # The guest's side.

    def feed(self, data: bytes) -> None:
        """What the guest printed: to every client, and to the history. From any thread; never blocks."""
        if not data:
            return
        with self._lock:
            if self._closed:
                return
            if not self._quiet:
                self._history += data
                if len(self._history) > _HISTORY:
                    del self._history[:-_HISTORY]
            for client in self._clients.values():
                if client.listening:
                    client.pending += data
        self._wake()

    # The board's side.

    def history(self) -> bytes:
        """The last 64 KiB that the guest printed outside of `quiet`."""
        with self._lock:
            return bytes(self._history)

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """While it lasts, the guest's output goes to the clients alone (an exec reads it there)."""
        with self._lock:
            self._quiet += 1
        try:
            yield
        finally:
            with self._lock:
                self._quiet -= 1

    def open_pty(self) -> str:
        """A new pseudo-terminal on the same console; returns its path, such as "/dev/pts/3"."""
        master, slave = os.openpty()
        tty.setraw(slave)
        path = os.ttyname(slave)
        os.close(slave)  # from here on, the master hangs up whenever no client holds the terminal open
        os.set_blocking(master, False)
        with self._lock:
            if self._closed:
                os.close(master)
                return path
            self._clients[master] = _Client(master, None)
        self._wake()
        return path

    def close(self) -> None:
        """Ends the thread and closes every client's connection. May be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._wake()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    # The hub's thread.

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full means that it will wake anyway; closed, that it is over
            self._wake_out.send(b"\0")

    def _run(self) -> None:
        try:
            while not self._closed:
                idle_pty = self._watch()
                for key, events in self._selector.select(_PTY_POLL_S if idle_pty else None):
                    if key.fileobj is self._server:
                        self._accept()
                    elif key.fileobj is self._wake_in:
                        with contextlib.suppress(BlockingIOError):
                            self._wake_in.recv(4096)
                    else:
                        self._serve(self._clients[key.fd], events)
        finally:
            self._selector.close()
            for client in self._clients.values():
                client.close()
            self._clients.clear()
            for end in (self._server, self._wake_in, self._wake_out):
                end.close()

    def _watch(self) -> bool:
        """Register each client for what it waits for; True when a pty lies unopened and needs polling."""
        idle = False
        with self._lock:
            for client in list(self._clients.values()):
                if client.sock is None:
                    client.listening = not _hung_up(client.fd)
                    if not client.listening:
                        idle = True
                        client.pending.clear()
                if len(client.pending) > _BACKLOG:
                    self._drop(client)
                    continue
                wanted = 0
                if client.listening:
                    wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.pending else 0)
                key = self._selector.get_map().get(client.fd)
                if key is None:
                    if wanted:
                        self._selector.register(client.fd, wanted)
                elif not wanted:
                    self._selector.unregister(client.fd)
                elif key.events != wanted:
                    self._selector.modify(client.fd, wanted)
        return idle

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            sock, _ = self._server.accept()
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._clients[sock.fileno()] = _Client(sock.fileno(), sock)

    def _serve(self, client: _Client, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            with self._lock:
                try:
                    sent = os.write(client.fd, memoryview(client.pending)[:_CHUNK].tobytes())
                    del client.pending[:sent]
                except BlockingIOError:
                    pass
                except OSError:
                    client.pending.clear()
        if events & selectors.EVENT_READ:
            try:
                data = os.read(client.fd, _CHUNK)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if data:
                self._send(data)
            elif client.sock is not None:
                with self._lock:
                    self._drop(client)

    def _drop(self, client: _Client) -> None:
        if client.fd in self._selector.get_map():
            self._selector.unregister(client.fd)
        del self._clients[client.fd]
        client.close()
        self._left()


def _hung_up(fd: int) -> bool:
    """Whether no process holds the slave side of this pty open."""
    poll = select.poll()
    poll.register(fd, 0)
    return any(event & select.POLLHUP for _, event in poll.poll(0))
