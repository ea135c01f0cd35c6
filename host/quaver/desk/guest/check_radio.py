"""Joins the Wi-Fi network. Run after `check_sensors`."""

from links.wifi import Wifi

_ssid = _settings["wifi"]["ssid"]
_radio = _port.radio()
try:
    if _ssid:
        asyncio.run(Wifi(_radio, _ssid, _settings["wifi"]["password"]).up(20000))
    print("radio", (_ssid, ""))
except OSError as _error:
    print("radio", (_ssid, str(_error)))
    try:
        print("seen", sorted(set(entry[0].decode() for entry in _radio.scan() if entry[0]))[:8])
    except Exception:
        pass
