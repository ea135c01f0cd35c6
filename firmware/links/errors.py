"""The links' named failure."""


class LinkError(OSError):
    """A link that can't be brought up or went down; the owner closes it, waits and tries again."""
