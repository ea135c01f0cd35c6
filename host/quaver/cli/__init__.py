"""The command line: one command a file, loaded when it is called; failures become one line and an exit code."""

from __future__ import annotations

import codecs
import errno
import io
import os
import signal
import sys
import traceback
from types import FrameType
from typing import Any, NoReturn

import click
from click.exceptions import NoArgsIsHelpError

from quaver import __version__
from quaver.cli.lazy import LazyGroup
from quaver.errors import QuaverError

_INTERRUPTED = 128 + signal.SIGINT  # what a shell expects of a command that Ctrl-C ended
_NO_OUTPUT = 74  # EX_IOERR of sysexits.h
# What a write to a file without a name of its own fails with: every file with one has its own message.
_WRITE_FAILURES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
# What stands for a character that the terminal's encoding has not.
_PLAINER = {"°": "", "µ": "u", "·": "-", "—": "-", "…": "...", "±": "+-", "√": "sqrt", "→": "->"}
_PLAINER |= dict.fromkeys("▏▎▍▌▋▊▉█", "#")
# Name -> its line in the help. Here, so that the help imports no command; a test compares both.
COMMANDS = {
    "analyze": "Run the device's analysis on recordings and print features and verdicts.",
    "audit": "Show what people did on the page, and check that nobody has edited the trail of it.",
    "bench": "Measure time, memory and bytes of the parts of Quaver, each beside its goal.",
    "benchmark": "Judge recordings of real machines with the device's code, blind, and count hits and misses.",
    "boards": "List the boards that Quaver knows.",
    "bridge": "Hand what is stored to other systems: MQTT, Sparkplug B, OPC UA, Home Assistant, metrics, alarms.",
    "build": "Build one file to flash: the official MicroPython image and the firmware.",
    "console": "Open a board's console: its output, and its prompt after Ctrl-C. Ctrl-] closes it.",
    "demo": "Show the main job: a bearing fails on an emulated board, an alarm reaches the broker.",
    "diode": "Carry records one way: over UDP without a return path, or as signed bundles on a medium.",
    "doctor": "Check a board from its cable to the broker and report the first failure and its remedy.",
    "emulate": "Run a node on an emulated board with a recording at its sensor.",
    "export": "Write what a store holds into Parquet files, by site and day.",
    "files": "List, read and write files on a board.",
    "flash": "Flash boards: write image and firmware, verify, reset, wait until the firmware reports its version.",
    "gateway": "Collect messages from nodes over Bluetooth or serial lines, store them, and forward them to a broker.",
    "ingest": "Open, verify, date and store the messages that nodes publish at a broker.",
    "inventory": "Show, export and import the nodes that are enrolled.",
    "keys": "Create and list the device keys that seal what nodes send.",
    "label": "Make labels: a QR code that `quaver provision` accepts, and the id and code as text.",
    "ledger": "Show for each node whether records are missing, and which.",
    "mcp": "Offer the plant to a language model by the Model Context Protocol, over stdin and stdout.",
    "modbus": "Look at machines that answer Modbus, before quaver gateway --modbus reads them.",
    "monitor": "Show what nodes publish at a broker: features, levels, alarms, and the health of gateways.",
    "new": "Begin a driver of your own: its file, a model of its part, and a test that runs both in the emulator.",
    "node": "Command a node remotely: its configuration, a measurement, its waveform, its log, its key.",
    "plant": "Run a plant of emulated nodes in one virtual time, and judge what they said of it.",
    "power": "Hold a battery node's measured current against what the emulator counts.",
    "provision": "Bring nodes into service: keys, network, topic prefix and machine, in a dialogue or from a CSV plan.",
    "recordings": "Fetch and list recordings of real machines.",
    "release": "Build, sign and check releases: one file of the firmware, which nodes verify first.",
    "report": "Report on a plant's machines: energy, availability, control charts, remaining life; as CSV and PDF.",
    "reset": "Restart a board and the firmware on it.",
    "rollout": "Bring a release to many nodes in waves: one canary, then 5, 25 and 100 %.",
    "rules": "Check the rules by which a node acts by itself, before it does.",
    "scan": "Ask a board's buses which known parts answer, and say what to write into a configuration.",
    "serve": "Show the plant in a browser, live, and serve its JSON API.",
    "store": "Keep a store in bounds and safe: retention, copies, backup, restore.",
    "sync": "Update the firmware on a board that runs MicroPython.",
    "twin": "Mirror a live plant as a plant in a box, and tell where the two disagree.",
    "user": "Add and list the page's users, and set roles and passwords, also when nobody can log in any more.",
    "what-if": "Tell what a node would have alarmed under another configuration or release.",
}

