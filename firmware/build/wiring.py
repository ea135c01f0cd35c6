"""What a node's composition root and a gateway's build alike: what makes records, what watches, the way to the broker.

who: "node" or "gateway", as the board calls itself on its console.
"""

import os
import sys

import board

from node import room
from node.clock import Uptime
from node.outbox import Outbox
from node.record import Recorder
from node.supervisor import Supervisor

if False:  # types alone: never compiled
    from hal.chip.common import Hal
    from hal.watchdog import Watchdog
    from links.mqtt import Mqtt
    from links.tls import Tls
    from links.wifi import Wifi
    from node.power import Power
    from node.seal import Channel
    from node.timekeeper import Timekeeper


def recording(
    who: str, port: "Hal", config: dict, boot: int, always: bool, power: "Power | None" = None
) -> tuple[Outbox, Uptime, Recorder, str | None]:
    """What records are made of and wait in: (outbox, uptime, recorder, mute). This boot's event is made.

    boot: this boot's number; always: as of node.outbox. mute: why nothing may be said, or None. power: of a node that
    sleeps; one that has woken is in no new boot.
    """
    print("{}: quaver {} on {}, {}, chip {}".format(who, board.VERSION, board.NAME, config["node"], port.unique_id()))
    kept = config["outbox"]
    outbox = Outbox(boot, "/journal", kept["length"], kept["flash_kb"] * 1024, always)
    uptime = Uptime()
    recorder = Recorder(config["node"], boot, uptime, outbox, _uplink(port))
    mute = _mute(recorder)
    outbox.report = recorder.event
    recorder.introduce(board.VERSION, board.NAME, config["interval_s"], role=int(who == "gateway"))
    if power and power.awoken:
        power.resume(outbox, uptime, recorder)
        return outbox, uptime, recorder, mute
    told = {"oldest_boot": outbox.oldest_boot, "lost_from": outbox.lost_from or None}
    recorder.event("boot", text=port.reset_cause(), **told)  # the first record: what it tells, nothing else repeats
    _turned_away(recorder)
    _hung(who, port.mark(), recorder)
    return outbox, uptime, recorder, mute


def _uplink(port: "Hal") -> "Channel | None":
    """The channel that seals this board's records, or None on a board that was never enrolled."""
    from build import keys
    from node import seal
    from quaver_wire.cose import node_id

    held = keys.load_key()
    if held is None:
        return None
    generation, key = held
    return seal.channel(key, node_id(bytes.fromhex(port.unique_id())), generation, "uplink", 600)


def _mute(recorder: Recorder) -> str | None:
    """Why nothing can be sealed, and so nothing may be said, or None."""
    from build import keys

    if keys.corrupt():
        recorder.mute = True
        return "{} is corrupt; re-enrol the node".format(keys.KEY)
    return "flash can't be written to count this boot" if recorder.mute else None


def _turned_away(recorder: Recorder, path: str = "/session.tries") -> None:
    """Tell once, in an event, what provisioning sessions have refused: wrong codes, and what was no message of one."""
    from node import store

    try:
        with open(path) as file:
            row, wrong, others = (int(word) for word in file.read(36).split())
    except (OSError, ValueError):  # none, or one that enrol.session begins again
        return
    if recorder.mute or not (wrong or others):
        return
    for why, count in (("wrong_code", wrong), ("session", others)):
        if count:
            recorder.event("message_refused", why, count=count)
    try:
        store.replace(path, "{} 0 0".format(row).encode())
    except OSError:
        pass  # told again at the next start


def _hung(who: str, number: int, recorder: Recorder) -> None:
    """Tell which task the watchdog reset this board for."""
    from build import hang

    found = hang.told(number)
    if found:
        print("{}: reset by the watchdog: {} {}".format(who, found[0] or "none of the tasks", found[1]))
        recorder.event("hung", found[0], text=found[1])


def imported() -> None:
    """All that runs was imported: what had it used in flash is done, and a heap that is fullest now needs its room."""
    if "hal.chip.in_place" in sys.modules:
        sys.modules["hal.chip.in_place"].end()
        room.drop("hal.chip.in_place", "hal.chip.name_table", "hal.chip.view_" + board.CHIP)


