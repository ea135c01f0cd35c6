"""The hardware room: the only one that imports machine and network."""


def port(board):
    """The hardware of the chip that `board` (the rendered board file) names; other chips' files stay unread."""
    if board.CHIP == "rp2040":
        from hal.chip.rp2 import Port
    elif board.CHIP.startswith("esp32"):
        from hal.chip.esp32 import Port
    else:
        from hal.chip.unix import Port
    return Port(board)
