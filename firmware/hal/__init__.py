"""The hardware room: the only one that imports machine and network."""


def port(board):
    """The hardware of the chip that `board` (the rendered board file) names; other chips' files stay unread."""
    name = board.HAL
    return getattr(__import__("hal.chip." + name).chip, name).Port(board)
