"""Every known failure between a person and a node in service: its message, its exit code, its remedy.

One table; `quaver doctor` walks its steps, the other commands that speak to a board raise the same failures, and
docs/doctor.md is printed from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from quaver.errors import BoardError


@dataclass(frozen=True)
class Known:
    """A row. code: the exit code; step: of the doctor's walk; message, remedy: `str.format` texts."""

    name: str
    code: int
    step: str
    message: str
    remedy: str


STEPS = (
    "driver",
    "permission",
    "port busy",
    "bootloader",
    "image",
    "chip",
    "file system",
    "version",
    "config",
    "sensors",
    "radio",
    "broker",
)
"""The links of the chain, in the order in which the first broken one is looked for."""

_PICO_LOADER = "flash it (quaver flash), or unplug it and plug it in again without holding BOOTSEL"
_TABLE = (
    Known("no_board", 80, "driver", "no board is connected", "plug one in, with a cable that carries data"),
    Known(
        "no_driver",
        81,
        "driver",
        "{device} is on USB, but has no serial port",
        "load its kernel driver; on Debian and Ubuntu the package brltty takes CH340 and CP210x chips: remove it",
    ),
    Known(
        "no_port", 82, "driver", "{port} is not there", "plug the board in or check the name; connected: {connected}"
    ),
    Known("no_serial_port", 83, "driver", "{port} is no serial port", "name the board's port; connected: {connected}"),
    Known("which_board", 84, "driver", "{count} boards are connected", "say which with --port; there are {connected}"),
    Known(
        "no_permission",
        85,
        "permission",
        "{port} may not be opened, it belongs to {owner}",
        "sudo usermod -aG {group} $USER, then log in again",
    ),
    Known("port_busy", 86, "port busy", "{port} is in use by {holder}", "end that, or wait until it is done"),
    Known(
        "no_console", 87, "port busy", "{port} refuses connections ({reason})", "check that the board behind it runs"
    ),
    Known("boot_loader_rp2", 88, "bootloader", "{port} is an RP2040 in its boot loader", _PICO_LOADER),
    Known(
        "boot_loader_esp",
        89,
        "bootloader",
        "{port} is {chip} in its boot loader",
        "flash it (quaver flash), or press its reset button with BOOT released",
    ),
    Known(
        "no_prompt",
        90,
        "bootloader",
        "{port} gives no MicroPython prompt",
        "press its reset button; if it stays silent, flash it (quaver flash)",
    ),
    Known("other_interpreter", 91, "image", "the board runs {interpreter}, not MicroPython", "flash it (quaver flash)"),
    Known(
        "old_image",
        92,
        "image",
        "the board runs MicroPython {found}, the firmware is made for {wanted}",
        "flash it (quaver flash)",
    ),
    Known(
        "other_bytecode",
        93,
        "image",
        "the board's MicroPython takes .mpy files of version {found}, the firmware's are {wanted}",
        "flash it (quaver flash)",
    ),
    Known(
        "lacking_image",
        94,
        "image",
        "the board's MicroPython lacks {module}",
        "flash the official image (quaver flash)",
    ),
    Known("unknown_chip", 95, "chip", "the board is a {machine}", "use one of those that quaver boards lists"),
    Known(
        "wrong_chip",
        96,
        "chip",
        "the firmware on the board is for {firmware}, but it is a {machine}",
        "flash it for what it is (quaver flash)",
    ),
    Known("no_file_system", 97, "file system", "the board's flash has no file system", "flash it (quaver flash)"),
    Known(
        "damaged_file_system",
        98,
        "file system",
        "{path} on the board can't be read ({reason})",
        "save what you need (quaver files get), then flash it (quaver flash)",
    ),
    Known(
        "full_file_system",
        99,
        "file system",
        "the board's flash has {free} KiB left",
        "remove files of your own (quaver files ls, quaver files rm)",
    ),
    Known(
        "no_write",
        100,
        "file system",
        "the board's flash can't be written ({reason})",
        "flash it (quaver flash); if that does not help, replace the board",
    ),
    Known(
        "no_room",
        114,
        "file system",
        "the change needs {need} KiB of the board's flash, {free} are free",
        "remove files of your own (quaver files ls, quaver files rm)",
    ),
    Known("no_firmware", 101, "version", "the board has no Quaver firmware", "put it there (quaver sync)"),
    Known("other_firmware", 102, "version", "the firmware is {found}, this is Quaver {wanted}", "quaver sync"),
    Known(
        "unfinished_change",
        103,
        "version",
        "a change of the firmware waits for its completion",
        "restart the board (quaver reset), then quaver sync",
    ),
    Known(
        "changed_firmware",
        104,
        "version",
        "{count} files of the firmware are not as this Quaver builds them, {path} first",
        "quaver sync",
    ),
    Known(
        "altered_files",
        115,
        "version",
        "{count} of {all} files did not arrive as they were sent, {path} first",
        "check the cable and sync again (quaver sync)",
    ),
    Known("blank_node", 116, "config", "the node is blank: it has no device key yet", "enrol it (quaver provision)"),
    Known(
        "bad_key",
        117,
        "config",
        "device.key on the board is no device key, so nothing is sealed",
        "enrol the node again (quaver provision)",
    ),
    Known(
        "no_config",
        105,
        "config",
        "the board has no config.json",
        "write one and put it there (quaver files put config.json)",
    ),
    Known(
        "bad_config",
        106,
        "config",
        "config.json: {problem}",
        "mend it (quaver files get config.json, quaver files put config.json)",
    ),
    Known(
        "no_ca",
        118,
        "config",
        "broker.ca in config.json names {path}, which is no certificate on the board ({reason})",
        "put the CA's certificate there (quaver files put)",
    ),
    Known(
        "no_sensor",
        107,
        "sensors",
        "the {sensor} sensor ({part}) fails: {reason}",
        "check its wiring, its power and its settings in config.json, or set {sensor} to null there",
    ),
    Known("no_network_name", 108, "radio", "wifi.ssid in config.json is empty", "write the network's name there"),
    Known(
        "no_network",
        109,
        "radio",
        "the network {ssid} is not in the air (seen: {seen})",
        "check wifi.ssid in config.json, bring the board nearer, and use 2.4 GHz",
    ),
    Known(
        "wrong_password",
        110,
        "radio",
        "the network {ssid} refuses the password",
        "mend wifi.password in config.json",
    ),
    Known("no_join", 111, "radio", "the network {ssid} can't be joined: {reason}", "check the access point"),
    Known(
        "no_time",
        119,
        "broker",
        "the time server {server}: {reason}",
        "check that it runs, and time_server in config.json",
    ),
    Known("no_broker", 112, "broker", "the broker {broker}: {reason}", "check that it runs, and broker in config.json"),
    Known(
        "broker_refuses",
        113,
        "broker",
        "the broker {broker}: {reason}",
        "mend broker.user and broker.password in config.json, or the broker's list of users",
    ),
    Known(
        "broker_not_trusted",
        120,
        "broker",
        "the broker {broker}: {reason}",
        "check broker.host, broker.port and broker.ca in config.json, time_server, and the broker's certificate",
    ),
)
KNOWN = {known.name: known for known in _TABLE}


class KnownFailure(BoardError):
    """A failure of the table, with its own exit code; facts: what its texts name."""

    def __init__(self, name: str, **facts: object) -> None:
        self.known = KNOWN[name]
        self.message = self.known.message.format(**facts)
        self.remedy = self.known.remedy.format(**facts)
        self.exit_code = self.known.code
        super().__init__(f"{self.message}: {self.remedy}")


def markdown() -> str:
    """The table for people: the text of docs/doctor.md."""
    lines = [
        "# What `quaver doctor` finds",
        "",
        "`quaver doctor [--port PORT] [--json]` walks from the cable to the broker and names the first thing that is",
        "wrong, and its remedy. Its exit code says which; 0 is a board that is well. `sync`, `console`, `reset` and",
        "`files` end with the same codes where they meet the same. Words in braces stand for what was found.",
        "",
        "The board is stopped while it is examined and restarted afterwards.",
        "",
        "| code | step | what is wrong | remedy |",
        "|---:|---|---|---|",
    ]
    for known in _TABLE:
        lines.append(f"| {known.code} | {known.step} | {known.message} | {known.remedy} |")
    return "\n".join(lines) + "\n"
