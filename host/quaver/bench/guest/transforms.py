"""After times.py: how long the transform takes. Given: passes, the name of its module of passes, and sizes."""

fft.passes = getattr(__import__("dsp." + passes), passes)
for n in sizes:
    gc.collect()
    free = gc.mem_free()
    transform = fft.RFFT(n)
    gc.collect()
    tables = free - gc.mem_free()
    src = samples(n)
    out = array("i", bytes(4 * n))
    print((n, clock(transform.run, src, out) - idle, tables))
    transform = src = out = None
