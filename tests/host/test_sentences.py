"""The sentences of events: in each language all that a node can say, and numbers as that language writes them."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from quaver import knowledge
from quaver.knowledge.sentences import event_sentence, node_text
from quaver_wire.fields import EVENTS, FAULTS, LEVELS, LIMITED, LINES
from quaver_wire.reasons import WORDS, words

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
LEVEL = {"code": "level", "event_level": "warning", "subject": "temperature", "value": 71.25, "limit": 70.0}


def table(code: str) -> dict[str, Any]:
    return tomllib.loads((Path(knowledge.__file__).parent / f"sentences_{code}.toml").read_text())


def test_german_has_a_word_for_all_that_a_node_can_say() -> None:
    german, english = table("de"), table("en")
    assert set(german["sentence"]) == set(english["sentence"]) and set(german["value"]) == set(english["value"])
    assert set(EVENTS) - {"", "level"} <= set(german["event"]) and set(LEVELS) == set(german["level"])
    assert {*FAULTS, *LIMITED, *LINES, "zone", "trend", "octave", "impacts"} <= set(german["subject"])
    for number in WORDS:
        assert node_text(words([number, 7]), "de") != words([number, 7]), number
    said = (FIRMWARE / "dsp" / "diagnosis.py").read_text() + (FIRMWARE / "dsp" / "classes.py").read_text()
    reasons = {re.sub(r"{.*?}", "{}", one) for one in re.findall(r'abstained = "([^"]+)"', said)}
    assert len(reasons) > 8 and reasons <= set(german["text"])


@pytest.mark.parametrize(
    ("values", "english", "german"),
    [
        (LEVEL, "WARNING temperature 71.2 °C, limit 70 °C", "WARNUNG Temperatur 71,2 °C, Grenzwert 70 °C"),
        ({"code": "baseline_learned", "value": 20.0}, "baseline learned: from 20 measurements",
         "Gelernt: aus 20 Messungen"),
        ({"code": "boot", "text": "WDT_RESET"}, "boot: by its watchdog", "Gestartet: durch seinen Watchdog"),
        ({"code": "sensor_failed", "subject": "energy", "text": "refuses register 0x0156 (2, no such register)"},
         "sensor failed: energy refuses register 0x0156 (2, no such register)",
         "Sensor ausgefallen: Energie verweigert Register 0x0156 (2, no such register)"),
        ({"code": "level", "event_level": "alarm", "subject": "bpfo", "value": 1.5,
          "abstained": "bpfo is weak, 14 of 20 dB"}, "ALARM BPFO 1.5; no fault named: BPFO is weak, 14 of 20 dB",
         "ALARM BPFO 1,5; kein Befund: BPFO ist schwach, 14 von 20 dB"),
        ({"code": "rule_acted", "subject": "hot", "value": 90.0, "limit": 80.0,
          "text": "motor off: temperature_c above 80"},
         "rule acted: hot 90, limit 80; motor off: temperature_c above 80",
         "Regel hat gehandelt: hot 90, Grenzwert 80; motor off: temperature_c above 80"),
        ({"code": "of a later version"}, "of a later version", "of a later version"),
    ],
)  # fmt: skip
def test_an_event_is_a_sentence(values: dict[str, Any], english: str, german: str) -> None:
    assert (event_sentence(values), event_sentence(values, "de")) == (english, german)


def test_what_nobody_has_translated_is_shown_as_it_came() -> None:
    assert node_text("boot 1: seq 7 to 8", "de") == "Start 1: Nummer 7 bis 8"
    assert node_text("{} %s of {}", "de") == "{} %s of {}"
    assert node_text("out of its range at 151.2 degrees", "de") == "außerhalb seines Bereichs bei 151,2 Grad"
