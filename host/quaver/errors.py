"""The host's named failures: each states in one line what happened, why, and what to do."""


class QuaverError(Exception):
    """A failure meant for a person; the command line prints it as one line and exits with `exit_code`."""

    exit_code = 1


class BoardFileError(QuaverError):
    """A board file that can't be used: names the file, the key and what was expected."""

    exit_code = 3


class ArtifactError(QuaverError):
    """A pinned file (image, recording, library) that can't be fetched or fails its sha256."""

    exit_code = 4


class RecordingError(QuaverError):
    """A recording that can't be read or can't be used as a signal."""

    exit_code = 5


class BoardError(QuaverError):
    """A board, real or emulated, that can't be started, reached or driven."""

    exit_code = 6


class BrokerError(QuaverError):
    """A broker that is down, refuses, or is not at the given address."""

    exit_code = 7


class BuildError(QuaverError):
    """Firmware that can't be compiled or does not fit the board."""

    exit_code = 8


class KeyStoreError(QuaverError):
    """A key store that is missing, open to others, corrupt or can't be written; or a key that can't be issued."""

    exit_code = 12


class StoreError(QuaverError):
    """A store of records that can't be opened, is in use, or can't be written; it is never half-written."""

    exit_code = 13


class StoreBusy(StoreError):
    """A store that another program has locked: a waiting command continues when it is released."""


class StoreAway(StoreError):
    """A store that can't be read or written at the moment, and may be again: another try goes on from the same place.

    In the middle of a commit: whether it came there is not known.
    """


class SessionError(QuaverError):
    """A provisioning session that failed: no answer, a wrong code, a request that was refused."""

    exit_code = 14


class InventoryError(QuaverError):
    """An inventory or a list of nodes that can't be read, written or used: names the file, the row, the column."""

    exit_code = 15


class NetworkError(QuaverError):
    """The emulated network, or a service in it, can't do what is asked of it."""

    exit_code = 16


class RadioError(QuaverError):
    """The emulated air, or a station in it, can't do what is asked of it."""

    exit_code = 16


class GatewayError(QuaverError):
    """A gateway that has no nodes, or whose list of them can't be used."""

    exit_code = 17


class OperationError(QuaverError):
    """A command that a node refused or could not carry out, or that can't be sent to it."""

    exit_code = 18


class UnansweredError(OperationError):
    """A command that was sent and not answered in time: it waits at the broker, or was not obeyed."""

    exit_code = 19


class ReleaseError(QuaverError):
    """A release, or a key of one, that can't be made, read or trusted."""

    exit_code = 20


class RolloutError(QuaverError):
    """A rollout that can't be started or found, or whose state can't be read or written."""

    exit_code = 21


class RolloutPaused(QuaverError):
    """A rollout that paused, by itself or because somebody said so, before all nodes had the release."""

    exit_code = 22


class RolloutIncomplete(QuaverError):
    """A rollout that ended, or was aborted, and left nodes without the release."""

    exit_code = 23


class PlantError(QuaverError):
    """A plant file that can't be used: names the file, the key and what was expected; or a plant that can't run."""

    exit_code = 24


class WhatIfError(QuaverError):
    """A question to which the records of a store have no answer."""

    exit_code = 25


class BridgeError(QuaverError):
    """A bridge's file that can't be used, or a sink that can't be served: names the key and what was expected."""

    exit_code = 26


class LakeError(QuaverError):
    """A folder of Parquet files that can't be used or written; what its manifest names stands."""

    exit_code = 27


class BackupError(QuaverError):
    """A backup that can't be taken, is not whole, or would overwrite something; nothing is half-written."""

    exit_code = 28


class DiodeError(QuaverError):
    """A key, an address, a folder or a bundle of the diode that can't be used."""

    exit_code = 29


class DiodeDown(DiodeError):
    """A medium or a network that takes nothing at the moment, such as one that is full: it may later."""


class PageError(QuaverError):
    """The page can't be served, or what it was asked can't be done. status: of HTTP, where it answers a request."""

    exit_code = 30

    def __init__(self, line: str, status: int = 400) -> None:
        super().__init__(line)
        self.status = status


class McpError(QuaverError):
    """What a language model asks for can't be had: the page does not answer, or refuses it."""

    exit_code = 34


class AccessError(PageError):
    """A user, a session, a token or an audit trail of the page that can't be made, found, used or trusted."""

    exit_code = 31


class LoginNeeded(AccessError):
    """Nobody is known who asks: no session, an ended one, a token that does not hold, a wrong password."""

    def __init__(self, line: str) -> None:
        super().__init__(line, 401)


class NotAllowed(AccessError):
    """Somebody is known who asks, and may not do this."""

    def __init__(self, line: str) -> None:
        super().__init__(line, 403)


class TooOften(AccessError):
    """Somebody asks more often than is allowed. wait_s: after how long the next try is looked at, s."""

    def __init__(self, line: str, wait_s: int) -> None:
        super().__init__(line, 429)
        self.wait_s = wait_s


class AlarmError(PageError):
    """An alarm that is not there, or that can't be dealt with so; or a file of alarms that can't be used."""

    exit_code = 32


class ReportError(QuaverError):
    """A report that can't be made, or its file of the plant: names the key and what was expected."""

    exit_code = 33
