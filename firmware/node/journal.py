"""A log on flash that no power cut can tear: records in order, read from one end, until each is acknowledged.

A log is a folder on littlefs, which makes a file's new content visible as a whole when the file is closed, or not at
all. In it lie segments, files named by number that only grow and are removed when all of them has been read, and one
small file, "state": where reading and writing stand, the runs of records that were given up, and the newest entries
("staged"). A state of up to 512 bytes lies inside littlefs's own metadata, so that writing it costs a page or two and
an erase every tenth time, while every append to a segment copies a block and costs an erase. So entries are staged
until they no longer fit, and then go to a segment together:

    ram --_save--> staged --no room: _append, _save--> segment --done, _save--> gone
    ram, staged   --done--> gone

A cut between an append and its state leaves a state that says a smaller size of the segment than it has: what it
staged is in the segment already, and is passed over.
"""

import os

from micropython import const

from node import entry as codec
from node import state
from node.room import opened

LAST_SEQ = 0xFFFFFF  # of a boot: 3 bytes on the wire

_AHEAD = const(1024)  # a file whose number is farther off is none of ours
_BUFFER = const(1024)  # bytes that a log works in; logs may share them

SEGMENT = 8192  # bytes at which a segment is full: two blocks, and what is given up at once when flash is


def event_and_telemetry(path):
    """The two logs of a folder, which is made when missing: of telemetry, and of all else."""
    try:
        os.mkdir(path)
    except OSError:
        pass  # it is there; if it can't be made, the first write says so
    buffer = bytearray(_BUFFER)
    return Log(path + "/event", buffer), Log(path + "/telemetry", buffer)


