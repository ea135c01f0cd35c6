// Spectra one under the other, the newest on top: what came, grew, went, or followed the speed.

import { h, later, replace } from "../../dom.js";
import { chips, empty, rangeLength, rangePicker } from "../../parts.js";
import { now } from "../../plant.js";
import { quantity, time } from "../../words.js";
import { LINES, hertz, records } from "./records.js";

const BINS = 256;
const REFERENCE_G = 1e-5; // and half a decibel a step: quaver_wire/spectrum.py
const OCTAVES = 12; // of the spectrum's axis, which is logarithmic; the envelope's is even
const FLOOR = 0.4; // of the levels so many are noise, and as dark as can be
const GAP = 3; // times the usual time from one to the next: what is longer stays blank
// Equal steps look equally far apart, also without colour and to who does not see all: from dark blue over violet and
// orange to light yellow; lightness rises evenly in CIELAB.
const RAMP = ["#0b1026", "#1f1a52", "#42206f", "#67257a", "#8d2f78", "#b13e6b", "#d15454", "#e87440", "#f49b3c", "#f8c558", "#faf0a0"];

export async function show(root, context, node) {
  const { t, api, live, query, setQuery, navigate } = context;
  let kind = query.kind === "envelope" ? "envelope" : "spectrum";
  let range = rangeLength(query.range) ? query.range : "month";
  let rows = [];
  let answer = null;
  let picked = -1;

  const kinds = chips({ label: t("spectrum.kind"), value: kind, items: ["spectrum", "envelope"].map((key) => ({ key, text: t(`spectrum.${key}`) })), change: (value) => { kind = value; setQuery({ kind }); void load(); } });
  const ranges = rangePicker({ value: range, ranges: ["day", "week", "month", "year"], change: (value) => { range = value; setQuery({ range }); void load(); } });
  const canvas = h("canvas", { "aria-hidden": "true" });
  const band = h("div", { class: "picked", hidden: true });
  const picture = h("div", { class: "picture", tabindex: "0", role: "slider", "aria-orientation": "vertical", "aria-label": `${t("waterfall.chart")}. ${t("waterfall.keys")}`, "aria-valuemin": 1 }, canvas, band);
  const left = h("div", { class: "axis y", "aria-hidden": "true" });
  const top = h("div", { class: "axis x top", "aria-hidden": "true" });
  const foot = h("div", { class: "axis x", "aria-hidden": "true" });
  const reading = h("div", { class: "reading", role: "status" });
  const legend = h("div", { class: "legend" });
  const words = h("p", { class: "unseen" });
  const body = h("div", { class: "stack" });
  replace(root, h("section", { class: "card" }, h("div", { class: "heading" }, kinds.element, ranges.element), body));

  async function load() {
    const until = now();
    answer = await api(`nodes/${node.node}/waterfall`, { query: { kind, since_ms: Math.round(until - rangeLength(range)), until_ms: Math.round(until), rows: 400 } });
    const bytes = Uint8Array.from(atob(answer.levels), (one) => one.charCodeAt(0));
    rows = answer.times_ms.map((ms, place) => ({ ms, levels: bytes.subarray(place * BINS, (place + 1) * BINS) })).sort((a, b) => b.ms - a.ms);
    if (rows.length < 2) return void replace(body, empty(t("waterfall.none"), t("waterfall.none.text"), { symbol: "ledger" }));
    rows = withGaps(rows);
    replace(body, h("div", { class: "waterfall" }, h("div", {}), top, left, picture, h("div", {}), foot), words, legend, reading);
    picked = -1;
    draw();
    pick(0, false);
  }

  /** Blank rows where nothing was measured for long: time does not jump unseen. */
  function withGaps(list) {
    const steps = list.slice(1).map((row, place) => list[place].ms - row.ms).sort((a, b) => a - b);
    const usual = steps[Math.floor(steps.length / 2)] || 1;
    return list.flatMap((row, place) => {
      const gap = place + 1 < list.length ? row.ms - list[place + 1].ms : 0;
      const blank = gap > GAP * usual ? Math.min(12, Math.round(gap / usual) - 1) : 0;
      return [row, ...Array.from({ length: blank }, () => ({ ms: null, levels: null }))];
    });
  }

  const edge = (place) => (kind === "envelope" ? answer.hz_end * place / BINS : answer.hz_end * 2 ** (OCTAVES * (place / BINS - 1)));
  const share = (hz) => (kind === "envelope" ? hz / answer.hz_end : 1 + Math.log2(hz / answer.hz_end) / OCTAVES);
  const amplitude = (level) => REFERENCE_G * 10 ** (level / 40);

  function draw() {
    const all = rows.flatMap((row) => (row.levels ? [...row.levels] : [])).sort((a, b) => a - b);
    const low = all[Math.floor(all.length * FLOOR)];
    const high = Math.max(all.at(-1), low + 20);
    const colours = ramp();
    const height = Math.min(560, Math.max(240, rows.length * 3));
    canvas.width = BINS;
    canvas.height = rows.length;
    canvas.style.height = `${height}px`;
    canvas.style.imageRendering = "pixelated";
    const ctx = canvas.getContext("2d");
    const image = ctx.createImageData(BINS, rows.length);
    rows.forEach((row, y) => {
      for (let x = 0; x < BINS; x += 1) {
        const at = (y * BINS + x) * 4;
        if (!row.levels) continue; // stays clear
        const shade = colours[Math.round(255 * Math.min(1, Math.max(0, (row.levels[x] - low) / (high - low))))];
        image.data.set(shade, at);
      }
    });
    ctx.putImageData(image, 0, 0);
    // the axes: as many texts as there is room for
    const every = Math.max(1, Math.ceil(rows.length / (height / 34)));
    const days = rows[0].ms - rows.at(-1).ms > 2e8;
    replace(left, rows.map((row, y) => (y % every === 0 && row.ms ? h("span", { style: { top: `${(y + 0.5) / rows.length * 100}%` } }, days ? time(row.ms, "day").replace(/,? ?\d{4}$/, "") : time(row.ms)) : null)));
    const room = body.clientWidth - 90;
    const ticks = kind === "envelope" ? evenTicks(answer.hz_end, room / 70) : [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4].filter((hz) => hz >= edge(0) && hz <= answer.hz_end && (room > 600 || /^1/.test(String(hz))));
    replace(foot, ticks.map((hz) => h("span", { style: { left: `${share(hz) * 100}%` } }, hertz(hz))));
    const taken = []; // the shaft's line finds its place first, then the bearing's
    replace(top, Object.keys(LINES).filter((name) => node.marks_hz?.[name]).map((name) => ({ name, at: share(node.marks_hz[name]) })).filter(({ at }) => {
      if (at < 0 || at > 1 || taken.some((other) => Math.abs(other - at) * room < 34)) return false;
      return taken.push(at);
    }).map(({ name, at }) => h("span", { style: { left: `${at * 100}%` } }, name === "shaft" ? "1×" : name.toUpperCase().replace("BSF2", "2×BSF"))));
    const bar = h("canvas", { width: 256, height: 1, "aria-hidden": "true" });
    const strip = bar.getContext("2d").createImageData(256, 1);
    colours.forEach((shade, x) => strip.data.set(shade, x * 4));
    bar.getContext("2d").putImageData(strip, 0, 0);
    replace(legend, h("span", {}, `≤ ${quantity(amplitude(low), "[g]", 2)}`), bar, h("span", {}, quantity(amplitude(high), "[g]", 2)));
    let most = { level: -1 };
    for (const row of rows) row.levels?.forEach((level, x) => { if (level > most.level) most = { level, x, ms: row.ms }; });
    const real = rows.filter((row) => row.ms);
    words.textContent = t("waterfall.summary", { count: real.length, from: time(real.at(-1).ms), until: time(real[0].ms), end: hertz(answer.hz_end), most: quantity(amplitude(most.level), "[g]"), hz: hertz((edge(most.x) + edge(most.x + 1)) / 2), when: time(most.ms) });
    picture.setAttribute("aria-valuemax", rows.length);
  }

  function evenTicks(end, most) {
    const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000].find((one) => end / one <= most) ?? end;
    return Array.from({ length: Math.floor(end / step) + 1 }, (_, place) => place * step);
  }

  function pick(place, focus = true) {
    let at = Math.min(rows.length - 1, Math.max(0, place));
    const way = at >= picked ? 1 : -1;
    while (rows[at] && !rows[at].ms) at += way;
    if (!rows[at]) return;
    picked = at;
    band.hidden = false;
    band.style.top = `${at / rows.length * 100}%`;
    band.style.height = `${100 / rows.length}%`;
    const { ms, levels } = rows[at];
    const highest = levels.indexOf(Math.max(...levels));
    const text = `${time(ms, "full")}: ${quantity(amplitude(levels[highest]), "[g]")} · ${hertz((edge(highest) + edge(highest + 1)) / 2)}`;
    picture.setAttribute("aria-valuenow", at + 1);
    picture.setAttribute("aria-valuetext", text);
    replace(reading, h("p", {}, text), h("p", {}, h("button", { type: "button", class: "button plain", on: { click: open } }, t("waterfall.open"))));
    if (focus) picture.focus({ preventScroll: true });
  }

  async function open() {
    const { ms } = rows[picked];
    const found = await records(api, node.node, { since_ms: Math.floor(ms) - 1, until_ms: Math.ceil(ms) + 1 });
    const one = found.reduce((best, record) => (!best || Math.abs(record.time_ms - ms) < Math.abs(best.time_ms - ms) ? record : best), null);
    navigate(one ? `#/node/${node.node}/spectrum/${one.boot}/${one.seq}?kind=${kind}` : `#/node/${node.node}/spectrum?kind=${kind}`);
  }

  picture.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    pick(Math.floor((event.clientY - box.top) / box.height * rows.length));
  });
  picture.addEventListener("dblclick", open);
  picture.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
    if (step) pick(picked + step);
    else if (event.key === "Home") pick(0);
    else if (event.key === "End") pick(rows.length - 1);
    else if (event.key === "Enter") void open();
    else return;
    event.preventDefault();
  });

  const renew = later(load, 2_000);
  const stops = [live("record", ({ node: of, kind: its }) => { if (of === node.node && its === "spectrum") renew(); }), live("anew", renew)];
  await load();
  return () => { for (const stop of stops) stop(); renew.stop(); };
}

/** 256 shades [r, g, b, a]. */
function ramp() {
  const stops = RAMP.map((text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16)));
  return Array.from({ length: 256 }, (_, place) => {
    const at = place / 255 * (stops.length - 1);
    const low = Math.min(stops.length - 2, Math.floor(at));
    return [...stops[low].map((value, part) => Math.round(value + (stops[low + 1][part] - value) * (at - low))), 255];
  });
}