# What a wrong value is said not to be, and what stands for a value in the help: words, not the names of types.
click.IntRange.name = click.INT.name = "whole number"
click.FloatRange.name = click.FLOAT.name = "number"


@click.group(
    cls=LazyGroup,
    package=__name__,
    lines=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option(
    "--debug", is_flag=True, expose_value=False, help="Show the traceback of a failure (anywhere in the line)."
)
@click.version_option(__version__, prog_name="quaver", message="%(prog)s %(version)s")
def root() -> None:
    """Edge runtime for machine-condition sensor nodes: emulate one, watch many."""


def _terminated(number: int, _frame: FrameType | None) -> NoReturn:
    # A plain kill or a closed terminal must run the same clean-up as Ctrl-C.
    raise SystemExit(128 + number)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, the failure's own, 2 for wrong usage, 130 after Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    # Taken wherever it stands: people think of it when the command has failed, and add it at the end.
    arguments = [argument for argument in arguments if argument != "--debug"]

    def say(line: str, trace: bool = False) -> None:
        _say(line, arguments, trace)

    if sys.stdout is None:  # as Python has it when the shell closed it: `>&-`
        say("standard output is closed; redirect it, for example to /dev/null")
        return _NO_OUTPUT
    _take_any_character()
    # NumPy's BLAS starts a thread for each core, which spins before it sleeps: a fifth of NumPy's start, and the
    # products of vectors here are short.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    ends = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # which is what nohup asks for
        ends.append(signal.SIGHUP)
    before = {number: signal.signal(number, _terminated) for number in ends}
    try:
        result: Any = root.main(arguments, prog_name="quaver", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.UsageError as error:
        if isinstance(error, NoArgsIsHelpError):
            error.show()
        else:
            path = error.ctx.command_path if error.ctx else "quaver"
            say(f"{error.format_message().rstrip('.')} (see {path} --help)")
        return error.exit_code
    except click.ClickException as error:
        say(error.format_message(), debug)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        say("interrupted", debug)
        return _INTERRUPTED
    except QuaverError as error:
        say(str(error), debug)
        return error.exit_code
    except BrokenPipeError:
        _drop_stdout()  # whoever read our output has enough; click ends with 1 then
        return 1
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and error.errno in _WRITE_FAILURES:
            _drop_stdout()
            say(
                f"the output can't be written ({error.strerror}); free disk space for it, or redirect it elsewhere",
                debug,
            )
            return _NO_OUTPUT
        say(f"internal error: {type(error).__name__}: {error}; run it with --debug and report the traceback", debug)
        return 70  # EX_SOFTWARE of sysexits.h
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _take_any_character() -> None:
    """What a terminal's encoding has not is shown in its place, and never ends a command."""
    codecs.register_error("quaver", _plainer)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="quaver")


def _plainer(error: UnicodeError) -> tuple[str | bytes, int]:
    """The nearest ASCII to what can't be encoded, else its number: a handler of `codecs.register_error`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAINER.get(mark) or ascii(mark)[1:-1] for mark in text), error.end


def _drop_stdout() -> None:
    """Send what is left in stdout's buffer nowhere: Python would complain of it again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(line: str, words: list[str], trace: bool) -> None:
    """A line to stderr, and the trace of the failure before it; without what `words`, the command line, keep secret."""
    from quaver.broker.address import without_logins

    line = f"quaver: {' '.join(without_logins(line, words).split())}"
    try:
        if trace:
            print(without_logins(traceback.format_exc(), words), end="", file=sys.stderr)
        print(line, file=sys.stderr, flush=True)
    except BrokenPipeError:  # nobody reads it: the exit code says the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
