"""Every known failure between a person and a node in service: its message, its exit code, its remedy.

One table; `quaver doctor` checks its steps, the other commands that use a board raise the same failures, and
docs/doctor.md is generated from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from quaver.errors import BoardError


@dataclass(frozen=True)
class Known:
    """A row. code: the exit code; step: in which `quaver doctor` checks it; message, remedy: `str.format` texts."""

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
    "start",
)
"""The steps from the cable to the broker, in the order in which they are checked."""

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
    Known(
        "no_serial_port", 83, "driver", "{port} is not a serial port", "name the board's port; connected: {connected}"
    ),
    Known("which_board", 84, "driver", "{count} boards are connected", "name one with --port; connected: {connected}"),
    Known(
        "same_id",
        121,
        "driver",
        "{count} boards have the unique id {id}",
        "name one by its device, with --port; connected: {connected}",
    ),
    Known(
        "no_permission",
        85,
        "permission",
        "{port} can't be opened: it belongs to {owner}",
        "sudo usermod -aG {group} $USER, then log in again",
    ),
    Known("port_busy", 86, "port busy", "{port} is in use by {holder}", "stop that program, or wait until it ends"),
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
        "{port} shows no MicroPython prompt",
        "press its reset button; if it stays silent, flash it (quaver flash)",
    ),
    Known("other_interpreter", 91, "image", "the board runs {interpreter}, not MicroPython", "flash it (quaver flash)"),
    Known(
        "old_image",
        92,
        "image",
        "the board runs MicroPython {found}, the firmware needs {wanted}",
        "flash it (quaver flash)",
    ),
    Known(
        "other_bytecode",
        93,
        "image",
        "the board's MicroPython accepts .mpy files of version {found}, the firmware's have version {wanted}",
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
        "flash the firmware for its chip (quaver flash)",
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
    Known("no_firmware", 101, "version", "the board has no Quaver firmware", "install it (quaver sync)"),
    Known(
        "other_firmware", 102, "version", "the firmware is {found}, this is Quaver {wanted}", "update it (quaver sync)"
    ),
    Known(
        "unfinished_change",
        103,
        "version",
        "an update of the firmware is not finished",
        "restart the board (quaver reset), then quaver sync",
    ),
    Known(
        "changed_firmware",
        104,
        "version",
        "{count} firmware files differ from those of this Quaver, the first is {path}",
        "restore them (quaver sync)",
    ),
    Known(
        "altered_files",
        115,
        "version",
        "{count} of {all} files are corrupt after the transfer, the first is {path}",
        "check the cable and sync again (quaver sync)",
    ),
    Known("blank_node", 116, "config", "the node is blank: it has no device key yet", "enrol it (quaver provision)"),
    Known(
        "bad_key",
        117,
        "config",
        "device.key on the board is not a device key, so nothing is sealed",
        "re-enrol the node (quaver provision)",
    ),
    Known(
        "no_config",
        105,
        "config",
        "the board has no config.json",
        "write one and copy it to the board (quaver files put config.json)",
    ),
    Known(
        "bad_config",
        106,
        "config",
        "config.json: {problem}",
        "correct it (quaver files get config.json, quaver files put config.json)",
    ),
    Known(
        "no_ca",
        118,
        "config",
        "broker.ca in config.json names {path}, which is not a certificate on the board ({reason})",
        "copy the CA's certificate to the board (quaver files put)",
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
        "the network {ssid} was not found (found: {seen})",
        "check wifi.ssid in config.json, move the board closer to the access point, and use 2.4 GHz",
    ),
    Known(
        "wrong_password",
        110,
        "radio",
        "the network {ssid} refuses the password",
        "correct wifi.password in config.json",
    ),
    Known("no_join", 111, "radio", "the network {ssid} can't be joined: {reason}", "check the access point"),
    Known(
        "no_time",
        119,
        "broker",
        "the time server {server}: {reason}",
        "check that it runs, and time_server in config.json",
    ),
    Known(
        "no_broker",
        112,
        "broker",
        "the broker {broker}: {reason}",
        "check that it runs, and broker in config.json: its port, and broker.ca if that port is for TLS",
    ),
    Known(
        "broker_refuses",
        113,
        "broker",
        "the broker {broker}: {reason}",
        "correct broker.user and broker.password in config.json, or the broker's list of users",
    ),
    Known(
        "broker_not_trusted",
        120,
        "broker",
        "the broker {broker}: {reason}",
        "check broker.host, broker.port and broker.ca in config.json, time_server, and the broker's certificate",
    ),
    Known("restarts", 122, "bootloader", "{port} shows no MicroPython prompt: {cause}", "{remedy}"),
    Known("stays_not_up", 123, "start", "the firmware does not keep running: {cause}", "{remedy}"),
)
# What boards that end or restart by themselves print: (pattern, cause, remedy), the most certain first.
CAUSES = (
    (r"Brownout detector", "its supply voltage drops", "use a better supply and a shorter cable"),
    (r"flash read err|invalid header: 0x", "its flash holds no image", "flash it (quaver flash)"),
    (r"Guru Meditation|FATAL: uncaught|abort\(\) was called", "MicroPython itself fails", "flash it (quaver flash)"),
    (r"(?i)\bt[ag]\w*wdt|task watchdog|WDT_RESET", "its watchdog resets it", "find what blocks it (quaver console)"),
    (r"MemoryError", "it runs out of memory", "disable a sensor or reduce outbox.length in config.json"),
    (r"ImportError: (?:no module named )?.*", "{found}", "restore its files (quaver sync)"),
    (r"(?:SyntaxError|ValueError: incompatible \.mpy).*", "{found}", "restore its files (quaver sync)"),
    (
        r"OSError: (?:\[Errno )?(?:5|19|ETIMEDOUT|ENODEV|EIO)\b.*",
        "{found}",
        "check the sensors' wiring and config.json",
    ),
    (
        r"(?m)^(?!Traceback)[A-Za-z.]*(?:Error|Exception|Interrupt|Exit)\b.*$",
        "{found}",
        "restore its files (quaver sync)",
    ),
    (r"rst:0x|MPY: soft reboot", "it restarts again and again", "read its console (quaver console)"),
)


def cause_of(output: str) -> tuple[str, str] | None:
    """(cause, remedy) from what a board that does not keep running printed; None when that names no known cause."""
    for pattern, cause, remedy in CAUSES:
        found = re.findall(pattern, output)
        if found:
            return cause.format(found=" ".join(found[-1].split())), remedy
    return None


KNOWN = {known.name: known for known in _TABLE}


class KnownFailure(BoardError):
    """A failure of the table, with its own exit code; facts: the values for its texts."""

    def __init__(self, name: str, **facts: object) -> None:
        self.known = KNOWN[name]
        self.message = self.known.message.format(**facts)
        self.remedy = self.known.remedy.format(**facts)
        self.exit_code = self.known.code
        self.console: list[str] = []  # what the board printed, if that adds to the message
        super().__init__(f"{self.message}: {self.remedy}")


def markdown() -> str:
    """The table for people: the text of docs/doctor.md."""
    lines = [
        "# What `quaver doctor` finds",
        "",
        "`quaver doctor [--port PORT] [--json]` checks a board from the cable to the broker and reports the first",
        "failure, and its remedy. Its exit code names the failure; 0 is a working board. `sync`, "
        "`console`, `reset` and",
        "`files` exit with the same codes for the same failures. Words in braces stand for what was found.",
        "",
        "The board is stopped while it is examined and restarted afterwards.",
        "",
        "| code | step | what is wrong | remedy |",
        "|---:|---|---|---|",
    ]
    for known in _TABLE:
        lines.append(f"| {known.code} | {known.step} | {known.message} | {known.remedy} |")
    lines += [
        "",
        "The command reads the console for some seconds of a board that shows no prompt, and of one that it restarted.",
        "If the board's program ends or restarts by itself, its last lines are shown, without passwords, and the cause",
        "that they name:",
        "",
        "| cause | remedy |",
        "|---|---|",
    ]
    lines += [f"| {'the last exception' if '{' in cause else cause} | {remedy} |" for _, cause, remedy in CAUSES]
    return "\n".join(lines) + "\n"
