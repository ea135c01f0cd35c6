"""Reads and writes random bytes and altered messages; on CPython and MicroPython alike.

No module beyond what a node has, and a generator of its own, so that the inputs are the same.
"""

from quaver_wire.cbor import encode
from quaver_wire.cose import Header
from quaver_wire.decoder import decode, loads
from quaver_wire.fields import MESSAGE_CLASSES, WireError
from quaver_wire.items import put_item


def seeds():
    """Messages of every class, sealed frames, and items that are near the edges."""
    buf = bytearray(512)
    records = (
        {
            "version": 2,
            "kind": 0,
            "node": "n1",
            "boot": 300,
            "seq": 70000,
            "uptime_ms": 2**33,
            "rms_g": 0.5,
            "skew": -1.5,
            "energy": [230.0, None, -1.0, 0.0, 1.0, 50.0, 900.5],
            "peaks": [100.0, 0.5],
            "abstained": "no sp\u00e9ed",
        },
        {"version": 2, "kind": 1, "code": 8, "value": 0.1, "limit": 4.5, "text": "why", "drops": [1, 2, 3]},
        {"version": 2, "kind": 2, "state": 1, "firmware": "0.1.0", "board": "pico_w", "interval_s": 60},
        {"version": 2, "kind": 3, "id": 1, "name": "x", "args": {"a": [1, None, True], "b": {"c": b"12"}}, "expiry": 9},
        {"version": 2, "kind": 4, "id": 1, "result": {"x": [-1, 0.5, "y"]}},
    )
    found = [bytes(buf[: encode(buf, record)]) for record in records]
    frame = b"\x83\x43\xa1\x01\x0a\xa2\x04\x49" + bytes(range(9))
    found.append(frame + b"\x06\x44\x07\x00\x00\x09\x58\x18" + bytes(24))
    found.append(frame + b"\x06\x47\xff\x00\x00\x01\x00\x00\x09\x48" + bytes(8))
    found.append(bytes((0x81, 0x81, 0x81, 0x9B, 0, 0, 0, 0, 0, 0, 0, 1)))
    found.append(bytes((0xA1, 0xF9, 0x7E, 0, 0xFA, 0x7F, 0xC0, 0, 0)))
    found.append(bytes((0x64, 0xF0, 0x90, 0x85, 0x91, 0x5B, 0xFF, 0xFF, 0xFF, 0xFF)))
    return found


def run(inputs, seed):
    """Returns [taken by the item reader, by the record reader, by the frame reader, refused by all]."""
    one, two, three = seed % 32362 + 1, 1, 1
    corpus = seeds()
    out = bytearray(1100)
    counts = [0, 0, 0, 0]
    for number in range(inputs):
        # L'Ecuyer's generator of three small ones (CACM 31, 1988, p. 749): no big integers on a 32-bit port
        def random(below):
            nonlocal one, two, three
            one = one * 157 % 32363
            two = two * 146 % 31727
            three = three * 142 % 31657
            return (one - two + three) % 32362 * below // 32362

        if random(4):
            data = bytearray(corpus[random(len(corpus))])
            for _ in range(random(3)):
                what = random(4)
                at = random(len(data)) if data else 0
                if what == 0 and data:
                    data[at] = random(256)
                elif what == 1 and data:
                    data[at] ^= 1 << random(8)
                elif what == 2:
                    data = data[:at]
                else:
                    data = data[:at] + bytes([random(256) for _ in range(1 + random(3))]) + data[at:]
        else:
            data = bytearray([random(256) for _ in range(random(48))])
        taken = False
        try:
            value = loads(data)
            taken = True
            counts[0] += 1
            end = put_item(out, 0, value, 4)
            if out[:end] != data:
                raise AssertionError("not written as it was read")
        except WireError:
            if taken:
                raise AssertionError("read, but not written")
        except Exception as error:
            raise AssertionError("{}: {}".format(repr(error), bytes(data)))
        for index, read in ((1, lambda: decode(data, MESSAGE_CLASSES[number % 5])), (2, lambda: Header(data))):
            try:
                read()
                counts[index] += 1
                taken = True
            except WireError:
                pass
            except Exception as error:
                raise AssertionError("{}: {}".format(repr(error), bytes(data)))
        counts[3] += not taken
    return counts
