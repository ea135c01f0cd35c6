"""The board room: a board's facts as data, its console and prompt, and its known failures."""