class Log:
    """path: its folder, made when missing; buffer: 1024 bytes of scratch. Every verb may raise OSError.

    ram: the entries that no segment holds yet, oldest first; `staged` of them are on flash. count: entries in
    segments. gaps: runs of records that were given up, flat: boot, first seq, last seq, …; kept on flash with the
    state. floor: (boot, seq) as the state on flash has it. damaged: bytes that made no sense since it was last zero;
    torn: they are not yet bounded by an entry behind them.
    """

    def __init__(self, path, buffer):
        self.name = path.rpartition("/")[2]
        self._path = path + "/"
        self._buffer = buffer
        self.ram = []
        self.staged = 0
        self.gaps = []
        self.told = 0  # how many numbers of gaps are being told: they stay as they are
        self.damaged = 0
        self.count = 0
        self.floor = (0, 0)
        self._read = self._at = self._write = self._size = 0
        self._passed = (0, 0)  # the last entry that left: what is missing behind it is told from here
        self.torn = False
        self._head = None
        try:
            os.mkdir(path)
        except OSError:
            pass  # it is there; if it can't be made, the first write says so
        self._recover()

    # --- flash ---

    def _length(self, segment):
        try:
            return os.stat(self._path + str(segment))[6]
        except OSError:
            return 0

    def _numbers(self):
        try:
            return sorted(int(name) for name in os.listdir(self._path[:-1]) if name.isdigit())
        except OSError:
            return []

    def _recover(self):
        numbers = self._numbers()
        if self._load():
            last = self._write
            while last + 1 in numbers and self._length(last + 1):
                last += 1
        else:
            self._read = self._write = numbers[0] if numbers else 0
            last = max([self._read] + [number for number in numbers if number - self._read < _AHEAD])
        for number in numbers:
            if not self._read <= number <= last:
                self._remove(number)  # done with before a cut, or none of ours
        self._oldest = self._read
        if last > self._write or self._length(self._write) > self._size:
            self.ram.clear()  # an append came after that state: what it staged is in the segment
            self.staged = 0
            found = (self.damaged, self.torn)
            at = self._size
            for segment in range(self._write, last + 1):
                self._size = self._length(segment)
                self._write = segment
                self._walk(segment, at, self._counted)
                at = 0
            self.damaged, self.torn = found  # of the segments it will be met again when they are read
            self._roll()

    def _counted(self, entry):
        self.count += 1

    def _load(self):
        """Take the state from flash; False when there is none that makes sense."""
        found = state.read(self._path + "state", self._buffer)
        if found[-1]:
            self._corrupt(found[-1])
        if found[0] is None:
            return False
        numbers, self.gaps, torn, self.ram, _ = found
        self.torn = self.torn or torn
        self._read, self._at, self._write, self._size, self.count = numbers[:5]
        self._passed = numbers[5:7]
        self.floor = numbers[7:]
        self.staged = len(self.ram)
        return True

    def _save(self, staged, floor):
        """Put the state on flash, with the first `staged` entries of ram."""
        numbers = (self._read, self._at, self._write, self._size, self.count) + tuple(self._passed) + tuple(floor)
        path = self._path + "state"
        state.write(path, self._buffer, numbers, gaps=self.gaps, torn=self.torn, entries=self.ram[:staged])
        self.staged = staged
        self.floor = floor

    def _append(self):
        """Move all of ram to the newest segment."""
        size = self._size
        with opened(self._path + str(self._write), "ab") as file:
            for entry in self.ram:
                end = codec.pack(entry, self._buffer, 0)
                file.write(memoryview(self._buffer)[:end])
                size += end
        self._size = size
        self.count += len(self.ram)
        self.ram.clear()
        self.staged = 0
        self._roll()

    def _roll(self):
        """Begin a new segment when the newest is full. At once: a state must never name a segment that is done with
        as the one that the next append makes longer."""
        if self._size >= SEGMENT:
            self._write += 1
            self._size = 0

    def _remove(self, segment):
        try:
            os.remove(self._path + str(segment))
        except OSError:
            pass  # the next start tries again: what lies before the read position is of no use

    def _sweep(self):
        """Remove the segments that the state on flash no longer names."""
        while self._oldest < self._read:
            self._remove(self._oldest)
            self._oldest += 1

    # --- reading ---

    def _next(self, file, at, end):
        """The first valid entry from `at` on and the offset behind it, or None and `end`."""
        buffer = self._buffer
        base = have = 0
        began = at
        while at < end:
            if min(at + codec.LONGEST, end) > base + have:
                file.seek(at)
                base = at
                have = file.readinto(buffer)
                if not have:
                    break
            size = codec.whole(buffer, at - base, have)
            if size:
                if at > began:
                    self._corrupt(at - began)
                return codec.unpack(buffer, at - base, size), at + size
            at += 1
        if end > began:
            self._corrupt(end - began)
        return None, end

    def _corrupt(self, size):
        self.damaged += size
        self.torn = True

    def _walk(self, segment, at, take):
        """take(entry) for each of a segment's entries from `at` on."""
        end = self._length(segment)
        try:
            with opened(self._path + str(segment), "rb") as file:
                while at < end:
                    entry, at = self._next(file, at, end)
                    if entry:
                        take(entry)
        except OSError:
            self._corrupt(end - at)

    def first(self):
        """The oldest entry, or None."""
        while self._head is None and (self._read, self._at) != (self._write, self._size):
            end = self._length(self._read)
            try:
                with opened(self._path + str(self._read), "rb") as file:
                    self._head, self._after = self._next(file, self._at, end)
            except OSError:
                self._corrupt(max(1, end - self._at))
            if self._head is None:
                if end < (self._size if self._read == self._write else SEGMENT):
                    self._corrupt(1)  # cut off behind a whole entry: a segment that is not the newest is full
                self._leave()
        if self._head is None:
            self.count = 0
        entry = self._head or (self.ram[0] if self.ram else None)
        if entry and self.torn:
            self.bridge(entry.boot, entry.seq)
        return entry

    def _leave(self):
        """Stand at the start of the next segment, which is a new one behind the newest."""
        if self._read == self._write:
            self._write += 1
            self._size = 0
        self._read += 1
        self._at = 0

    def done(self, floor):
        """The first entry has arrived where it was to go: it leaves, on flash too before this returns."""
        entry = self.first()
        self._passed = entry[1:3]
        if self._head is None:
            self.ram.pop(0)
            if self.staged:
                self._save(self.staged - 1, floor)
            return
        self._head = None
        self.count -= 1
        self._at = self._after
        if self._at >= (self._size if self._read == self._write else self._length(self._read)):
            self._leave()
        self._save(self.staged, floor)
        self._sweep()

    # --- writing ---

    def persist(self, floor):
        """See to it that all of ram is on flash. When flash is full nothing has changed."""
        if sum(len(entry.payload) + codec.EXTRA for entry in self.ram) > state.room(self.gaps):
            self._append()
        self._save(len(self.ram), floor)

    def stamp(self, floor):
        """Put the state on flash as it stands, for its floor and its gaps."""
        self._save(self.staged, floor)

    def segments(self):
        """How many segments hold something."""
        return self._write - self._read + (1 if self._size else 0)

    def give_up(self):
        """Add all entries of the oldest segment to the gaps; `drop` then removes them."""
        self._head = None
        self._walk(self._read, self._at, self._given_up)

    def _given_up(self, entry):
        if self.torn:
            self.bridge(entry.boot, entry.seq)
        self.count -= 1
        self.gap(entry.boot, entry.seq, entry.seq)
        self._passed = entry[1:3]

    def drop(self, floor):
        """Remove the oldest segment; the state that no longer names it holds the gaps."""
        self._leave()
        self._save(self.staged, floor)
        self._sweep()

    def forget(self):
        """Give up the oldest entry of ram."""
        entry = self.ram.pop(0)
        self.staged -= 1 if self.staged else 0
        self.gap(entry.boot, entry.seq, entry.seq)
        self._passed = entry[1:3]

    # --- gaps ---

    def gap(self, boot, first, last):
        gaps = self.gaps
        if first > last:
            return
        if len(gaps) > self.told and gaps[-3] == boot and gaps[-1] + 1 == first:
            gaps[-1] = last
        else:
            gaps += (boot, first, last)

    def bridge(self, boot, seq):
        """Something before (boot, seq) made no sense: whatever is missing since the last entry was in it."""
        self.torn = False
        before, last = self._passed
        if before == boot:
            self.gap(boot, last + 1, seq - 1)
            return
        if before:
            self.gap(before, last + 1, LAST_SEQ)
            for between in range(max(before + 1, boot - state.RUNS_MAX), boot):
                self.gap(between, 0, LAST_SEQ)
        self.gap(boot, 0, seq - 1)
