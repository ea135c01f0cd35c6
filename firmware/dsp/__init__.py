"""Signal processing on the device: from raw samples to features and levels. Needs nothing but MicroPython."""
