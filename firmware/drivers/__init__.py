"""The drivers' room: one sensor a file; takes a bus, returns integers, imports nothing of ours.

What a node asks of a driver, by what it measures:

- vibration: ODR_HZ, samples a second; UG_PER_LSB, micro-g for one of the int16 in `raw`; CLIP_LSB, from which on a
  sample stands at the rail; FIFO_DEPTH, samples; READ_MAX, samples of one `read`; WORD_BYTES and Z_OFFSET, where z lies
  in a sample of `raw`, little-endian; raw, what `read` filled; overrun, whether the FIFO lost samples since `start`;
  probe(), start(), stop(); level(), samples that wait; read(count). `level` and `read` allocate nothing.
- temperature: LOWEST_MILLI and HIGHEST_MILLI, the part's range in thousandths of a degree Celsius; probe();
  start(), begins a measurement and returns the ms until read_milli() has it, 0 for at once.
- energy: probe(); read(), a coroutine, seven values in thousandths, None for one that is absent; absent, a list of
  (reason, detail) of the last reading.
- pulses: probe(); total(), since the count began.

A driver that can't answer raises OSError, with a bus errno or a reason of quaver_wire.reasons.
"""
