// What the parts that show spectra share: which records there are, which one is the baseline, the lines of a bearing.

import { quantity } from "../../words.js";

export const LINES = { shaft: "series-4", bpfo: "alarm", bpfi: "series-2", bsf2: "series-3", ftf: "muted" };
export const HARMONICS = 6;
// Sidebands stand beside a line at the distance of what modulates it: the inner race turns with the shaft, balls with the cage.
const SIDEBANDS = { bpfi: "shaft", bsf2: "ftf" };

/** Spectrum records of a node, newest first. */
export async function records(api, node, query = {}) {
  const { spectra } = await api(`nodes/${node}/spectra`, { query: { limit: 500, ...query } });
  return spectra.filter((one) => one.time_ms).sort((a, b) => b.time_ms - a.time_ms);
}

/** The oldest record since the node has learned what is healthy; the oldest of all where no event tells. */
export async function baselineOf(api, node, all) {
  if (!all.length) return null;
  const { events } = await api(`nodes/${node}/events`, { query: { limit: 500 } });
  const learned = events.filter((event) => event.code === "baseline_learned" && event.time_ms).map((event) => event.time_ms);
  const since = learned.length ? Math.max(...learned) : -Infinity;
  const found = await api(`nodes/${node}/spectra`, { query: { since_ms: Number.isFinite(since) ? since : undefined, limit: 500 } });
  const after = found.spectra.filter((one) => one.time_ms && one.time_ms >= since).sort((a, b) => a.time_ms - b.time_ms);
  return after[0] ?? all.at(-1);
}

/** The marks of some lines with their harmonics and sidebands, up to `end` Hz. shown: a Set of names of LINES. */
export function marksOf(marks_hz, shown, end, low = 0) {
  const found = [];
  for (const [name, colour] of Object.entries(LINES)) {
    const line = marks_hz?.[name];
    if (!line || !shown.has(name)) continue;
    for (let order = 1; order <= HARMONICS && line * order <= end; order += 1) {
      found.push({ x: line * order, colour, text: order === 1 ? name.toUpperCase().replace("SHAFT", "1×").replace("BSF2", "2×BSF") : name === "shaft" ? `${order}×` : `${order}`, dash: order === 1 ? [] : [5, 3], width: order === 1 ? 1.75 : 1.25, name, order, rank: order });
      const beside = marks_hz[SIDEBANDS[name]];
      if (beside && order <= 3) for (const side of [-1, 1]) found.push({ x: line * order + side * beside, colour, dash: [1.5, 3], short: true, name, order, side });
    }
  }
  return found.filter(({ x }) => x > low && x <= end);
}

/** What a frequency is near: the lines within half of a percent, or half of a bin. */
export function near(marks, hz, width) {
  return marks.filter((mark) => Math.abs(mark.x - hz) <= Math.max(width / 2, hz * 0.005));
}

export function lineText(mark, t) {
  const name = t(`spectrum.${mark.name}`);
  const times = mark.order === 1 ? name : `${mark.order} × ${name}`;
  return mark.side ? `${times} ${mark.side < 0 ? "−" : "+"} 1` : times;
}

export const hertz = (value) => quantity(value, "Hz", 4);
