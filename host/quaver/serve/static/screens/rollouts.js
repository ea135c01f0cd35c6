// Rollouts: waves, what they wait for, every node; pause and resume.

import { h, later, replace } from "../dom.js";
import { badge, button, card, chips, confirm, empty, facts, heading, loading, table, tag } from "../parts.js";
import { byName, number, time } from "../words.js";
import { words } from "./rollouts_words.js";

export { words };
export const styles = true;

const WAY = ["told", "fetching", "restarted"];
const FAILED = ["unhealthy", "penalty box", "missed", "left out"];
const PARTS = [["done", ["updated"]], ["watched", ["watched"]], ["way", WAY], ["failed", FAILED], ["waiting", ["waiting"]]];
const SHAPES = { running: "ok", paused: "warning", aborted: "gone", ended: "ok" };
const AGAIN_MS = 5_000;

/** The symbol of a node's state in a rollout, null where it is neither good nor bad. */
function shapeOf(state) {
  if (state === "updated") return "ok";
  if (FAILED.includes(state)) return state === "unhealthy" || state === "penalty box" ? "alarm" : "warning";
  return null;
}

export async function show(root, context) {
  const { t, api, live, query, setQuery, may } = context;
  context.title(t("rollouts.title"));
  const body = h("div", { class: "stack" });
  replace(root, heading(t("rollouts.title")), body);
  replace(body, loading(3));
  let shown = "";

  async function load() {
    const answer = await api("rollouts");
    const text = JSON.stringify(answer);
    if (text === shown) return; // what has not changed keeps its place and its focus
    shown = text;
    draw(answer);
  }

  function draw({ resumable, rollouts }) {
    if (!rollouts.length) return void replace(body, card("", empty(t("rollouts.none"), t("rollouts.none.text"), { symbol: "rollouts" })));
    const [last, ...rest] = rollouts;
    const held = document.activeElement?.dataset?.act ?? document.activeElement?.dataset?.key;
    replace(body, h("div", { class: "rollout-main" }, h("div", { class: "stack" }, overview(last, resumable), waves(last)), gate(last)), nodes(last), rest.length > 0 && earlier(rest));
    if (held) body.querySelector(`[data-act="${held}"], [data-key="${held}"]`)?.focus();
  }

  function overview(one, resumable) {
    const done = one.nodes.filter((node) => node.state === "updated").length;
    const act = one.state === "running" && !one.why ? "pause" : one.state === "paused" || one.state === "running" ? "resume" : null;
    const go = act && may("configure") && (act === "pause" || resumable) && button(t(`rollouts.${act}`), () => doIt(act, one), { symbol: act === "pause" ? "pause" : "play", kind: "primary" });
    if (go) go.dataset.act = "act";
    return h("section", { class: "card", "aria-labelledby": "rollout" },
      h("div", { class: "rollout-head" }, h("div", {}, h("h2", { id: "rollout" }, t("rollouts.name", one)), h("p", { class: "muted" }, `${t("rollouts.number", { number: one.rollout })} · ${one.to.join(", ")}`)), go),
      h("div", { class: "rollout-state" }, badge(one.state === "running" && one.why ? "warning" : SHAPES[one.state], t(`rollouts.state.${one.state}`)), one.why && h("span", {}, one.why)),
      bar(one.nodes.length, counts(one.nodes)), h("p", {}, t("rollouts.updated", { count: done, all: one.nodes.length })), legend(),
      act === "resume" && may("configure") && !resumable && h("p", { class: "muted" }, t("rollouts.nokeys")));
  }

  function counts(list) {
    return Object.fromEntries(PARTS.map(([name, states]) => [name, list.filter((node) => states.includes(node.state)).length]));
  }

  /** A bar of parts; its text says the same. */
  function bar(all, parts) {
    const text = PARTS.filter(([name]) => parts[name]).map(([name]) => `${parts[name]} ${t(`rollouts.${name}`)}`).join(", ");
    return h("div", { class: "rollout-bar", role: "img", "aria-label": text }, PARTS.filter(([name]) => parts[name]).map(([name]) => h("span", { class: `part ${name}`, style: { "--share": String(parts[name] / Math.max(all, 1)) }, title: `${parts[name]} ${t(`rollouts.${name}`)}` })));
  }

  function legend() {
    return h("ul", { class: "rollout-legend", "aria-hidden": "true" }, PARTS.map(([name]) => h("li", {}, h("span", { class: `part ${name}` }), t(`rollouts.${name}`))));
  }

  function waves(one) {
    return card(t("rollouts.waves"), h("ol", { class: "rollout-waves" }, one.waves.map((wave, place) => {
      const list = one.nodes.filter((node) => node.wave === place);
      const parts = counts(list);
      return h("li", {}, h("span", { class: "rollout-wave" }, wave.name === "canary" ? t("rollouts.canary") : wave.name), bar(wave.nodes, parts), h("span", { class: "number" }, `${parts.done} / ${wave.nodes}`));
    })));
  }

  function gate(one) {
    const length = (seconds) => (seconds >= 120 ? t("rollouts.minutes", { minutes: number(seconds / 60) }) : t("rollouts.seconds", { seconds: number(seconds) }));
    return card(t("rollouts.gate"), facts([
      [t("rollouts.gate.failed"), t("rollouts.gate.of", one.gate)], [t("rollouts.gate.at"), String(one.gate.concurrency)], [t("rollouts.gate.watch"), length(one.gate.watch_s)], [t("rollouts.gate.step"), length(one.gate.step_s)],
      [t("rollouts.gate.windows"), one.gate.windows.join(", ") || t("rollouts.gate.any")], [t("rollouts.started"), time(one.started_ms)], [t("rollouts.expires"), time(one.expires_ms)],
    ]), h("p", { class: "muted" }, t("rollouts.gate.text")));
  }

  function nodes(one) {
    const open = (node) => node.state !== "updated";
    const sheet = table({ caption: t("rollouts.nodes"), most: 50, rows: [], nothing: empty(t("rollouts.all.done"), "", { symbol: "ok" }), open: (node) => `#/node/${encodeURIComponent(node.node)}`, columns: [
      { key: "node", title: t("rollouts.node"), main: true, sort: (node) => node.topic, cell: (node) => node.topic.split("/").at(-1) },
      { key: "state", title: t("rollouts.state"), sort: (node) => node.state, cell: (node) => { const shape = shapeOf(node.state); const text = t(`rollouts.node.${node.state}`); return shape ? badge(shape, text) : tag(text, WAY.includes(node.state) ? "download" : "clock"); } },
      { key: "wave", title: t("rollouts.wave"), sort: (node) => node.wave, cell: (node) => { const { name } = one.waves[node.wave]; return name === "canary" ? t("rollouts.canary") : name; } },
      { key: "reason", title: t("rollouts.reason"), cell: (node) => node.reason },
      { key: "since", title: t("rollouts.since"), sort: (node) => node.since_ms, cell: (node) => node.since_ms ? time(node.since_ms) : "" },
      { key: "place", title: t("rollouts.place"), sort: (node) => node.topic, cell: (node) => node.topic.split("/").slice(0, -1).join(" › ") },
    ] });
    const rank = (node) => (FAILED.includes(node.state) ? 0 : WAY.includes(node.state) ? 1 : node.state === "watched" ? 2 : node.state === "waiting" ? 3 : 4);
    const sorted = [...one.nodes].sort((a, b) => rank(a) - rank(b) || byName(a.topic, b.topic));
    const fill = () => sheet.update(sorted.filter((node) => query.show === "all" || open(node)));
    fill();
    return card(t("rollouts.nodes"), chips({ label: t("rollouts.show"), value: query.show ?? "worth", change: (value) => { setQuery({ show: value === "worth" ? null : value }); fill(); },
      items: [{ key: "worth", text: t("rollouts.show.worth"), count: one.nodes.filter(open).length }, { key: "all", text: t("rollouts.show.all"), count: one.nodes.length }] }).element, sheet.element);
  }

  function earlier(rest) {
    return card(t("rollouts.earlier"), table({ caption: t("rollouts.earlier"), rows: rest, columns: [
      { key: "name", title: t("rollouts.title"), main: true, cell: (one) => t("rollouts.name", one) },
      { key: "state", title: t("rollouts.state"), cell: (one) => badge(SHAPES[one.state], t(`rollouts.state.${one.state}`)) },
      { key: "nodes", title: t("rollouts.done"), number: true, cell: (one) => `${one.nodes.filter((node) => node.state === "updated").length} / ${one.nodes.length}` },
      { key: "started", title: t("rollouts.started"), cell: (one) => time(one.started_ms) },
      { key: "why", title: t("rollouts.reason"), cell: (one) => one.why },
    ] }).element);
  }

  async function doIt(act, one) {
    if (!(await confirm(t(`rollouts.${act}.ask`), t(`rollouts.${act}.text`), { yes: t(`rollouts.${act}`) }))) return;
    draw(await api(`rollouts/${one.rollout}/${act}`, { method: "POST", body: {} }));
    shown = "";
    context.toast(t(act === "pause" ? "rollouts.paused" : "rollouts.resumed"), "ok");
  }

  const soon = later(() => void load().catch(() => {}), 300, 1_000);
  const stops = [live("rollout", soon), live("anew", soon)];
  const timer = setInterval(() => { if (!document.hidden) void load().catch(() => {}); }, AGAIN_MS);
  await load();
  return () => { for (const stop of stops) stop(); soon.stop(); clearInterval(timer); };
}
