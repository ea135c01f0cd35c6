"""After times.py: how long the transform takes of each signal, and what it makes of it. Given: passes, their module."""

fft.passes = getattr(__import__("dsp." + passes), passes)
for n in sizes:
    gc.collect()
    run = fft.RFFT(n).run
    source = array("h", bytes(2 * n))
    out = array("i", bytes(4 * n))
    for block in blocks(n):
        time_us = shortest(lambda: run(source, out), source, block)
        time_us -= shortest(lambda: nothing(source, out), source, block)
        print((n, time_us, run(block, out), b2a_base64(out)))
    run = source = out = block = None
