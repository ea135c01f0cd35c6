"""Loads the config, the key and the CA certificate as the node does. Run after `about`."""

import os
import packs

packs.mount()  # a board that was stopped early has not done so
supervisor = None  # what the interrupted node held
gc.collect()
try:
    os.stat("/config.json")
    print("config", True)
except OSError:
    print("config", False)
_there = os.listdir("/")
print("code", "session.code" in _there)
print("key", "device.key" in _there)
import build.keys  # by its full name: the node leaves None in its package's place

print("sealed", sys.modules["build.keys"].load_key() is not None)
import build.config

_settings, _problems = sys.modules["build.config"].load()
import build.engine

_engine = sys.modules["build.engine"]
_engine.ratios(_settings["machine"], _problems)
_engine.zones(_settings["machine"], _problems)
print("problems", _problems)
_broker = _settings["broker"]
_why = ""
if _broker["ca"]:
    try:
        import links.tls

        sys.modules["links.tls"]._certificate(_broker["ca"])
    except OSError as _error:
        _why = "no such file" if _error.errno == 2 else "errno %s" % _error.errno
    except ValueError:
        _why = "neither PEM nor DER"
print("ca", (_broker["ca"], _why))
