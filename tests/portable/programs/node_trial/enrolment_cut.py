"""Enrolment, blank and again, with the power cut at each operation of the flash."""

import asyncio
import json

from build.keys import key_check, load_key
from cut_flash import every_cut, mounted
from enrol.enrolment import Enrolment
from node_trial.files import read


class Tries:
    untold = 0


def enrol(config, key, generation):
    async def ask(enrolment, **request):
        answer = json.loads(await enrolment.answer(json.dumps(request).encode()))
        if "error" in answer:
            raise OSError(answer["error"])
        return answer["result"]

    async def steps():
        enrolment = Enrolment({}, lambda config: [], None, None, None, Tries(), root="/flash")
        await ask(enrolment, do="stage", config=config, key=key.hex(), generation=generation)
        await ask(enrolment, do="commit", check=key_check(key))

    asyncio.run(steps())


def first():
    enrol({"node": "old"}, b"1" * 32, 1)


def second():
    enrol({"node": "new"}, b"2" * 32, 2)


states = set()


def check_blank(cut):
    held = load_key("/flash/device.key")
    assert held is None or (held == (1, b"1" * 32) and json.loads(read("/config.json")) == {"node": "old"}), cut
    states.add("blank" if held is None else "enrolled")
    first()
    assert load_key("/flash/device.key") == (1, b"1" * 32)


def check_anew(cut):
    held = load_key("/flash/device.key")
    config = json.loads(read("/config.json"))
    if held:
        assert (held[0], config["node"]) in ((1, "old"), (2, "new")), cut
    states.add(held and held[0])
    second()
    assert load_key("/flash/device.key") == (2, b"2" * 32) and json.loads(read("/config.json")) == {"node": "new"}


blank, _, _ = mounted(None, lambda: None)
count = every_cut(blank, first, check_blank)
enrolled, _, _ = mounted(blank, first)
count += every_cut(enrolled, second, check_anew)
print(json.dumps([count, sorted(str(state) for state in states)]))
