"""HMAC_DRBG with SHA-256 (NIST SP 800-90A Rev. 1, 10.1.2): random numbers out of what it was seeded with."""


class Drbg:
    """seed: entropy input of at least 256 bits, nonce and personalisation string, one behind the other (10.1.2.3).

    Its counter of reseeds is left out: no board comes to the 2**48 requests that it limits (table 2).
    """

    def __init__(self, seed: bytes) -> None:
        self._key = bytes(32)
        self._value = b"\1" * 32
        self.reseed(seed)

    def reseed(self, data: bytes) -> None:
        """Mix in `data`: entropy input and additional input, one behind the other (10.1.2.2 and 10.1.2.4)."""
        from quaver_wire.hkdf import hmac  # dropped and read again now and then: no module may hold it

        for separator in (b"\0", b"\1") if data else (b"\0",):
            self._key = hmac(self._key, self._value + separator + data)
            self._value = hmac(self._key, self._value)

    def generate(self, count: int, additional: bytes = b"") -> bytes:
        """`count` random bytes, at most 65,536 (10.1.2.5). additional: is mixed in before."""
        from quaver_wire.hkdf import hmac

        if additional:
            self.reseed(additional)
        found = b""
        while len(found) < count:
            self._value = hmac(self._key, self._value)
            found += self._value
        self.reseed(additional)
        return found[:count]
