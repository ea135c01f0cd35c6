"""The commands, one a file, and what they share: each is read from flash for itself alone.

A file is found by the command's name. ARGUMENTS: for each (name, type, lowest, highest); lowest and highest are of text
and bytes the length, of an object the number of keys. NOTED: whether it is on flash that the command was begun before
it is; what only reads a part is not noted, as a waveform has 18 of them. run(node, **arguments): a coroutine function
that returns a dict of results, or None; node: of service.obey. Raises ValueError or OSError for what it can't do.
"""
