"""What aioble asks of `bluetooth`: one scan, which hears one advertisement, and advertising, which nobody answers."""


class UUID:
    def __init__(self, number):
        self.number = number

    def __iter__(self):
        return iter(self.number.to_bytes(2, "little"))


class BLE:
    advertised = []

    def irq(self, handler):
        self.handler = handler

    def active(self, on=None):
        return True

    def gap_advertise(self, interval_us, **payload):
        self.advertised.append((interval_us, payload))

    def gap_scan(self, duration_ms, *timing):
        if duration_ms is not None:
            self.handler(5, (1, b"\x28\x01\x02\x03\x04\x05", 0, -40, b"\x02\x01\x06\x03\x08n7"))
        self.handler(6, None)