def read(*names: str) -> None:
    """Import modules of those names, while what is read is used in flash."""
    for name in names:
        __import__(name)


def read_links(config: dict) -> None:
    """Import what leads to the broker, of which `to_broker` makes the links."""
    read("links.mqtt", "links.wifi")
    if config["broker"]["ca"]:
        read("hal.memory", "links.tls")
    if config["time_server"]:
        read("hal.date", "links.ntp", "node.timekeeper")


def tls(broker: dict) -> "Tls | None":
    """What wraps the socket to the broker, or None for a plain one.

    To be made before the sensors: it takes 1.5 kB in one piece, for which a full heap would grow into the network's.
    """
    if not broker["ca"]:
        return None
    from hal import memory
    from links.tls import Tls

    return Tls(broker["ca"], broker["host"], memory)


def was_short(who: str, recorder: Recorder) -> int:
    """How many starts in a row before this one ended for want of memory; told by this one. node.start forgets them."""
    try:
        starts = os.stat("/memory.short")[6]
    except OSError:
        return 0
    print("{}: the start before found no memory".format(who))
    recorder.event("low_memory", text="a start found no memory for all that is configured")
    return starts


def tell(who: str, problems: list[str], recorder: Recorder) -> None:
    """Say what is wrong with the configuration: on the console, and an event each."""
    for problem in problems:
        print("{}: config: {}".format(who, problem))
        recorder.event("config_invalid", text=problem)


def supervision(port: "Hal", config: dict, recorder: Recorder) -> "tuple[Supervisor, Watchdog | None, int]":
    """(supervisor, watchdog or None, limit_s: within which a task must have reported progress)."""
    watchdog_s = config["watchdog_s"]
    watchdog = port.watchdog() if watchdog_s else None
    return Supervisor(recorder.death, watchdog), watchdog, watchdog_s or 120


def updating(who: str, port: "Hal", recorder: Recorder) -> str:
    """ "trial": the firmware is on trial; "fetch": a release is being fetched; "": neither. What has ended is told."""
    if not any(name.startswith("release.") and name[8:] not in ("key", "sequence") for name in os.listdir("/")):
        return ""
    files = room.load("update.files")
    try:
        files.finish()
        why = files.why(port.reset_cause())
        if why:
            print("{}: update rejected, the old firmware is back: {}".format(who, why))
            recorder.event("update_rejected", text=why[-96:])
            files.forget()
        return "trial" if files.there(files.PLAN) else "fetch" if files.there(files.NEXT) else ""
    except OSError as error:
        print("{}: update: {}".format(who, error))
        return ""
    finally:
        room.drop("update")


def to_broker(
    port: "Hal", config: dict, recorder: Recorder, uptime: Uptime, tls: "Tls | None"
) -> "tuple[str, Wifi, Mqtt, Timekeeper | None]":
    """(root of this board's topics, Wi-Fi, MQTT, what keeps the date by a time server or None without one).

    tls: what `tls` of this module gave.
    """
    from links.mqtt import Mqtt
    from links.wifi import Wifi

    root = "/".join(config[key] for key in ("site", "area", "line", "asset", "node")) + "/"
    client_id = config["node"] + "-" + port.unique_id()[-8:]
    broker = config["broker"]
    mqtt = Mqtt(broker, client_id, root + "status", recorder.status(0), tls)
    wifi = Wifi(port.radio(), config["wifi"]["ssid"], config["wifi"]["password"], _memory(config, tls))
    return root, wifi, mqtt, _timekeeper(config, uptime)


def _memory(config: dict, tls: "Tls | None") -> object:
    """What keeps memory for TLS while a node's Wi-Fi joins; None without, or where a name is to be found by mDNS."""
    names = config["broker"]["host"], config["time_server"]
    if not tls or config["role"] == "gateway" or any(name.endswith(".local") for name in names):
        return None
    from hal import memory

    return memory


def _timekeeper(config: dict, clock: Uptime) -> "Timekeeper | None":
    if not config["time_server"]:
        return None
    from hal.date import set_date
    from links import ntp
    from node.timekeeper import Timekeeper

    return Timekeeper(ntp.ask, config["time_server"], clock, set_date)
