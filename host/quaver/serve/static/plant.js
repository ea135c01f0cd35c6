// What the page knows of the plant: its nodes by id, kept up to date by what happens. One model for every screen.

import { api } from "./api.js";
import { later } from "./dom.js";
import { live } from "./live.js";

const LEVELS = ["ok", "warning", "alarm"];
const SEVERITY = { alarm: 5, gone: 4, offline: 3, warning: 2, unknown: 1, ok: 0 };
const GONE_AFTER = 3; // intervals without a record, and a minute at least: then the server is asked whether it is gone
const LEAST_MS = 60_000;
const AGAIN_MS = 60_000;

export const plant = { name: "", zone: "", nodes: new Map(), loaded: false, ahead_ms: 0 };

const watchers = new Set();
const changed = new Set();
const announce = later(() => {
  const ids = new Set(changed);
  changed.clear();
  for (const watcher of [...watchers]) watcher(ids);
}, 100, 500);

/** Calls back with the ids of the nodes that changed, or null where all may have. Returns a function that ends it. */
export function watchPlant(callback) {
  watchers.add(callback);
  return () => watchers.delete(callback);
}

/** Now by the server's clock, in ms since 1970: a phone's clock may be wrong. */
export function now() {
  return Date.now() + plant.ahead_ms;
}

/** What a node's symbol shows: the worst of what it says and whether it still says something. */
export function stateOf(row) {
  if (row.level === "alarm") return "alarm";
  if (row.state === "gone") return "gone";
  if (row.state === "offline") return "offline";
  return row.level === "warning" || row.level === "ok" ? row.level : "unknown";
}

export function severity(state) {
  return SEVERITY[state] ?? 0;
}

/** The worst of some states; "unknown" of none. */
export function worst(states) {
  let found = null;
  for (const state of states) if (found === null || SEVERITY[state] > SEVERITY[found]) found = state;
  return found ?? "unknown";
}

let under_way = null;

/** Loads the whole plant; calls that come while it loads share it. */
export function loadPlant() {
  under_way ??= (async () => {
    try {
      const answer = await api("plant");
      plant.name = answer.name ?? "";
      plant.zone = answer.zone ?? "";
      plant.ahead_ms = answer.now_ms ? answer.now_ms - Date.now() : 0;
      plant.nodes = new Map(answer.nodes.map((row) => [row.node, row]));
      plant.loaded = true;
      for (const watcher of [...watchers]) watcher(null);
      return plant;
    } finally {
      under_way = null;
    }
  })();
  return under_way;
}

const stale = new Set();
const renew = later(async () => {
  const ids = [...stale];
  stale.clear();
  if (ids.length > 20) return void loadPlant().catch(() => {});
  await Promise.all(ids.map(renewNode));
}, 400, 2_000);

async function renewNode(id) {
  try {
    plant.nodes.set(id, { ...plant.nodes.get(id), ...(await api(`nodes/${id}`)) });
    changed.add(id);
    announce();
  } catch {
    // the next load brings it
  }
}

/** Keeps the model up to date from now on. */
export function followPlant() {
  live("record", ({ node, kind, time_ms, received_ms = time_ms, values }) => {
    const row = plant.nodes.get(node);
    if (!row || kind === "event" || kind === "status") stale.add(node), renew();
    if (!row) return;
    if (received_ms) row.last_ms = Math.max(row.last_ms ?? 0, received_ms);
    if (received_ms > now()) plant.ahead_ms = received_ms - Date.now(); // which is by the server's clock, too
    if (row.state === "gone" || row.state === "unknown") row.state = "online";
    if (kind === "telemetry" && values) {
      // a standing alarm may be worse than this record: then the server knows better
      const level = typeof values.level === "string" ? values.level : LEVELS[values.level ?? 0];
      if (level !== row.level) stale.add(node), renew();
      if (values.zone !== undefined) row.zone = values.zone;
    }
    changed.add(node);
    announce();
  });
  live("alarm", (alarm) => { if (alarm.node) stale.add(alarm.node), renew(); });
  live("anew", () => loadPlant().catch(() => {}));
  // A node that says nothing sends no event of it: look at the clock, and ask once.
  let looked = now();
  setInterval(() => {
    const moment = now();
    for (const row of plant.nodes.values()) {
      const due = row.last_ms + Math.max(LEAST_MS, GONE_AFTER * row.interval_s * 1_000);
      if (row.interval_s && row.last_ms && due > looked && due <= moment) stale.add(row.node), renew();
    }
    looked = moment;
    for (const watcher of [...watchers]) watcher(new Set());
  }, 15_000);
  setInterval(() => { if (!document.hidden) loadPlant().catch(() => {}); }, AGAIN_MS * (1 + Math.random() / 4));
}
