"""The states of an alarm, and the one table of what leads from which state to which.

Theory of operation: ANSI/ISA-18.2-2016 and IEC 62682, clause 5, the alarm state transition diagram (Figure 3).

    A  normal           nothing is wrong, and nobody has to be told of anything
    B  unack-active     it is wrong, and nobody has acknowledged it
    C  ack-active       it is wrong, and somebody has
    D  unack-cleared    it was wrong, it returned to normal, and nobody has acknowledged it (RTN unacknowledged)
    G  shelved          a person has put it aside, until an end that was said beforehand
    H  suppressed       by design: another alarm explains it
    I  out-of-service   a person has taken it out, with a reason and a date of review

E and F, the latched states, are left out: nothing that a node watches stays wrong until somebody resets it.

What is wrong goes on to be followed in G, H and I: `active` tells it beside the state. Who leaves these three comes to
B where it is wrong, and to A where it is not. In one thing this table is stricter than the figure: what began and
ended meanwhile, and nobody has seen, comes to D and not to A, so that nothing disappears without a person. What H hid
needs nobody: the alarm that explains it is acknowledged in its place. And what was over long before anybody followed
the alarms of a store ("archive", alarms.engine) needs nobody either: there was no list on which it could be seen.
"""

from __future__ import annotations

from typing import Final, Literal, cast, get_args

State = Literal[
    "normal", "unack-active", "ack-active", "unack-cleared", "shelved", "suppressed", "out-of-service"
]  # fmt: skip
Act = Literal[
    "raise", "clear",  # what records say
    "acknowledge", "shelve", "unshelve", "out-of-service", "in-service",  # what persons do
    "expire", "suppress", "release",  # the end of a shelf; by design
    "archive",  # what was over before there was a list
]  # fmt: skip

NORMAL: Final = "normal"
UNACK: Final = "unack-active"
ACK: Final = "ack-active"
CLEARED: Final = "unack-cleared"
SHELVED: Final = "shelved"
SUPPRESSED: Final = "suppressed"
OUT: Final = "out-of-service"
ANNUNCIATED: tuple[State, ...] = (UNACK, ACK, CLEARED)  # what an operator's list shows
HIDDEN: tuple[State, ...] = (SHELVED, SUPPRESSED, OUT)
STATES: tuple[State, ...] = get_args(State)
ACTS: tuple[Act, ...] = get_args(Act)

_BACK = "back"  # from G, H and I: to B, D or A, by `active` and `unseen`
_ASIDE: dict[Act, str] = {"shelve": SHELVED, "out-of-service": OUT, "suppress": SUPPRESSED}

# From a state by an act to the next one. What is not here is not allowed.
TABLE: dict[State, dict[Act, str]] = {
    "normal": {"raise": UNACK, **_ASIDE},
    "unack-active": {"raise": UNACK, "clear": CLEARED, "acknowledge": ACK, **_ASIDE},
    "ack-active": {"raise": UNACK, "clear": NORMAL, **_ASIDE},
    "unack-cleared": {"raise": UNACK, "acknowledge": NORMAL, "archive": NORMAL, **_ASIDE},
    "shelved": {
        "raise": SHELVED, "clear": SHELVED, "shelve": SHELVED, "unshelve": _BACK, "expire": _BACK,
        "out-of-service": OUT,
    },
    "suppressed": {"raise": SUPPRESSED, "clear": SUPPRESSED, "release": _BACK, "out-of-service": OUT},
    "out-of-service": {"raise": OUT, "clear": OUT, "out-of-service": OUT, "in-service": _BACK},
}  # fmt: skip


def allowed(state: State, act: Act) -> bool:
    return act in TABLE[state]


def after(state: State, act: Act, active: bool, unseen: bool) -> State:
    """The state that an act leads to. Raises ValueError for one that the table does not have.

    active: whether it is wrong. unseen: it was raised since a person saw it last.
    """
    found = TABLE[state].get(act)
    if found is None:
        raise ValueError(f"{act} is not possible: the alarm is {state}")
    if found == _BACK:
        found = UNACK if active else CLEARED if unseen else NORMAL
    return cast(State, found)
