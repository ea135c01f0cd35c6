// A sound for new alarms: off until somebody turns it on, and remembered in this browser.

import { live } from "./live.js";
import { read, write } from "./words.js";

const KEY = "quaver.sound";
const TONES = { high: [880, 660, 880], medium: [660, 520], low: [520] };
const TONE_S = 0.18;

let audio = null;
let ends = null;
const rung = new Map(); // number of an alarm -> since when it is wrong: one that is told again is not new

export function soundIsOn() {
  return read(KEY) === "on";
}

/** Turns it on or off. A browser plays nothing before somebody has touched its page: call this from a click. */
export function setSound(on) {
  write(KEY, on ? "on" : "off");
  if (on) {
    listen();
    ring("low");
  } else {
    ends?.();
    ends = null;
  }
}

/** Rings for each new alarm from now on, where that is wanted. */
export function listen() {
  if (ends || !soundIsOn()) return;
  ends = live("alarm", (alarm) => {
    if (alarm.state !== "unack-active" || rung.get(alarm.id) === alarm.since_ms) return;
    rung.set(alarm.id, alarm.since_ms);
    ring(alarm.priority);
  });
  for (const event of ["pointerdown", "keydown"]) addEventListener(event, () => void wake(), { once: true, capture: true });
}

function wake() {
  audio ??= new AudioContext();
  return audio.state === "suspended" ? audio.resume() : null;
}

function ring(priority) {
  try {
    void wake();
  } catch {
    return; // a browser without sound
  }
  let at = audio.currentTime + 0.02;
  for (const pitch of TONES[priority] ?? TONES.low) {
    const tone = audio.createOscillator();
    const loud = audio.createGain();
    tone.frequency.value = pitch;
    loud.gain.setValueAtTime(0, at);
    loud.gain.linearRampToValueAtTime(0.25, at + 0.02);
    loud.gain.linearRampToValueAtTime(0, at + TONE_S);
    tone.connect(loud).connect(audio.destination);
    tone.start(at);
    tone.stop(at + TONE_S);
    at += TONE_S + 0.04;
  }
}
