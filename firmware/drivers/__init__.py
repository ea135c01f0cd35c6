"""The drivers' room: one sensor a file, or many of a kind; takes a bus, returns integers, imports nothing of ours.

What a node asks of a driver, by what it measures:

- vibration: ODR_HZ, samples a second; UG_PER_LSB, micro-g for one of the int16 in `raw`; CLIP_LSB, from which on a
  sample stands at the rail; FIFO_DEPTH, samples; READ_MAX, samples of one `read`; WORD_BYTES, of a sample of `raw`,
  Z_OFFSET, where the low byte of its z lies, and Z_HIGH, how far behind that the high byte; raw, what `read` filled;
  overrun, whether the FIFO lost samples since `start`; probe(), start(), stop(); level(), samples that wait;
  read(count), of 1 to 16 or a multiple of 16. `level` and `read` allocate nothing. Where its interrupt can wake a node:
  watch(level_g).
- temperature: LOWEST_MILLI and HIGHEST_MILLI, the part's range in thousandths of a degree Celsius; probe();
  start(), begins a measurement and returns the ms until read_milli() has it, 0 for at once; humidity_milli, where the
  part measures it too: the relative humidity in thousandths of a percent, since read_milli().
- energy: probe(); read(), a coroutine, seven values in thousandths, and of a meter of three phases nine more: V of L1
  to L3, A, W; None for one that is absent; absent, a list of (reason, detail) of the last reading.
- current: as vibration, of 1,000 samples a second, and UG_PER_LSB in microamperes.
- pulses: probe(); total(), since the count began.

A driver that can't answer raises OSError, with a bus errno or a reason of quaver_wire.reasons.
"""
