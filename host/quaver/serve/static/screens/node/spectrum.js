// Spectrum and envelope: the bearing's lines, two cursors with orders, another date or the baseline behind it.

import { chart, colour } from "../../charts.js";
import { h, later, replace, unique } from "../../dom.js";
import { button, chips, empty } from "../../parts.js";
import { number, quantity, time } from "../../words.js";
import { LINES, baselineOf, hertz, lineText, marksOf, near, records } from "./records.js";

export async function show(root, context, node, boot, seq) {
  const { t, api, live, query, setQuery, toast } = context;
  let all = await records(api, node.node);
  if (!all.length) return void replace(root, h("div", { class: "card" }, empty(t("spectrum.none"), t("spectrum.none.text"), { symbol: "ledger" })));
  const baseline = await baselineOf(api, node.node, all);
  if (boot !== undefined && !all.some((one) => same(one, boot, seq))) all = [...all, { boot: Number(boot), seq: Number(seq), time_ms: null, level: "ok" }];
  let follows = boot === undefined; // the newest, whichever that is
  let current = all.find((one) => same(one, boot, seq)) ?? all[0];
  let kind = query.kind === "envelope" ? "envelope" : "spectrum";
  let shown = new Set(query.lines === undefined ? ["shaft", "bpfo", "bpfi"] : query.lines.split(",").filter(Boolean));
  let log = query.log === "1";
  let spectrum = null;
  let other = null;
  let held = null;
  let plot = null;
  let turn = 0;

  const which = h("select", { id: unique(), on: { change: () => { follows = which.selectedIndex === 0; current = all[which.selectedIndex]; void load(); } } });
  const against = h("select", { id: unique(), on: { change: () => { setQuery({ with: against.value }); void load(); } } });
  const kinds = chips({ label: t("spectrum.kind"), value: kind, items: ["spectrum", "envelope"].map((key) => ({ key, text: t(`spectrum.${key}`) })), change: (value) => { kind = value; held = null; setQuery({ kind }); void build(); } });
  const lines = chips({ label: t("spectrum.lines"), several: true, value: shown, items: [], change: (value) => { shown = value; setQuery({ lines: [...value].join(",") }); plot?.redraw(); drawHeld(); } });
  const logarithmic = h("input", { type: "checkbox", checked: log, on: { change: () => { log = logarithmic.checked; setQuery({ log: log ? "1" : null }); void build(); } } });
  const place = h("div", {});
  const reading = h("div", { class: "reading", "aria-live": "polite" });
  const legend = h("div", { class: "keys" });
  const step = (by) => { const at = all.indexOf(current) + by; if (all[at]) { which.selectedIndex = at; which.dispatchEvent(new Event("change")); } };
  replace(root, h("section", { class: "card" },
    h("div", { class: "controls" },
      h("div", { class: "control" }, h("label", { for: which.id }, t("spectrum.record")), h("div", { class: "with-steps" }, button("", () => step(1), { symbol: "back", label: t("spectrum.older") }), which, button("", () => step(-1), { symbol: "next", label: t("spectrum.newer") }))),
      h("div", { class: "control" }, h("label", { for: against.id }, t("spectrum.compare")), against)),
    h("div", { class: "row" }, kinds.element, h("label", { class: "check" }, logarithmic, t("spectrum.log"))),
    place, legend, reading, h("h3", {}, t("spectrum.lines")), lines.element));

  const options = (value, list) => list.map((one) => h("option", { value: key(one), selected: key(one) === value }, `${time(one.time_ms, "full")}${one.level === "ok" ? "" : ` · ${t(`state.${one.level}`)}`}`));
  function drawChoices() {
    replace(which, options(key(current), all));
    which.options[0].textContent = `${t("spectrum.newest")} · ${which.options[0].textContent}`;
    replace(against, h("option", { value: "" }, t("spectrum.nothing")), baseline && h("option", { value: `base:${key(baseline)}`, selected: query.with === `base:${key(baseline)}` }, t("spectrum.baseline", { time: time(baseline.time_ms) })), options(query.with, all));
  }

  const values = (from) => (kind === "envelope" ? [from.envelope_hz, from.envelope_g] : [from.hz, from.g]);
  const shaft = () => spectrum.shaft_hz ?? spectrum.marks_hz?.shaft ?? null;
  const order = (hz) => (shaft() ? t("spectrum.order.text", { order: number(hz / shaft()) }) : "");
  const end = () => values(spectrum)[0].at(-1);
  const marks = () => marksOf(spectrum.marks_hz, shown, end(), kind === "spectrum" ? values(spectrum)[0][0] : 0);
  const binAt = (index) => { const hz = values(spectrum)[0]; return Math.abs((hz[index + 1] ?? hz[index]) - (hz[index - 1] ?? hz[index])) / 2; };

  async function load() {
    const mine = (turn += 1);
    const asked = (one) => api(`nodes/${node.node}/spectra/${one.boot}/${one.seq}`);
    const [b, s] = (query.with ?? "").replace("base:", "").split("-");
    try {
      const [first, second] = await Promise.all([asked(current), s === undefined ? null : asked({ boot: b, seq: s })]);
      if (mine !== turn) return;
      [spectrum, other] = [first, second];
    } catch (error) {
      return void toast(error.message || t("error.network"), "alarm");
    }
    if (current.time_ms === null) current.time_ms = spectrum.time_ms;
    drawChoices();
    lines.update(Object.keys(LINES).filter((name) => spectrum.marks_hz?.[name]).map((name) => ({ key: name, text: `${t(`spectrum.${name}`)} ${hertz(spectrum.marks_hz[name])}` })), shown);
    if (plot) draw();
    else await build();
  }

  async function build() {
    const mine = turn;
    plot?.destroy();
    plot = null;
    const made = await chart({
      label: t("spectrum.chart"), x: { kind: kind === "spectrum" ? "log" : "linear", unit: "Hz" }, y: { log, from0: !log, unit: () => "g" }, height: innerWidth < 700 ? 300 : 420,
      series: [{ label: t("spectrum.other"), colour: "series-2", width: 1.5, stepped: false }, { label: t("spectrum.this"), colour: "series-1", width: 2, fill: log ? 0 : 0.1 }],
      marks: () => ({ at: [...(held === null ? [] : [{ x: held, colour: "text", width: 2, text: "●", rank: 0 }]), ...marks()] }),
      read: (index, hz) => { drawHeld(hz, index); return `${hertz(hz)} · ${quantity(values(spectrum)[1][index], "[g]")} · ${order(hz)}`; },
      hold: (index, hz) => { held = held !== null && Math.abs(held - hz) < 1e-9 ? null : hz; plot.redraw(); drawHeld(hz, index); },
      summary, idle: () => highest(), table: () => ({ columns: [t("spectrum.frequency"), t("spectrum.order"), t("spectrum.amplitude"), ...(other ? [t("spectrum.other")] : [])],
        rows: values(spectrum)[0].map((hz, index) => [hertz(hz), shaft() ? number(hz / shaft()) : "–", quantity(values(spectrum)[1][index], "[g]"), ...(other ? [quantity(compared()[index], "[g]")] : [])]) }),
    });
    if (mine !== turn) return made.destroy();
    plot = made;
    replace(place, made.element);
    draw();
  }

  /** The other record at this one's frequencies: both may end elsewhere. */
  function compared() {
    const [hz] = values(spectrum);
    if (!other) return hz.map(() => null);
    const [its, g] = values(other);
    let at = 0;
    return hz.map((one) => {
      while (at < its.length - 1 && Math.abs(its[at + 1] - one) <= Math.abs(its[at] - one)) at += 1;
      return Math.abs(its[at] - one) <= binOf(its, at) ? g[at] : null;
    });
  }

  function draw() {
    const [hz, g] = values(spectrum);
    const shownAs = (list) => (log ? list.map((value) => value || null) : list); // a logarithm has no 0
    plot.setRange(kind === "spectrum" ? hz[0] : 0, hz.at(-1));
    plot.setData([hz, shownAs(compared()), shownAs(g)]);
    replace(legend, key_(t("spectrum.this"), time(spectrum.time_ms, "full"), "series-1"), other && key_(t("spectrum.other"), time(other.time_ms, "full"), "series-2"),
      kind === "envelope" && spectrum.band_hz && h("span", { class: "muted" }, t("spectrum.band", { low: hertz(spectrum.band_hz[0]), high: hertz(spectrum.band_hz[1]) })));
    drawHeld();
  }

  function key_(name, when, its) {
    return h("span", {}, h("i", { class: "key-line", style: { "--key": colour(its) } }), `${name}: ${when}`);
  }

  function drawHeld(hz = null, index = null) {
    const here = hz === null ? [] : near(marks(), hz, binAt(index));
    replace(reading, h("p", { class: held === null ? "muted" : "strong" }, held === null ? t("spectrum.held.none") : `${t("spectrum.held", { hz: hertz(held) })} · ${order(held)}`),
      held !== null && hz !== null && hz !== held && h("p", {}, t("spectrum.distance", { hz: hertz(Math.abs(hz - held)), orders: shaft() ? number(Math.abs(hz - held) / shaft()) : "–", ratio: number(Math.max(hz, held) / Math.min(hz, held), 4) })),
      here.length > 0 && h("p", {}, `${t("spectrum.near")}: ${here.slice(0, 4).map((mark) => lineText(mark, t)).join(", ")}`));
  }

  function highest() {
    const [hz, g] = values(spectrum);
    const at = g.indexOf(Math.max(...g));
    return `${t("spectrum.highest")}: ${hertz(hz[at])} · ${quantity(g[at], "[g]")} · ${order(hz[at])}`;
  }

  function summary() {
    const [hz, g] = values(spectrum);
    const peaks = g.map((value, index) => [value, hz[index], index]).filter(([value, , index]) => value >= (g[index - 1] ?? 0) && value >= (g[index + 1] ?? 0)).sort(([a], [b]) => b - a).slice(0, 3);
    return t("spectrum.summary", { kind: t(`spectrum.${kind}`), time: time(spectrum.time_ms, "full"), end: hertz(hz.at(-1)),
      peaks: peaks.map(([value, at, index]) => [quantity(value, "[g]"), hertz(at), ...near(marksOf(spectrum.marks_hz, new Set(Object.keys(LINES)), end()), at, binAt(index)).slice(0, 1).map((mark) => lineText(mark, t))].join(", ")).join("; ") });
  }

  const renew = later(async () => {
    all = await records(api, node.node);
    if (follows) current = all[0];
    else current = all.find((one) => same(one, current.boot, current.seq)) ?? current;
    if (follows) await load();
    else drawChoices();
  }, 500);
  const stops = [live("record", ({ node: of, kind: its }) => { if (of === node.node && its === "spectrum") renew(); }), live("anew", renew)];
  drawChoices();
  await load();
  return () => { for (const stop of stops) stop(); renew.stop(); plot?.destroy(); };
}

const key = (one) => `${one.boot}-${one.seq}`;
const same = (one, boot, seq) => String(one.boot) === String(boot) && String(one.seq) === String(seq);
const binOf = (hz, at) => Math.abs((hz[at + 1] ?? hz[at]) - (hz[at - 1] ?? hz[at])) / 2;
