// Charts: uPlot with the page's colours, and what it lacks: fingers, keys, words for a screen reader, a table.

import { h, unique } from "./dom.js";
import { button, dialog } from "./parts.js";
import { addWords, currentZone, number, t, time } from "./words.js";

addWords({
  en: {
    "chart.in": "Zoom in", "chart.out": "Zoom out", "chart.whole": "Show all", "chart.table": "As a table", "chart.back": "Earlier", "chart.next": "Later",
    "chart.keys": "Arrows move the cursor, + and − zoom, 0 shows all, Enter holds the cursor.", "chart.none": "No values in this range.", "chart.rows": "{count} of {all} rows",
  },
  de: {
    "chart.in": "Vergrößern", "chart.out": "Verkleinern", "chart.whole": "Alles zeigen", "chart.table": "Als Tabelle", "chart.back": "Früher", "chart.next": "Später",
    "chart.keys": "Pfeile bewegen den Zeiger, + und − vergrößern und verkleinern, 0 zeigt alles, Eingabe hält den Zeiger fest.", "chart.none": "Keine Werte in diesem Zeitraum.", "chart.rows": "{count} von {all} Zeilen",
  },
});

const TABLE_ROWS = 200;
let uplot = null;

/** uPlot itself, which is loaded when the first chart is drawn. */
function loadUplot() {
  uplot ??= new Promise((resolve, reject) => {
    document.head.append(h("link", { rel: "stylesheet", href: "vendor/uplot/uPlot.min.css" }),
      h("script", { src: "vendor/uplot/uPlot.iife.min.js", on: { load: () => resolve(globalThis.uPlot), error: () => reject(new Error("uPlot")) } }));
  });
  return uplot;
}

/** The value of a colour's token, "series-1". */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function faded(name, share) {
  return `${colour(name)}${Math.round(share * 255).toString(16).padStart(2, "0")}`;
}

/** The times of an axis as texts: as fine as its steps, the day where it changes. */
function timeTexts(splits, short) {
  const step = splits.length > 1 ? splits[1] - splits[0] : 3_600;
  let before = "";
  return splits.map((seconds) => {
    const ms = seconds * 1_000;
    if (step >= 86_400) return time(ms, "day").replace(/,? ?\d{4}$/, "");
    const clock = time(ms, "clock").slice(0, step < 60 ? 8 : 5);
    const day = time(ms, "day").replace(/,? ?\d{4}$/, "");
    const text = short || (before && day === before) ? clock : `${clock}\n${day}`;
    before = day;
    return text;
  });
}

/** A chart in a figure.
 *  label: what it shows. summary: () => one or two sentences for who does not see it.
 *  x: {kind: "time" (ms since 1970) | "linear" | "log", unit, text: (value) => string}. y: {unit: () => text, log, from0}.
 *  series: [{label, colour, width, dash, band: [upper, lower] of the data's places, stepped, points}].
 *  marks: () => {zones: [{from, to, colour}], lines: [{y, text, colour, dash}], at: [{x, text, colour, dash, level, short}]}.
 *  read: (place, x) => text, of the place where the cursor is. hold: (place, x), on Enter or a click.
 *  zoomed: (from, until) or (null): a person chose that part of x. move: (direction), where the buttons earlier and
 *  later are wanted. table: () => {columns: [text], rows: [[text]]}. height: in px. small: without buttons. sync: a key;
 *  charts of one key share the cursor and the zoom.
 *  Returns {element, setData([x, …]), setRange(from, until), range(), redraw(), place(x), destroy()}. */
