"""Random blocks of every loudness."""


def noise(n, count):
    seed = 12345
    block = array("h", bytes(2 * n))
    for k in range(count):
        for i in range(n):
            seed = (seed * 1103 + 12345) & 0xFFFFF
            block[i] = ((seed >> 4) - 32768) >> k * 5 % 13
        yield k, block
