"""The board room: what a board is, its facts as data, its console and prompt, and what may be wrong with it."""
