"""Every known failure between a person and a node in service: its message, its exit code, its remedy.

One table; `quaver doctor` walks its steps, the other commands that speak to a board raise the same failures, and
docs/doctor.md is printed from it.
"""

from __future__ import annotations

import re
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
    "start",
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
        "same_id",
        121,
        "driver",
        "{count} boards have the unique id {id}",
        "say which by its device, with --port; there are {connected}",
    ),
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
        "mend broker.user and broker.password in config.json, or the broker's list of users",
    ),
    Known(
        "broker_not_trusted",
        120,
        "broker",
        "the broker {broker}: {reason}",
        "check broker.host, broker.port and broker.ca in config.json, time_server, and the broker's certificate",
    ),
    Known("restarts", 122, "bootloader", "{port} gives no MicroPython prompt: {cause}", "{remedy}"),
    Known("stays_not_up", 123, "start", "the firmware does not stay up: {cause}", "{remedy}"),
)
# What boards print that end or restart by themselves: (pattern, cause, remedy), the surest first.
CAUSES = (
    (r"Brownout detector", "its supply voltage drops", "give it a better supply and a shorter cable"),
    (r"flash read err|invalid header: 0x", "its flash holds no image", "flash it (quaver flash)"),
    (r"Guru Meditation|FATAL: uncaught|abort\(\) was called", "MicroPython itself fails", "flash it (quaver flash)"),
    (r"(?i)\bt[ag]\w*wdt|task watchdog|WDT_RESET", "its watchdog resets it", "look for what blocks (quaver console)"),
    (r"MemoryError", "it runs out of memory", "switch a sensor off or shorten outbox.length in config.json"),
    (r"ImportError: (?:no module named )?.*", "{found}", "put its files back (quaver sync)"),
    (r"(?:SyntaxError|ValueError: incompatible \.mpy).*", "{found}", "put its files back (quaver sync)"),
    (
        r"OSError: (?:\[Errno )?(?:5|19|ETIMEDOUT|ENODEV|EIO)\b.*",
        "{found}",
        "check the sensors' wiring and config.json",
    ),
    (
        r"(?m)^(?!Traceback)[A-Za-z.]*(?:Error|Exception|Interrupt|Exit)\b.*$",
        "{found}",
        "put its files back (quaver sync)",
    ),
    (r"rst:0x|MPY: soft reboot", "it restarts again and again", "look at its console (quaver console)"),
)


def cause_of(said: str) -> tuple[str, str] | None:
    """(cause, remedy) of what a board printed that does not stay up; None when that says nothing of the kind."""
    for pattern, cause, remedy in CAUSES:
        found = re.findall(pattern, said)
        if found:
            return cause.format(found=" ".join(found[-1].split())), remedy
    return None


KNOWN = {known.name: known for known in _TABLE}


class KnownFailure(BoardError):
    """A failure of the table, with its own exit code; facts: what its texts name."""

    def __init__(self, name: str, **facts: object) -> None:
        self.known = KNOWN[name]
        self.message = self.known.message.format(**facts)
        self.remedy = self.known.remedy.format(**facts)
        self.exit_code = self.known.code
        self.console: list[str] = []  # what the board printed, where that tells more
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
    lines += [
        "",
        "A board that gives no prompt, or that is well and started again in the end, is listened to for some seconds.",
        "Where it ends or restarts by itself, its last lines are shown, without passwords, and the cause that they",
        "name:",
        "",
        "| cause | remedy |",
        "|---|---|",
    ]
    lines += [f"| {'the last exception' if '{' in cause else cause} | {remedy} |" for _, cause, remedy in CAUSES]
    return "\n".join(lines) + "\n"
