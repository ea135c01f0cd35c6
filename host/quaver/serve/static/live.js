// What happens in the plant, as it happens: one stream of server-sent events for the whole page.

import { address, api } from "./api.js";

const EVENTS = ["record", "alarm", "health", "rollout", "bringing"];
const SILENCE_MS = 40_000; // the server's heartbeat comes each 15 s, but a comment is not seen here
const WAITS_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000];

const listeners = new Map();
let source = null;
let lost = null; // since when, in ms since 1970; null: it is there
let opened = false;
let failures = 0;
let timer = 0;
let heard = 0;

/** Calls back with each event's data. event: "record", "alarm", "health"; "anew": events were missed, so load again;
 *  "state": {lost: ms|null}. Returns a function that ends it. */
export function live(event, callback) {
  if (!listeners.has(event)) listeners.set(event, new Set());
  listeners.get(event).add(callback);
  return () => listeners.get(event).delete(callback);
}

/** Since when the connection is gone, in ms since 1970; null where it stands. */
export function lostSince() {
  return lost;
}

function tell(event, data) {
  for (const callback of [...(listeners.get(event) ?? [])]) {
    try {
      callback(data);
    } catch (error) {
      console.error(error);
    }
  }
}

function gone() {
  source?.close();
  source = null;
  if (lost === null) {
    lost = Date.now();
    tell("state", { lost });
  }
  clearTimeout(timer);
  timer = setTimeout(connect, WAITS_MS[Math.min(failures, WAITS_MS.length - 1)] * (0.75 + Math.random() / 2));
  failures += 1;
}

function connect() {
  clearTimeout(timer);
  source?.close();
  const mine = new EventSource(address("live"));
  source = mine;
  mine.onopen = () => {
    if (mine !== source) return;
    heard = Date.now();
    failures = 0;
    const missed = opened && lost !== null;
    opened = true;
    if (lost !== null) {
      lost = null;
      tell("state", { lost });
    }
    if (missed) tell("anew", {});
  };
  mine.onerror = async () => {
    if (mine !== source) return;
    // A browser does not say why: where the session has ended, this request finds out and the page asks to log in.
    gone();
    await api("me").catch(() => {});
  };
  for (const event of EVENTS) {
    mine.addEventListener(event, (message) => {
      heard = Date.now();
      tell(event, JSON.parse(message.data));
    });
  }
  mine.addEventListener("behind", () => {
    heard = Date.now();
    tell("anew", {});
  });
}

/** Opens the stream and keeps it open until stop(). */
export function start() {
  if (source) return;
  connect();
}

export function stop() {
  clearTimeout(timer);
  source?.close();
  source = null;
  lost = null;
  opened = false;
}

// A line that died without a word is as silent as a quiet plant: open a new stream, and load what was perhaps missed.
setInterval(() => {
  if (!source || lost !== null || Date.now() - heard < SILENCE_MS) return;
  heard = Date.now();
  connect();
  tell("anew", {});
}, 10_000);
addEventListener("online", () => { if (lost !== null) connect(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden && lost !== null) connect(); });