export async function chart(options) {
  const UPlot = await loadUplot();
  const { label, x, y, series, marks = () => ({}), read, hold, zoomed, table, small = false } = options;
  const scale = x.kind === "time" ? 1_000 : 1;
  const host = h("div", { class: "plot", tabindex: "0", role: "group", "aria-roledescription": "chart", "aria-label": `${label}. ${t("chart.keys")}` });
  const readout = h("output", { class: "readout", "aria-live": "polite" });
  const words = h("figcaption", { class: "unseen", id: unique() });
  const tools = h("div", { class: "tools" }, small ? null : [
    options.move && button("", () => options.move(-1), { kind: "quiet", symbol: "back", label: t("chart.back") }),
    options.move && button("", () => options.move(1), { kind: "quiet", symbol: "next", label: t("chart.next") }),
    button("", () => zoomBy(0.5), { kind: "quiet", symbol: "in", label: t("chart.in") }),
    button("", () => zoomBy(2), { kind: "quiet", symbol: "out", label: t("chart.out") }),
    button("", () => whole(), { kind: "quiet", symbol: "whole", label: t("chart.whole") }),
    table && button("", showTable, { kind: "quiet", symbol: "table", label: t("chart.table") }),
  ]);
  host.setAttribute("aria-describedby", words.id);
  const element = h("figure", { class: `chart${small ? " small" : ""}` }, small ? null : h("div", { class: "chart-head" }, readout, tools), host, words);
  let data = [[], ...series.map(() => [])];
  let plot = null;
  let full = x.kind === "log" ? [1, 10] : [0, 1]; // the range that "show all" shows, in x as given
  let shown = null; // what a person has zoomed to
  const inner = (value) => value / scale;

  function build() {
    plot?.destroy();
    const axis = { stroke: colour("muted"), grid: { stroke: faded("line", 0.75), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif" };
    plot = new UPlot({
      width: Math.max(200, host.clientWidth), height: options.height ?? (small ? 110 : 320), legend: { show: false }, padding: [small ? 8 : 22, 16, 0, 0],
      tzDate: (seconds) => UPlot.tzDate(new Date(seconds * 1e3), currentZone()),
      cursor: { x: true, y: false, drag: { x: true, y: false, setScale: false }, points: { size: 7 }, sync: options.sync ? { key: options.sync, scales: ["x", null] } : undefined, lock: false },
      select: { show: true },
      scales: {
        x: { time: x.kind === "time", distr: x.kind === "log" ? 3 : 1, range: (_, low, high) => (low === null ? full.map(inner) : [low, high]) },
        y: y.log ? { distr: 3, range: (_, low, high) => (low > 0 ? [10 ** Math.floor(Math.log10(low)), 10 ** Math.ceil(Math.log10(high * 1.01))] : [1e-4, 1]) } : { range: (_, low, high) => spread(low, high) },
      },
      axes: [
        { ...axis, values: (_, splits) => (x.kind === "time" ? timeTexts(splits, small) : splits.map((value) => (value === null ? "" : number(value)))), space: x.kind === "time" ? 72 : 48, size: x.kind === "time" && !small ? 42 : 28,
          ...(x.kind === "log" ? { filter: decades, grid: { ...axis.grid, filter: decades } } : {}) },
        { ...axis, values: (_, splits) => splits.map((value) => (value === null ? "" : number(value))), size: 52,
          filter: y.log ? (_, splits) => splits.map((value) => (/^1e/.test(value.toExponential()) ? value : null)) : undefined, space: small ? 28 : 36 },
      ],
      series: [{}, ...series.map((one) => ({
        label: one.label, stroke: one.colour ? colour(one.colour) : undefined, width: one.width ?? 2, dash: one.dash, spanGaps: false, points: { show: one.points ?? false, size: 5 },
        paths: one.bars ? UPlot.paths.bars({ size: [0.8, 96 * devicePixelRatio], align: 1 }) : one.stepped ? UPlot.paths.stepped({ align: 1 }) : undefined, fill: one.fill ? faded(one.colour, one.fill) : undefined,
      }))],
      bands: series.flatMap((one, place) => (one.band ? [{ series: one.band, fill: faded(one.colour ?? series[place].colour, 0.18) }] : [])),
      hooks: { drawClear: [drawZones], draw: [drawMarks], setCursor: [atCursor], setSelect: [selected] },
    }, data.map((list, place) => (place ? list : list.map(inner))), host);
    apply();
    fingers(plot);
  }

  /** Of a logarithmic axis: 1, 2 and 5 of each decade, 1 and 3 where there is little room. */
  function decades(u, splits) {
    const which = u.width > 560 ? /^[125]e/ : /^[13]e/;
    return splits.map((value) => (value !== null && which.test(Number(value.toPrecision(6)).toExponential()) ? value : null));
  }

  /** The range of y: with a little air, from 0 where asked, and with limits that are not far off. */
  function spread(low, high) {
    if (low === null) return [0, 1];
    let [from, until] = [y.from0 ? Math.min(0, low) : low, high];
    for (const line of marks().lines ?? []) if (line.y <= until * 1.6 && line.y >= from - (until - from)) until = Math.max(until, line.y);
    const air = (until - from || Math.abs(until) || 1) * 0.08;
    return [y.from0 && from === 0 ? 0 : from - air, until + air];
  }

  function apply() {
    const [from, until] = shown ?? full;
    plot.setScale("x", { min: inner(from), max: inner(until) });
  }

  const inside = (u, draw) => {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    draw(ctx, bbox);
    ctx.restore();
  };

  function drawZones(u) {
    inside(u, (ctx, box) => {
      for (const zone of marks().zones ?? []) {
        const top = zone.to === null ? box.top : u.valToPos(zone.to, "y", true);
        const foot = u.valToPos(zone.from, "y", true);
        ctx.fillStyle = faded(zone.colour, 0.11);
        ctx.fillRect(box.left, Math.max(box.top, top), box.width, Math.min(box.top + box.height, foot) - Math.max(box.top, top));
        if (zone.text && foot - top > 16 * devicePixelRatio && foot > box.top + 16) {
          ctx.fillStyle = colour(zone.colour);
          ctx.font = `700 ${12 * devicePixelRatio}px system-ui, sans-serif`;
          ctx.textAlign = "left";
          ctx.fillText(zone.text, box.left + 6 * devicePixelRatio, Math.max(box.top, top) + 15 * devicePixelRatio);
        }
      }
    });
  }

  function drawMarks(u) {
    const { lines = [], at = [] } = marks();
    const one = devicePixelRatio;
    const texts = [];
    inside(u, (ctx, box) => {
      ctx.font = `600 ${11.5 * one}px system-ui, sans-serif`;
      for (const line of lines) {
        const where = u.valToPos(line.y, "y", true);
        if (where < box.top || where > box.top + box.height) continue;
        ctx.strokeStyle = ctx.fillStyle = colour(line.colour);
        ctx.lineWidth = 1.5 * one;
        ctx.setLineDash((line.dash ?? [6, 4]).map((part) => part * one));
        stroke(ctx, box.left, where, box.left + box.width, where);
        ctx.setLineDash([]);
      }
      // Texts never cover each other: those of higher rank find their place first.
      const taken = [];
      for (const mark of [...at].sort((a, b) => (a.rank ?? 1) - (b.rank ?? 1))) {
        const where = u.valToPos(inner(mark.x), "x", true);
        if (where < box.left - 1 || where > box.left + box.width + 1) continue;
        ctx.strokeStyle = colour(mark.colour);
        ctx.lineWidth = (mark.width ?? 1.25) * one;
        ctx.setLineDash((mark.dash ?? []).map((part) => part * one));
        stroke(ctx, where, box.top + (mark.short ? box.height * 0.62 : 0), where, box.top + box.height);
        ctx.setLineDash([]);
        if (!mark.text) continue;
        const half = ctx.measureText(mark.text).width / 2 + 3 * one;
        const middle = Math.min(Math.max(where, box.left + half), box.left + box.width - half);
        if (taken.some(([from, until]) => middle - half < until && middle + half > from)) continue;
        taken.push([middle - half, middle + half]);
        texts.push([mark.text, mark.colour, middle, box.top - 7 * one]);
      }
    });
    inside(u, (ctx, box) => {
      ctx.font = `600 ${11.5 * one}px system-ui, sans-serif`;
      ctx.textAlign = "right";
      const taken = []; // of lines that lie close, each text stands left of the one before
      for (const line of lines) {
        const where = u.valToPos(line.y, "y", true);
        if (where < box.top || where > box.top + box.height) continue;
        const near = taken.filter((other) => Math.abs(other.where - where) < 17 * one);
        const right = Math.min(box.left + box.width, ...near.map((other) => other.left - 8 * one)) - 6 * one;
        const width = ctx.measureText(line.text).width;
        taken.push({ where, left: right - width });
        ctx.fillStyle = faded("surface", 0.85); // a curve behind it does not make it hard to read
        ctx.fillRect(right - width - 4 * one, where - 18 * one, width + 8 * one, 16 * one);
        ctx.fillStyle = colour(line.colour);
        ctx.fillText(line.text, right, where - 6 * one);
      }
    });
    u.ctx.save();
    u.ctx.font = `600 ${11.5 * one}px system-ui, sans-serif`;
    u.ctx.textAlign = "center";
    for (const [text, its, left, top] of texts) {
      u.ctx.fillStyle = colour(its);
      u.ctx.fillText(text, left, top);
    }
    if (y.unit?.()) {
      u.ctx.font = `${11.5 * one}px system-ui, sans-serif`;
      u.ctx.textAlign = "right";
      u.ctx.fillStyle = colour("muted");
      u.ctx.fillText(y.unit(), u.bbox.left - 8 * one, u.bbox.top - 7 * one);
    }
    u.ctx.restore();
  }

  function atCursor(u) {
    const place = u.cursor.idx;
    if (place === null || place === undefined || !data[0].length) return;
    readout.textContent = read?.(place, data[0][place]) ?? "";
  }

  function selected(u) {
    const { left, width } = u.select;
    if (width < 6) return;
    zoom(u.posToVal(left, "x") * scale, u.posToVal(left + width, "x") * scale);
    u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  }

  function zoom(from, until, tell = true) {
    const [low, high] = x.kind === "time" ? [-Infinity, Infinity] : full;
    shown = [Math.max(from, low), Math.min(until, high)];
    element.classList.add("is-zoomed");
    apply();
    if (tell) zoomed?.(...shown);
  }

  function whole() {
    shown = null;
    element.classList.remove("is-zoomed");
    apply();
    zoomed?.(null);
  }

  function zoomBy(factor, around = null) {
    const [from, until] = shown ?? full;
    const held = around ?? (plot.cursor.idx !== null && plot.cursor.idx !== undefined && plot.cursor.left >= 0 ? data[0][plot.cursor.idx] : null);
    if (x.kind === "log") {
      const middle = held ?? Math.sqrt(from * until);
      const next = [middle * (from / middle) ** factor, middle * (until / middle) ** factor];
      return next[0] <= full[0] && next[1] >= full[1] ? whole() : zoom(...next);
    }
    const middle = held ?? (from + until) / 2;
    const next = [middle - (middle - from) * factor, middle + (until - middle) * factor];
    if (next[0] <= full[0] && next[1] >= full[1]) whole();
    else zoom(...next);
  }

  function showTable() {
    const { columns, rows } = table();
    const step = Math.max(1, Math.ceil(rows.length / TABLE_ROWS));
    const some = rows.filter((_, place) => place % step === 0);
    void dialog({ title: label, body: h("div", { class: "table-dialog", tabindex: "0", role: "region", "aria-label": label }, h("table", { class: "plain-table" },
      h("caption", { class: "unseen" }, label), h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col" }, column)))),
      h("tbody", {}, some.map((row) => h("tr", {}, row.map((cell) => h("td", {}, cell)))))),
    h("p", { class: "muted" }, rows.length ? t("chart.rows", { count: some.length, all: rows.length }) : t("chart.none"))) });
  }

  function moveTo(place) {
    const at = Math.min(data[0].length - 1, Math.max(0, place));
    plot.setCursor({ left: plot.valToPos(inner(data[0][at]), "x"), top: 10 });
  }

  host.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1 };
    const [from, until] = shown ?? full;
    const first = Math.max(0, data[0].findIndex((value) => value >= from));
    const now = plot.cursor.left >= 0 && plot.cursor.idx !== null ? plot.cursor.idx : data[0].findLastIndex((value) => value <= until) - 1;
    if (event.key in steps) moveTo(Math.max(first, now + steps[event.key] * (event.shiftKey ? 10 : 1)));
    else if (event.key === "+" || event.key === "=") zoomBy(0.5);
    else if (event.key === "-") zoomBy(2);
    else if (event.key === "0" || event.key === "Escape") whole();
    else if (event.key === "Enter") hold?.(now, data[0][now]);
    else return;
    event.preventDefault();
  });

  /** A finger moves the cursor, two zoom; a click holds; a double click shows all. */
  function fingers(u) {
    const over = u.over;
    let pinch = null;
    const at = (touch) => touch.clientX - over.getBoundingClientRect().left;
    over.addEventListener("touchstart", (event) => { if (event.touches.length === 2) pinch = null; }, { passive: true });
    over.addEventListener("touchmove", (event) => {
      if (event.touches.length === 1) {
        u.setCursor({ left: at(event.touches[0]), top: 10 });
        return;
      }
      event.preventDefault();
      const [a, b] = [at(event.touches[0]), at(event.touches[1])].sort((one, other) => one - other);
      if (pinch && b - a > 10) {
        // what was under the fingers stays under them
        const width = over.clientWidth;
        const span = (pinch.until - pinch.from) * width / (b - a);
        const from = pinch.from - span * a / width;
        zoom(from * scale, (from + span) * scale);
      } else pinch = { from: u.posToVal(a, "x"), until: u.posToVal(b, "x") };
    }, { passive: false });
    over.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      zoomBy(event.deltaY < 0 ? 0.8 : 1.25, u.posToVal(event.offsetX, "x") * scale);
    }, { passive: false });
    over.addEventListener("dblclick", whole);
    over.addEventListener("click", () => { if (u.cursor.idx !== null && u.select.width < 6) hold?.(u.cursor.idx, data[0][u.cursor.idx]); });
  }

  build();
  const sized = new ResizeObserver(() => { if (host.clientWidth && Math.abs(host.clientWidth - plot.width) > 1) plot.setSize({ width: host.clientWidth, height: plot.height }); });
  sized.observe(host);
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", build);
  return {
    element,
    /** x in ms or Hz, then one list a series. The part that is zoomed to stays. */
    setData(next) {
      data = next;
      plot.setData(next.map((list, place) => (place ? list : list.map(inner))), false);
      apply();
      words.textContent = options.summary?.() ?? "";
      readout.textContent = readout.textContent && plot.cursor.left >= 0 && plot.cursor.idx !== null ? readout.textContent : options.idle?.() ?? "";
    },
    setRange(from, until) {
      full = [from, until];
      apply();
    },
    range: () => shown ?? full,
    zoomed: () => shown !== null,
    zoomTo: (from, until) => (from === null ? (shown = null, element.classList.remove("is-zoomed"), apply()) : zoom(from, until, false)),
    redraw: () => plot.redraw(false),
    destroy() {
      sized.disconnect();
      scheme.removeEventListener("change", build);
      plot.destroy();
    },
  };
}

function stroke(ctx, ...[a, b, c, d]) {
  ctx.beginPath();
  ctx.moveTo(a, b);
  ctx.lineTo(c, d);
  ctx.stroke();
}

