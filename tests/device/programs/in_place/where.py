"""Where the parts of the module `name` lie, and what they answer."""

import machine
import sys

__import__("made." + name)
made = sys.modules["made." + name]


def where(thing, word=12):
    place = machine.mem32[id(thing) + word]
    if place >> 24 == 0x40:  # an ESP32-C3's memory for machine code, which may be but a jump: lui t0
        for at in (place, place + 4):
            if machine.mem32[at] & 0xFFF == 0x2B7:
                place = machine.mem32[at]
    return place >> 24


text, (_, inner) = made.says()
things = made.Class.__dict__["method"], made.native, made.viper, made.later, made.long
print([where(thing) for thing in things], where(made.thumb, 8), where(made.TABLE), where(text), where(inner))
print(
    made.Class().method(9),
    made.native(9, 2),
    made.native(1, 0),
    made.viper(9),
    made.thumb(9),
    list(made.later(3)),
    made.long(2),
    text[-4:] + inner[-9:],
)
