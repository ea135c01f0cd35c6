"""The report of a run: a page with its pictures in it, the same as JSON, and as JUnit XML for a CI."""

from __future__ import annotations

import io
import json
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from quaver.errors import PlantError
from quaver.plant.spec import MOMENTS, SENSOR_FAULTS
from quaver.plant.world import clock

if TYPE_CHECKING:
    from quaver.plant.judge import Outcome

PAGE, DATA, JUNIT = "report.html", "report.json", "report.xml"
_ROWS_MAX = 60  # nodes in the picture; the tables have all
_WEARS, _FAILED = "#ffe3c7", "#f5b48c"
_COLOURS = {
    "power_cut": "#57606a",
    "brownout": "#8c959f",
    "flash_cut": "#24292f",
    "wifi_gone": "#8250df",
    "lossy": "#c8b1f0",
    "out_of_range": "#a475f9",
    "gateway_dies": "#24292f",
    "stuck": "#9a6700",
    "absent": "#9a6700",
    "range": "#9a6700",
    "drift": "#d4a72c",
    "retire": "#cf222e",
    "broker_restart": "#0969da",
    "ingest_down": "#54aeff",
    "full_disk": "#218bff",
    "clock": "#1b7c83",
    "replay": "#b42318",
    "forged": "#b42318",
}


def write(outcome: Outcome, folder: Path) -> Path:
    """Put all three into the folder; returns the page's path. Raises PlantError."""
    texts = {
        PAGE: page(outcome),
        DATA: json.dumps(outcome.as_json(), indent=1, default=str) + "\n",
        JUNIT: junit(outcome),
    }
    try:
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise PlantError(f"{folder}: can't write the report: {error.strerror or error}") from error
    return folder / PAGE


def page(outcome: Outcome) -> str:
    """One HTML file that needs no other."""
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True)
    template = environment.from_string(Path(__file__).with_name(PAGE).read_text(encoding="utf-8"))
    return template.render(
        plant=outcome.plant,
        outcome=outcome,
        time=clock,
        timeline=timeline(outcome),
        figures=_figures(outcome),
        thousands=lambda value: "" if value is None else f"{value:,}",
        broken=SENSOR_FAULTS,
        moments=MOMENTS,
    )


def _figures(outcome: Outcome) -> list[tuple[str, str, bool]]:
    """(what, how many, whether that is bad) of what one looks for first."""
    unexplained = sum(account.unexplained for account in outcome.accounts)
    due = [one for one in outcome.detections if one.fails <= outcome.plant.duration]
    found = [
        ("nodes", f"{len(outcome.accounts):,}", bool(outcome.silent)),
        ("records", f"{outcome.records:,}", False),
        ("records missing without a reason", f"{unexplained:,}", unexplained > 0),
        ("faults injected", f"{len(outcome.injected):,}", False),
        ("false alarms", f"{len(outcome.false_alarms):,}", bool(outcome.false_alarms)),
    ]
    if due:
        told = sum(one.alarmed is not None for one in due)
        found.append(("machines that failed, and alarmed", f"{told} of {len(due)}", told < len(due)))
    delays = [one.delay for one in outcome.detections if one.delay is not None]
    if delays:
        found.append(("alarm after wear began, median", clock(median(delays)), False))
    return found


