// Features over time: bands of low to high, limits, zones, what was learned, events; speed and load beside them.

import { chart } from "../../charts.js";
import { h, later, replace } from "../../dom.js";
import { rangeLength, rangePicker, stateIcon } from "../../parts.js";
import { now } from "../../plant.js";
import { ago, currentLanguage, number, quantity, time, unitText } from "../../words.js";
import { shortTitle, wholeTitle } from "./titles.js";

// The more telling first; what is not here follows in the server's order.
const FIRST = ["velocity_mm_s", "envelope_g", "rms_g", "peak_g", "kurtosis", "crest", "temperature_c", "humidity_pct", "current_a", "shaft_hz", "energy.power_w"];
const DRIVES = ["shaft_hz", "energy.power_w"]; // what a machine does, under what it shows
const MARKED = new Set(["level", "fault", "boot", "baseline_learned", "config_rejected", "update_confirmed", "update_rejected", "sensor_failed", "sensor_recovered"]);
const GAP = 3; // steps, or intervals, without a value: a gap
const YOUNG = 3; // hours
const AGAIN_MS = 30_000;
const MOST_POINTS = 4_000; // that the live end may add before the whole is loaded anew
const LEVEL_COLOURS = { warning: "warning-fill", alarm: "alarm" };

/** "event of boot 1, seq 228" in the words of the page. */
function recordsOf(source, t) {
  return [...source.matchAll(/boot (\d+), seq (\d+)/g)].map(([, boot, seq]) => t("diagnosis.record", { boot, seq })).join("; ") || source;
}

