"""The hardware room: the only one that imports machine and network."""

import sys


def port(board):
    """The hardware of the chip that `board` (the rendered board file) names; other chips' files stay unread."""
    name = "hal.chip." + board.HAL
    __import__(name)
    return sys.modules[name].Port(board)
