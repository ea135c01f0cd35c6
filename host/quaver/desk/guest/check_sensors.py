"""Reads each sensor with the firmware's own drivers. Run after `check_config`."""

import asyncio
import board
import build.sensors
import hal

gc.collect()  # after the configuration, before drivers lie beside it
_port = hal.port(board)


async def _sensor(name, part):
    part.probe()
    if name == "temperature":
        await asyncio.sleep_ms(part.start())
        part.read_milli()
    elif name == "energy":
        await part.read()


for _name in ("vibration", "temperature", "energy", "pulses", "current"):
    if _settings[_name] is None:
        continue
    _given = _settings[_name]
    _where = "{driver} on {bus}".format(**_given)
    if _given["bus"].startswith("uart"):
        _rate = _given["baudrate"] or board.BUSES.get(_given["bus"], (0,))[-1]
        _where += ", address {}, {} baud, parity {}".format(_given["address"], _rate, _given["parity"])
    _absent = []
    if _given["driver"] == "pulses":  # which answer nothing, and whose interrupt would outlive their code
        print("sensor", (_name, _where, "", _absent))
        continue
    try:
        _part = sys.modules["build.sensors"].sensor(_name, _port, _given)
        asyncio.run(_sensor(_name, _part))
        _why = ""
        _absent = getattr(_part, "absent", _absent)
    except OSError as _error:
        _why = _error.args[:2] or "OSError"
    except Exception as _error:
        _why = str(_error) or repr(_error)
    print("sensor", (_name, _where, _why, _absent))
    _part = None
    gc.collect()  # what is left between drivers leaves no piece for the links