export async function show(root, context, node) {
  const { t, api, live, query, setQuery } = context;
  const names = [...FIRST.filter((name) => name in node.quantities), ...Object.keys(node.quantities).filter((name) => !FIRST.includes(name))];
  if (!names.length) return void replace(root, h("p", { class: "muted" }, t("trend.none")));
  let name = names.includes(query.q) ? query.q : names[0];
  let range = rangeLength(query.range) ? query.range : "day";
  let end = null; // of the range; null: now, so it moves on
  let series = null;
  let events = [];
  let turn = 0;
  let zoom = null;

  const tiles = h("div", { class: "values", role: "group", "aria-label": t("trend.quantity") });
  const picker = rangePicker({ value: range, change: (value) => { range = value; end = null; zoom = null; big.zoomTo(null); setQuery({ range }); void load(); } });
  const title = h("h2", {});
  const note = h("p", { class: "muted" });
  const marks = h("ul", { class: "marks" });
  const baselines = new Map(); // quantity -> its mean while the node learned what is healthy; null: it has not
  const limit = () => node.limits?.[name] ?? {};
  const unit = () => node.quantities[name].unit;

  const big = await chart({
    label: t("trend.chart"), x: { kind: "time" }, y: { from0: true, unit: () => unitText(unit()) }, sync: "trend",
    series: [{ label: t("trend.high"), colour: "series-1", width: 0 }, { label: t("trend.low"), colour: "series-1", width: 0, band: [1, 2] }, { label: t("trend.mean"), colour: "series-1", width: 2 }],
    summary, idle: () => last(), height: innerWidth < 700 ? 280 : 380,
    marks: () => ({ zones: zones(), lines: limitLines(), at: events.map((event) => ({ x: event.time_ms, text: event.mark, colour: LEVEL_COLOURS[event.level] ?? "muted", dash: [3, 3] })) }),
    read: (place, x) => (series?.mean[place] === null || !series ? `${time(x)} · –` : `${time(x)} · ${quantity(series.mean[place], unit())}${
      series.step_ms ? ` (${number(series.low[place])} – ${quantity(series.high[place], unit())})` : ""}`),
    zoomed: (from, until) => { zoom = from === null ? null : [from, until]; for (const { plot } of drives) plot.zoomTo(from, until); soon(); },
    move: (direction) => { end = Math.min(now(), (end ?? now()) + direction * rangeLength(range) / 2); if (now() - end < rangeLength(range) / 20) end = null; zoom = null; big.zoomTo(null); void load(); },
    table: () => ({ columns: [t("trend.time"), t("trend.low"), t("trend.mean"), t("trend.high")], rows: (series?.times_ms ?? []).map((ms, place) => [time(ms, "full"), number(series.low[place]), number(series.mean[place]), number(series.high[place])]) }),
  });
  // one small chart each, below the large one, with its cursor and its zoom
  const drives = [];
  for (const one of DRIVES.filter((each) => each in node.quantities)) {
    const plot = await chart({ label: wholeTitle(one, node, t), x: { kind: "time" }, y: {}, sync: "trend", small: true, height: 110, series: [{ label: one, colour: "series-2", width: 1.5 }] });
    drives.push({ name: one, plot, times: [], values: [] });
  }
  const charts = [big, ...drives.map(({ plot }) => plot)];

  replace(root, tiles, h("section", { class: "card" }, h("div", { class: "heading" }, title, picker.element), big.element, note,
    drives.map(({ name: one, plot }) => h("div", { class: "drive" }, h("h3", {}, [shortTitle(one, node, t), unitText(node.quantities[one].unit)].filter(Boolean).join(", ")), plot.element))),
  h("section", { class: "card" }, h("h2", {}, t("trend.events")), marks));

  function drawTiles() {
    const focused = tiles.contains(document.activeElement) ? document.activeElement.dataset.name : null;
    replace(tiles, names.map((one) => {
      const { unit: its, value, time_ms } = node.quantities[one];
      const { warning, alarm } = node.limits?.[one] ?? {};
      const level = alarm !== undefined && alarm !== null && value >= alarm ? "alarm" : warning !== undefined && warning !== null && value >= warning ? "warning" : null;
      return h("button", { type: "button", class: `value${level ? ` is-${level}` : ""}`, data: { name: one }, "aria-pressed": String(one === name), title: `${wholeTitle(one, node, t)}, ${ago(time_ms, now())}`,
        on: { click: () => { name = one; setQuery({ q: one }); drawTiles(); void load(); } } },
      h("span", { class: "value-title" }, shortTitle(one, node, t)), h("span", { class: "value-number" }, level && stateIcon(level, t(`state.${level}`)), number(value), h("small", {}, unitText(its))));
    }));
    if (focused) [...tiles.children].find((one) => one.dataset.name === focused)?.focus();
  }

  /** The zones of ISO 20816 as tints, where the node is told their boundaries. */
  function zones() {
    const bounds = name === "velocity_mm_s" ? limit().zones : null;
    if (!bounds?.length) return [];
    return ["A", "B", "C", "D"].map((text, place) => ({ text, from: place ? bounds[place - 1] : 0, to: bounds[place] ?? null, colour: ["ok", "ok", "warning-fill", "alarm"][place] }));
  }

  function limitLines() {
    const { warning, alarm } = limit();
    const baseline = baselines.get(name);
    return [[warning, "warning-fill", t("state.warning")], [alarm, "alarm", t("state.alarm")], [baseline, "muted", t("trend.baseline")]]
      .filter(([value]) => value !== undefined && value !== null).map(([value, colour, text]) => ({ y: value, colour, text: `${text} ${number(value)}` }));
  }

  function last() {
    const place = series?.mean.findLastIndex((value) => value !== null) ?? -1;
    return place < 0 ? t("chart.none") : `${time(series.times_ms[place])} · ${quantity(series.mean[place], unit())}`;
  }

  function summary() {
    const values = (series?.mean ?? []).filter((value) => value !== null);
    if (!values.length) return t("trend.summary.none", { quantity: wholeTitle(name, node, t) });
    const last = values.at(-1);
    const sum = values.reduce((total, value) => total + value, 0);
    return t("trend.summary", { quantity: wholeTitle(name, node, t), from: time(series.times_ms[0]), until: time(series.times_ms.at(-1)), least: quantity(Math.min(...series.low.filter((value) => value !== null)), unit()),
      most: quantity(Math.max(...series.high.filter((value) => value !== null)), unit()), mean: quantity(sum / values.length, unit()), last: quantity(last, unit()), events: events.length });
  }

  async function load() {
    const mine = (turn += 1);
    const until = end ?? now();
    const since = until - rangeLength(range);
    const [from, to] = zoom ?? [since, until];
    const points = Math.round(Math.max(300, root.clientWidth));
    const asked = (quantity) => api(`nodes/${node.node}/series`, { query: { quantity, since_ms: Math.round(from), until_ms: Math.round(to), points } });
    const loads = drives.filter((one) => one.name !== "shaft_hz"); // the speed comes with each series
    const [main, found, ...others] = await Promise.all([asked(name), api(`nodes/${node.node}/events`, { query: { since_ms: Math.round(since), until_ms: Math.round(until), limit: 100, language: currentLanguage() } }), ...loads.map((one) => asked(one.name))]);
    if (mine !== turn) return;
    if (range === "day" && !query.range && end === null && !zoom && main.times_ms.length && until - main.times_ms[0] < YOUNG * rangeLength("hour")) {
      range = "hour"; // a young node's hours would be a stroke at a day's end
      picker.update(null, range);
      return load();
    }
    series = withGaps(main);
    for (const drive of drives) {
      const its = drive.name === "shaft_hz" ? { times: series.times_ms, values: series.shaft_hz } : (({ times_ms, mean }) => ({ times: times_ms, values: mean }))(withGaps(others[loads.indexOf(drive)]));
      Object.assign(drive, its.values?.length ? its : { times: [], values: [] });
    }
    events = found.events.filter((event) => event.time_ms && MARKED.has(event.code)).map((event) => ({ ...event, mark: event.level === "alarm" || event.level === "warning" ? t(`state.${event.level}`) : t(`event.${event.code}`) }));
    if (!zoom) for (const one of charts) one.setRange(since, until);
    draw();
    void loadBaseline(name);
    title.textContent = wholeTitle(name, node, t);
    const { source } = limit();
    note.textContent = [series.step_ms ? t("trend.step", { step: span(series.step_ms) }) : t("trend.every"), source && t("trend.limits", { source: recordsOf(source, t) })].filter(Boolean).join(" ");
    note.hidden = !note.textContent;
    const newest = [...found.events].sort((a, b) => (b.time_ms ?? 0) - (a.time_ms ?? 0)).slice(0, 8);
    replace(marks, newest.map((event) => h("li", { class: `is-${event.level ?? "note"}` }, stateIcon(event.level ?? "note"), h("time", {}, time(event.time_ms)), h("span", {}, event.text))));
    if (!found.events.length) replace(marks, h("li", { class: "muted" }, t("trend.events.none")));
  }

  /** Nothing was measured for long: the line ends there, and does not lead over it. */
  function withGaps(given) {
    const found = { ...given, times_ms: [], low: [], mean: [], high: [], shaft_hz: [] };
    const steps = given.times_ms.slice(1).map((ms, place) => ms - given.times_ms[place]).sort((a, b) => a - b);
    const longest = GAP * Math.max(given.step_ms || 0, (node.interval_s ?? 60) * 1_000, steps[Math.floor(steps.length / 2)] ?? 0);
    given.times_ms.forEach((ms, place) => {
      const before = given.times_ms[place - 1];
      if (before !== undefined && ms - before > longest) {
        found.times_ms.push(before + longest / GAP);
        for (const list of [found.low, found.mean, found.high, found.shaft_hz]) list.push(null);
      }
      found.times_ms.push(ms);
      for (const key of ["low", "mean", "high"]) found[key].push(given[key][place]);
      found.shaft_hz.push(given.shaft_hz?.[place] ?? null);
    });
    return found;
  }

  /** The mean of the time in which the node learned; it is drawn as a line once it is known. */
  async function loadBaseline(quantity) {
    if (baselines.has(quantity)) return;
    baselines.set(quantity, null);
    const { events: told } = await api(`nodes/${node.node}/events`, { query: { limit: 1000 } });
    const learned = told.filter((event) => event.code === "baseline_learned" && event.time_ms).map((event) => event.time_ms).sort((a, b) => a - b);
    if (!learned.length) return;
    const found = await api(`nodes/${node.node}/series`, { query: { quantity, since_ms: learned.at(-2) ?? 0, until_ms: learned.at(-1), points: 300 } });
    if (!found.mean.length) return;
    baselines.set(quantity, found.mean.reduce((sum, value) => sum + value, 0) / found.mean.length);
    big.redraw();
  }

  function span(ms) {
    const [unit, size] = [["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000], ["second", 1_000]].find(([, one]) => ms >= one) ?? ["second", 1_000];
    return new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 0 }).format(ms / size);
  }

  function draw() {
    big.setData([series.times_ms, series.high, series.low, series.mean]);
    for (const { plot, times, values } of drives) plot.setData([times, values]);
  }

  const soon = later(() => load(), 250);
  const seldom = later(() => load(), AGAIN_MS, AGAIN_MS);
  const stops = [
    live("record", ({ node: of, kind, time_ms, values }) => {
      if (of !== node.node) return;
      if (kind === "event") return soon();
      if (kind !== "telemetry" || !values) return;
      for (const [one, value] of Object.entries(flat(values))) if (node.quantities[one]) Object.assign(node.quantities[one], { value, time_ms });
      drawTiles();
      const value = flat(values)[name];
      if (end !== null || zoom || !series || value === undefined) return;
      if (series.step_ms || series.times_ms.length > MOST_POINTS) return seldom();
      if (time_ms <= (series.times_ms.at(-1) ?? 0)) return;
      series.times_ms.push(time_ms);
      for (const list of [series.low, series.mean, series.high]) list.push(value);
      for (const drive of drives) {
        if (drive.times !== series.times_ms) drive.times.push(time_ms);
        drive.values.push(flat(values)[drive.name] ?? null);
      }
      for (const one of charts) one.setRange(now() - rangeLength(range), now());
      draw();
    }),
    live("anew", async () => {
      // the newest record may not have them all
      Object.assign(node.quantities, (await api(`nodes/${node.node}`)).quantities);
      drawTiles();
      await load();
    }),
  ];
  drawTiles();
  await load();
  return () => { for (const stop of stops) stop(); soon.stop(); seldom.stop(); for (const one of charts) one.destroy(); };
}

/** A record's numbers by the names of quantities: those of a group behind a dot. */
function flat(values) {
  return Object.fromEntries(Object.entries(values).flatMap(([name, value]) => (value && typeof value === "object" && !Array.isArray(value)
    ? Object.entries(value).map(([inner, one]) => [`${name}.${inner}`, one]) : [[name, value]])));
}
