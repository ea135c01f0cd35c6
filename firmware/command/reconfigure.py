"""The configuration as a technician reads and changes it."""

import json

from node.room import load, opened

if False:  # types alone: never compiled
    from typing import Any

_SECRETS = ("password",)


def merged(config: dict, changes: dict) -> dict:
    """The configuration with `changes`, {"broker.host": value}, made. Raises ValueError.

    None gives a value its default back ("broker.port"), and switches a whole section off ("energy").
    """
    for path, value in changes.items():
        section, _, key = path.rpartition(".")
        target = config
        if section:
            target = config.setdefault(section, {})
            if not isinstance(target, dict):
                raise ValueError("{}: is switched off".format(section))
        if value is None and section:
            target.pop(key, None)
        else:
            target[key] = value
    return config


def _masked(value: "Any") -> "Any":
    if isinstance(value, dict):
        return {key: "*" if key in _SECRETS and inner else _masked(inner) for key, inner in value.items()}
    return value


def _load(path: str) -> dict:
    try:
        with opened(path) as file:
            config = json.load(file)
    except OSError:
        return {}
    if not isinstance(config, dict):
        raise ValueError("config.json: expected an object")
    return config


def text(path: str) -> str:
    """The configuration in the file `path` as JSON, secrets masked."""
    return json.dumps(_masked(_load(path)))


def changed(path: str, changes: dict) -> bytes:
    """The configuration in the file `path` with `changes` made, as JSON. Raises ValueError where it is wrong."""
    config = merged(_load(path), changes)
    problems = load("build.config").parse(config)[1]
    if problems:
        raise ValueError("; ".join(problems))
    return json.dumps(config).encode()
