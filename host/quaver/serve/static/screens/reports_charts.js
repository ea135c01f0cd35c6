// The charts of a report: lines of several kinds over one time axis, and what a machine did as a strip.

import { h } from "../dom.js";
import { number, time } from "../words.js";

const COLOURS = { value: "series-1", signals: "alarm", steps: "text", not_before: "series-4", limits: "series-1", ewma: "series-1", moving_range: "series-1", energy: "series-1" };
const STATES = ["failed", "stopped", "running"];
const BROKEN = 10; // usual steps, beyond which a line is interrupted

/** An element with a chart of a report, and how to end it: {element, end}. name: of the machine. */
export async function reportChart(context, found, name) {
  const { t } = context;
  const label = name ? t("reports.chart", { title: found.title, name }) : found.title;
  if (found.lines[0].kind === "states") return { element: strip(found.lines[0], label, t), end() {} };
  const { times, lists, series } = joined(found.lines);
  const bars = found.lines[0].kind === "bars";
  const plot = await context.chart({
    label, height: 280, x: { kind: "time" }, y: { unit: () => found.unit, from0: bars },
    series,
    marks: () => ({ lines: found.limits.map((limit) => ({ y: limit.value, text: `${limit.title} ${number(limit.value)}`, colour: /mean|healthy/.test(limit.key) ? "muted" : "alarm", dash: /mean|healthy/.test(limit.key) ? [] : [6, 4] })) }),
    read: (place, x) => [time(x), ...lists.map((list, at) => (list[place] === null || list[place] === undefined ? null : `${series[at].label} ${number(list[place])} ${found.unit}`))].filter(Boolean).join(" · "),
    summary: () => `${label}: ${times.length ? `${time(times[0])} – ${time(times.at(-1))}` : ""}`,
    table: () => ({ columns: ["", ...series.map((one) => `${one.label}${found.unit ? ` (${found.unit})` : ""}`)], rows: times.map((at, place) => [time(at, "full"), ...lists.map((list) => (list[place] === null ? "" : number(list[place])))]) }),
  });
  if (times.length) {
    const air = bars ? 0 : (times.at(-1) - times[0]) * 0.01;
    // a few bars stay bars: the range has room for a week of them
    const until = bars ? times[0] + Math.max(times.at(-1) - times[0] + barWidth(times), 7 * barWidth(times)) : times.at(-1);
    plot.setRange(times[0] - air, until + air);
  }
  plot.setData([times, ...lists]);
  return { element: plot.element, end: () => plot.destroy() };
}

/** Lines with times of their own as one table: where a line has no value at a time of another, it goes straight on. */
function joined(lines) {
  const all = lines.flatMap((line) => (line.kind === "line" ? broken(line) : [line]));
  const times = [...new Set(all.flatMap((line) => line.times_ms))].sort((a, b) => a - b);
  const lists = [];
  const series = [];
  for (const line of all) {
    const colour = COLOURS[line.key] ?? "series-2";
    const shape = { label: line.title, colour, width: line.kind === "band" ? 0.75 : line.kind === "interval" ? 5 : line.kind === "points" ? 0 : 1.5 };
    if (line.kind === "points") shape.points = true;
    if (line.kind === "bars") Object.assign(shape, { bars: true, fill: 0.55, width: 1 });
    lists.push(spread(line.times_ms, line.values, times, line.kind !== "points" && line.kind !== "bars"));
    series.push(shape);
    if (line.kind === "band") {
      lists.push(spread(line.times_ms, line.high, times, true));
      series.push({ ...shape, label: line.title, band: [lists.length, lists.length - 1] });
    }
  }
  return { times, lists, series };
}

/** How long a bar lasts: the shortest step between two, a day where there is one alone. */
function barWidth(times) {
  return times.slice(1).reduce((least, at, place) => Math.min(least, at - times[place]), 86_400_000);
}

/** With a hole where far longer than usual nothing was measured. */
function broken(line) {
  const steps = line.times_ms.slice(1).map((at, place) => at - line.times_ms[place]);
  const usual = [...steps].sort((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
  const times = [];
  const values = [];
  line.times_ms.forEach((at, place) => {
    times.push(at);
    values.push(line.values[place]);
    if (steps[place] > BROKEN * usual) {
      times.push(at + usual);
      values.push(null);
    }
  });
  return [{ ...line, times_ms: times, values }];
}

function spread(own, values, times, joins) {
  const result = [];
  let place = 0;
  for (const at of times) {
    while (place < own.length && own[place] < at) place += 1;
    if (own[place] === at) result.push(values[place]);
    else if (!joins || place === 0 || place === own.length || values[place] === null || values[place - 1] === null) result.push(null);
    else result.push(values[place - 1] + (values[place] - values[place - 1]) * (at - own[place - 1]) / (own[place] - own[place - 1]));
  }
  return result;
}

/** What the machine did, as a strip; each state by colour, pattern and word. */
function strip(line, label, t) {
  const first = line.times_ms[0];
  const whole = line.times_ms.at(-1) - first || 1;
  const parts = [];
  for (let at = 0; at + 1 < line.times_ms.length; at += 2) {
    const state = line.values[at] === null ? "unknown" : STATES[line.values[at]];
    parts.push({ state, from: line.times_ms[at], until: line.times_ms[at + 1] });
  }
  const sums = new Map();
  for (const part of parts) sums.set(part.state, (sums.get(part.state) ?? 0) + part.until - part.from);
  const said = [...sums].map(([state, ms]) => `${t(`reports.state.${state}`)} ${number(100 * ms / whole)} %`);
  return h("figure", { class: "strip-figure" },
    h("div", { class: "strip", role: "img", "aria-label": `${label}: ${said.join(", ")}` }, parts.map((part) =>
      h("span", { class: `is-${part.state}`, title: `${t(`reports.state.${part.state}`)}: ${time(part.from)} – ${time(part.until)}`, style: { "--share": String((part.until - part.from) / whole) } }))),
    h("div", { class: "strip-ends muted" }, h("span", {}, time(first)), h("span", {}, time(first + whole))),
    h("ul", { class: "strip-words" }, [...sums.keys()].map((state, at) => h("li", {}, h("span", { class: `strip-mark is-${state}`, "aria-hidden": "true" }), said[at]))));
}
