"""A bad configuration never bricks a node; enrolment and trial survive a cut at every flash operation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.trial import Trial

OLD, NEW = b'{"node":"old"}', b'{"node":"new"}'
HERE = Path(__file__).parent


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_bytes(OLD)
    return tmp_path


def start(root: Path) -> tuple[Trial, bytes]:
    """A start of the node: what it runs with."""
    trial = Trial(str(root))
    return trial, Path(trial.begin()).read_bytes()


def test_a_configuration_that_brings_the_node_online_is_kept(root: Path) -> None:
    trial, config = start(root)
    assert (config, trial.running) == (OLD, False)
    trial.accept()  # online with what is in force changes nothing
    trial.propose(NEW)
    trial, config = start(root)
    assert (config, trial.running) == (NEW, True)
    trial.accept()
    for _ in range(2):
        trial, config = start(root)
        assert (config, trial.running, trial.rejected) == (NEW, False, False)
    trial.back()
    trial, config = start(root)
    assert config == OLD
    trial.accept()
    assert start(root)[1] == OLD


def test_one_that_does_not_is_rejected_at_the_next_start_and_told(root: Path) -> None:
    start(root)[0].propose(NEW)
    assert start(root)[1] == NEW
    trial, config = start(root)
    assert (config, trial.running, trial.rejected) == (OLD, False, True)
    assert start(root)[0].rejected  # nobody was told yet
    trial.told()
    assert not start(root)[0].rejected
    assert sorted(p.name for p in root.iterdir()) == ["config.json"]


def test_a_second_proposal_replaces_the_first_also_while_that_is_on_trial(root: Path) -> None:
    start(root)[0].propose(NEW)
    trial, _ = start(root)
    trial.propose(b'{"node":"third"}')
    trial.accept()  # what came online was not the third
    trial, config = start(root)
    assert (config, trial.running) == (b'{"node":"third"}', True)


def test_there_is_nothing_to_roll_back_to_at_first(root: Path) -> None:
    with pytest.raises(ValueError, match="nothing to roll back to"):
        Trial(str(root)).back()


def test_a_trial_has_a_limit(micropython: Callable[..., Any]) -> None:
    assert micropython(
        """
import asyncio, time
from node.trial import Trial
async def main():
    out = []
    for online_after in (None, 100):
        trial = Trial("/nowhere")
        trial.running = True
        began = time.ticks_ms()
        task = asyncio.create_task(trial.watch(300, lambda: out.append(time.ticks_diff(time.ticks_ms(), began) // 1000), lambda: None))
        await asyncio.sleep(online_after or 400)
        trial.running = False
        await asyncio.sleep(400)
        task.cancel()
    print(json.dumps(out))
asyncio.run(main())
""",  # noqa: E501
        virtual_time=True,
    ) == [300]


PRELUDE = """
import asyncio, os
sys.path.append(argument)
from cut_flash import every_cut, mounted
from node import store
from enrol.enrolment import Enrolment
from build.keys import key_check, load_key
from node.trial import Trial

def read(name):
    try:
        with open("/flash" + name, "rb") as file:
            return file.read()
    except OSError:
        return None

OLD, NEW = b'{"node":"old"}', b'{"node":"new"}'
"""


def test_enrolment_with_a_cut_at_every_operation(micropython: Callable[..., Any]) -> None:
    """From blank the node is blank or enrolled; enrolled anew it has the old key, none, or the new; and a second try
    succeeds from wherever the first left it."""
    tried = micropython(
        PRELUDE
        + """
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

first = lambda: enrol({"node": "old"}, b"1" * 32, 1)
second = lambda: enrol({"node": "new"}, b"2" * 32, 2)
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
""",
        argument=str(HERE),
    )
    assert tried[0] > 20
    # a commit is the last operation, so no cut of the first enrolment leaves the node enrolled
    assert set(tried[1]) >= {"blank", "1", "None"}


def test_trial_with_a_cut_at_every_operation(micropython: Callable[..., Any]) -> None:
    """Whatever step of proposing, starting, keeping and rejecting is cut: the node starts with the old or the new
    configuration, whole, and one that failed never comes back."""
    tried = micropython(
        PRELUDE
        + """
count = 0
blank, _, _ = mounted(None, lambda: store.replace("/flash/config.json", OLD))

def started():
    trial = Trial("/flash")
    path = trial.begin()
    with open(path, "rb") as file:
        return trial, file.read()

def propose():
    Trial("/flash").propose(NEW)

def keep():
    trial, config = started()
    if trial.running:  # a flash that fails at the start puts nothing on trial
        assert config == NEW
        trial.accept()

def check(cut):
    trial, config = started()
    assert config in (OLD, NEW), cut
    if trial.running:
        trial, config = started()  # it did not come online
        assert config == OLD and trial.rejected and not trial.running, cut
    settled = config
    for _ in range(2):
        trial, config = started()
        assert config == settled and not trial.running, cut
    trial.propose(NEW)  # and the next try succeeds
    trial, config = started()
    assert config == NEW and trial.running, cut
    trial.accept()
    assert started()[1] == NEW, cut

count += every_cut(blank, propose, check)
proposed, _, _ = mounted(blank, propose)
count += every_cut(proposed, keep, check)
begun, _, _ = mounted(proposed, started)
count += every_cut(begun, started, check)
kept, _, _ = mounted(proposed, keep)
def back():
    Trial("/flash").back()
count += every_cut(kept, back, check)
print(json.dumps(count))
""",
        argument=str(HERE),
    )
    assert tried >= 30


def test_what_is_retired_is_gone_from_the_flash_itself(micropython: Callable[..., Any]) -> None:
    result = micropython(
        PRELUDE
        + """
from command.erase import erase
KEY, PASSWORD, CODE = "c0ffee" * 10 + "c0ff", "correct horse battery", b"7K2MXQ4TB0WNZ9RH"
def live():
    store.replace("/flash/session.code", CODE)
    store.replace("/flash/boot.0", b"41")
    store.replace("/flash/device.key", json.dumps({"generation": 1, "key": KEY}).encode())
    for n in range(3):
        store.replace("/flash/config.json", json.dumps({"wifi": {"password": PASSWORD}, "more": "x" * 300 * n}).encode())
    os.mkdir("/flash/journal")
    with open("/flash/journal/1", "wb") as file:
        file.write(b"record under wraps" * 300)
secrets = (KEY.encode(), PASSWORD.encode(), b"record under wraps")
image, _, _ = mounted(None, live)
before = [image.count(secret) > 0 for secret in secrets]
fed = []
image, _, _ = mounted(image, lambda: erase(("/journal/1",), "/flash", lambda: fed.append(1)))
after = [image.count(secret) for secret in secrets]
left = []
mounted(image, lambda: left.extend(sorted(os.listdir("/flash")) + [read("/session.code").decode(), read("/boot.0").decode()]))
print(json.dumps([before, after, left, len(fed) > 20]))
""",  # noqa: E501
        argument=str(HERE),
    )
    assert result[0] == [True, True, True]
    assert result[1] == [0, 0, 0]
    assert result[2] == ["boot.0", "journal", "session.code", "7K2MXQ4TB0WNZ9RH", "41"]
    assert result[3]
