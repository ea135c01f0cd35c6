// A waveform: asked for, looked at, listened to.

import { chart } from "../../charts.js";
import { address, api as bytes } from "../../api.js";
import { h, icon, later, replace, unique } from "../../dom.js";
import { button, empty } from "../../parts.js";
import { number, quantity, time } from "../../words.js";

export async function show(root, context, node, id) {
  const { t, api, live, may, toast } = context;
  let all = [];
  let current = null;
  let wave = null;
  let plot = null;
  let player = null;

  const which = h("select", { id: unique(), on: { change: () => { current = all[which.selectedIndex]; void load(); } } });
  const place = h("div", { class: "stack" });
  const ask = may("commands") ? button(t("waveform.ask"), async () => {
    await api(`nodes/${node.node}/commands`, { method: "POST", body: { name: "waveform", args: {} } });
    toast(t("waveform.asked"), "ok");
  }, { kind: "primary", symbol: "ledger" }) : null;
  replace(root, h("section", { class: "card" }, place));

  const play = button(t("waveform.play"), toggle, { kind: "primary", symbol: "play" });
  const again = h("input", { type: "checkbox", on: { change: () => { if (player) player.source.loop = again.checked; } } });

  async function toggle() {
    if (player) return void player.source.stop();
    const audio = new AudioContext();
    const data = await bytes(`nodes/${node.node}/waveforms/${current.id}.wav`, { as: "bytes" });
    const source = audio.createBufferSource();
    source.buffer = await audio.decodeAudioData(data);
    source.loop = again.checked;
    source.connect(audio.destination);
    player = { audio, source };
    source.onended = () => { player = null; void audio.close(); label(); };
    source.start();
    label();
  }

  function label() {
    replace(play, icon(player ? "stop" : "play"), h("span", {}, t(player ? "waveform.stop" : "waveform.play")));
  }

  async function list() {
    all = (await api(`nodes/${node.node}/waveforms`)).waveforms.sort((a, b) => b.time_ms - a.time_ms);
    if (!all.length) return void replace(place, empty(t("waveform.none"), t("waveform.none.text"), { symbol: "ledger", action: ask }));
    current = all.find((one) => String(one.id) === String(current?.id ?? id)) ?? all[0];
    replace(which, all.map((one) => h("option", { value: one.id, selected: one.id === current.id }, `${time(one.time_ms, "full")}${one.alarm ? ` · ${t("state.alarm")}` : ""}`)));
    if (wave?.id !== current.id) await load();
  }

  async function load() {
    player?.source.stop();
    plot?.destroy();
    wave = { id: current.id, ...(await api(`nodes/${node.node}/waveforms/${current.id}`)) };
    const count = wave.g.length;
    const seconds = wave.g.map((_, index) => index / wave.rate_hz);
    let peak = 0;
    let sum = 0;
    for (const value of wave.g) {
      peak = Math.max(peak, Math.abs(value));
      sum += value * value;
    }
    const text = t("waveform.summary", { count: number(count, 6), rate: quantity(wave.rate_hz, "Hz", 5), length: quantity(count / wave.rate_hz, "s"), peak: quantity(peak, "[g]"), rms: quantity(Math.sqrt(sum / count), "[g]") });
    plot = await chart({
      label: t("waveform.chart"), x: { kind: "linear" }, y: { unit: () => "g" }, height: innerWidth < 700 ? 260 : 360, series: [{ label: "g", colour: "series-1", width: 1 }],
      summary: () => text, idle: () => "", read: (index, at) => `${quantity(at * 1_000, "ms", 4)} · ${quantity(wave.g[index], "[g]")}`,
      table: () => ({ columns: [t("waveform.time"), "g"], rows: wave.g.map((value, index) => [quantity(seconds[index] * 1_000, "ms", 4), number(value)]) }),
    });
    replace(place,
      h("div", { class: "controls" }, h("div", { class: "control" }, h("label", { for: which.id }, t("waveform.which")), which)),
      h("div", { class: "row" }, play, h("label", { class: "check" }, again, t("waveform.loop")), h("a", { class: "button plain", href: address(`nodes/${node.node}/waveforms/${current.id}.wav`), download: `${node.name}-${current.id}.wav` }, icon("download"), t("waveform.save")), ask),
      plot.element, h("p", { class: "muted" }, text));
    plot.setRange(0, seconds.at(-1));
    plot.setData([seconds, wave.g]);
    label();
  }

  const renew = later(list, 1_000);
  const stops = [live("record", ({ node: of, kind }) => { if (of === node.node && (kind === "answer" || kind === "waveform")) renew(); }), live("anew", renew)];
  await list();
  return () => { for (const stop of stops) stop(); renew.stop(); player?.source.stop(); plot?.destroy(); };
}
