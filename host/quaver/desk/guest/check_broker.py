"""Connects to the broker. Run after `check_radio`."""

_server = _settings["time_server"]
# TLS wants heap, so what is neither the port's nor a link's goes; and the date, by which a certificate is judged.
_engine = _part = None
for _name in list(sys.modules):
    if _name.split(".")[0] in ("build", "dsp", "drivers", "node", "quaver_wire"):
        sys.modules.pop(_name).__dict__.clear()
gc.collect()
from links.mqtt import Mqtt

_why = ""
if _server:
    import links.ntp

    try:
        import hal.date

        sys.modules["hal.date"].set_date(asyncio.run(sys.modules["links.ntp"].ask(_server, 5000))[0])
    except OSError as _error:
        _why = str(_error)
print("time", (_server, _why))
_tls = None
if _broker["ca"]:
    import hal.memory
    import links.tls

    _tls = sys.modules["links.tls"].Tls(_broker["ca"], _broker["host"], sys.modules["hal.memory"])
_mqtt = Mqtt(_broker, "doctor-" + _port.unique_id()[-8:], "quaver/doctor", b"", _tls)
_why = ""
try:
    if _broker["host"]:
        _mqtt.up()
        _mqtt.down()
except OSError as _error:
    _why = str(_error)
print("broker", (_broker["host"], _broker["port"], _why))