def timeline(outcome: Outcome) -> str:
    """An SVG: a row for each node, first those that have something to tell; above them what befell the whole plant."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    plant = outcome.plant
    hours = plant.duration / 3600
    wears = {one.place: one for one in outcome.detections}
    told = {one.node for one in outcome.injected} | {said.node for said in outcome.said if said.event != "boot"}
    nodes = sorted(plant.stations(), key=lambda node: (node.place not in wears, node.name not in told))[:_ROWS_MAX]
    rows = {"": 0, **{node.name: at for at, node in enumerate(nodes, 1)}}
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "quaver", "font.size": 9}):
        figure = Figure(figsize=(10, 1.4 + 0.26 * len(rows)), layout="constrained")
        FigureCanvasSVG(figure)
        axis = figure.subplots()
        for node in nodes:
            worn = wears.get(node.place)
            if worn is not None:
                begins, fails = worn.begins / 3600, min(worn.fails / 3600, hours)
                axis.barh(rows[node.name], fails - begins, left=begins, color=_WEARS, height=0.8)
                axis.barh(rows[node.name], hours - fails, left=fails, color=_FAILED, height=0.8)
        seen = set()
        for one in outcome.injected:
            if one.node in rows:
                seen.add(one.kind)
                width = hours / 400 if one.kind in MOMENTS else max(one.lasts / 3600, hours / 400)
                axis.barh(rows[one.node], width, left=one.at / 3600, color=_COLOURS[one.kind], height=0.5)
        false = {(one.node, one.at) for one in outcome.false_alarms}
        for said in outcome.said:
            if said.node in rows and said.event == "alarm":
                colour = "#b42318" if (said.node, said.at) in false else "black"
                axis.plot(said.at / 3600, rows[said.node], marker="v", color=colour, markersize=5)
            elif said.node in rows and said.event == "fault":
                axis.plot(said.at / 3600, rows[said.node] - 0.25, marker="*", color="black", markersize=7)
        axis.set_yticks(list(rows.values()), ["the plant", *list(rows)[1:]])
        axis.set_ylim(len(rows) - 0.4, -0.6)
        axis.set_xlim(0, hours)
        axis.set_xlabel("hours since the start")
        axis.grid(axis="x", alpha=0.3)
        axis.hlines(list(rows.values()), 0, hours, color="#eef1f4", linewidth=1, zorder=0)
        axis.tick_params(axis="y", length=0)
        axis.spines[["top", "right", "left"]].set_visible(False)
        kinds = [kind for kind in _COLOURS if kind in seen]
        legend: list[Any] = [Patch(color=_COLOURS[kind], label=kind.replace("_", " ")) for kind in kinds]
        if wears:
            legend += [Patch(color=_WEARS, label="wears"), Patch(color=_FAILED, label="has failed")]
        legend.append(Line2D([], [], linestyle="", marker="v", color="black", label="alarm"))
        legend.append(Line2D([], [], linestyle="", marker="*", color="black", label="fault named"))
        if false:
            legend.append(Line2D([], [], linestyle="", marker="v", color="#b42318", label="false alarm"))
        figure.legend(handles=legend, loc="outside lower center", ncols=6, frameon=False)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def junit(outcome: Outcome) -> str:
    """JUnit XML: a case for each expectation of the whole, each machine that wears, and each node."""
    plant = outcome.plant
    cases: list[tuple[str, str, str]] = [("plant", "as expected", "; ".join(outcome.failed))]
    for one in outcome.detections:
        missed = one.alarmed is None and one.fails <= plant.duration
        cases.append(("wear", f"{one.place}: {one.fault}", "no alarm" if missed else ""))
    heard = {account.topic.rpartition("/")[2]: account for account in outcome.accounts}
    for node in plant.nodes():
        account = heard.get(node.name)
        why = "nothing of it has arrived" if account is None else ""
        if account is not None and account.unexplained:
            why = f"{account.unexplained} records are missing without an explanation"
        false = [said.subject for said in outcome.false_alarms if said.node == node.name]
        cases.append(("node", node.name, "; ".join([why] * bool(why) + [f"false alarm: {each}" for each in false])))
    suite = ElementTree.Element("testsuite", name=plant.name, tests=str(len(cases)))
    for classname, name, why in cases:
        case = ElementTree.SubElement(suite, "testcase", classname=classname, name=name)
        if why:
            ElementTree.SubElement(case, "failure", message=why)
    suite.set("failures", str(sum(bool(why) for _, _, why in cases)))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
