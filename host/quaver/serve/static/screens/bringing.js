// Bringing in: labels by camera, photo or hand, the list for quaver provision, and how far each run is. A label's code
// stays in variables: it is in no address, no element's attribute and nothing that the browser keeps.

import { address } from "../api.js";
import { h, icon, later, replace } from "../dom.js";
import { badge, button, card, confirm, dialog, empty, errorText, facts, form, heading, stateIcon, table, tag, toast } from "../parts.js";
import { ago, time } from "../words.js";
import { cameraThere, readPhoto, watch } from "./bringing/scan.js";
import { words } from "./bringing_words.js";

export { words };
export const styles = true;

const AGAIN_MS = 5_000;
const LISTED = ["wait", "working", "asking", "failed", "interrupted", "enrolled", "done"];
const SHAPES = { failed: "alarm", interrupted: "warning", enrolled: "warning", asking: "note", working: "note", wait: "note", done: "ok" };
const RANK = { failed: 0, interrupted: 1, asking: 2, working: 3, enrolled: 4, wait: 5, done: 6 };
const ASKED = ["code", "name", "asset", "site", "area", "line", "group", "mounting", "bearing", "rpm"]; // questions with words here
const SETTINGS = ["name", "asset", "site", "area", "line", "group", "mounting", "bearing", "rpm", "wifi"];

/** The one word for where a node is on its way into service. */
function stateOf(node) {
  if (node.run && node.run.state !== "done" && (!node.planned || node.run.since_ms >= node.planned.since_ms)) return node.run.state;
  if (node.planned) return "wait";
  if (node.inventory === "enrolled") return "enrolled";
  return node.run ? "done" : node.inventory === "in service" ? "done" : "wait";
}

const nameOf = (node) => node.planned?.settings.name ?? (node.place.split("/").at(-1) || node.run?.place.split("/").at(-1) || "");
const placeOf = (node) => {
  const { settings } = node.planned ?? {};
  const parts = settings ? ["site", "area", "line", "asset"].map((key) => settings[key] ?? key) : (node.place || node.run?.place || "").split("/").slice(0, -1);
  return parts.join(" › ");
};
const idText = (id) => id.replace(/(.{4})(?=.)/g, "$1 ");

export async function show(root, context) {
  const { api, t, live, plant } = context;
  context.title(t("nav.bringing"));
  let seen = { steps: [], plan: "", count: 0, nodes: [] };
  let stopCamera = null;
  let shown = "";
  let busy = false;

  // ---- a label

  const video = h("video", { class: "camera-picture", muted: true, playsinline: true, "aria-label": t("bringing.picture") });
  video.muted = true;
  const said = h("p", { class: "scan-said", role: "status" });
  const frame = h("div", { class: "camera", hidden: true }, video, h("span", { class: "camera-frame", "aria-hidden": "true" }));
  const file = h("input", { type: "file", accept: "image/*", class: "unseen", tabindex: "-1", "aria-label": t("bringing.photo"), on: { change: () => void photo() } });
  const scan = button(t("bringing.scan"), () => (stopCamera ? endCamera() : beginCamera()), { kind: "primary", symbol: "bringing" });

  function tell(text, kind = "") {
    replace(said, kind && stateIcon(kind), text && h("span", {}, text));
    said.className = `scan-said${kind ? ` is-${kind}` : ""}`;
  }

  function endCamera() {
    stopCamera?.();
    stopCamera = null;
    frame.hidden = true;
    replace(scan, icon("bringing"), h("span", {}, t("bringing.scan")));
    tell("");
  }

  /** last: a label that is still before the camera, and done. */
  async function beginCamera(last = null) {
    frame.hidden = false;
    tell(t("bringing.look"));
    try {
      stopCamera = await watch(video, (text) => void label({ text }, true), last);
      replace(scan, icon("stop"), h("span", {}, t("bringing.stop")));
      if (!root.isConnected) endCamera(); // the person has gone on meanwhile
    } catch (error) {
      endCamera();
      const key = { NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "missing", OverconstrainedError: "missing", NotReadableError: "taken" }[error?.name];
      tell(key ? t(`bringing.camera.${key}`) : t("error.code", { text: error?.message ?? String(error) }), "warning");
    }
  }

  async function photo() {
    const [picture] = file.files;
    file.value = "";
    if (!picture) return;
    tell(t("bringing.reading"));
    try {
      const text = await readPhoto(picture);
      if (!text) return tell(t("bringing.photo.nothing"), "warning");
      tell("");
      await label({ text });
    } catch {
      tell(t("bringing.photo.none"), "warning");
    }
  }

  /** Shows the node that a label is of. body: as POST bringing/label takes it. */
  async function label(body, byCamera = false) {
    if (busy || document.querySelector("dialog[open].label-dialog")) return;
    busy = true;
    try {
      const found = await api("bringing/label", { method: "POST", body });
      if (byCamera) {
        navigator.vibrate?.(60);
        endCamera();
      }
      tell("");
      void edit(found.node, body, found.code, byCamera);
    } catch (error) {
      if (error.status !== 401) tell(errorText(error), "warning");
    } finally {
      busy = false;
    }
  }

  function typed() {
    const sheet = form({
      action: t("bringing.type.action"),
      fields: [
        { name: "node", label: t("bringing.id"), required: true, autocomplete: "off", help: t("bringing.id.help"), attributes: { autocapitalize: "none", spellcheck: "false", maxlength: 40 } },
        { name: "text", label: t("bringing.code"), autocomplete: "off", help: t("bringing.code.help"), attributes: { autocapitalize: "characters", spellcheck: "false", maxlength: 40 } },
      ],
      submit: async (body) => {
        const found = await api("bringing/label", { method: "POST", body });
        sheet.element.closest("dialog")?.close();
        void edit(found.node, body, found.code);
      },
    });
    void dialog({ title: t("bringing.type"), actions: [], body: sheet.element });
    sheet.focus();
  }

  // ---- what the list says of a node

  function suggestions(key, level) {
    const levels = [...plant.nodes.values()].map((row) => row.path?.[level]).concat(seen.nodes.map((node) => node.planned?.settings[key]));
    return h("datalist", { id: `known-${key}` }, [...new Set(levels.filter(Boolean))].sort().slice(0, 200).map((value) => h("option", { value })));
  }

  /** body: the label, null where the list has the node already. */
  function edit(node, body, code, byCamera = false) {
    const known = node.planned?.settings ?? {};
    const before = node.place.split("/");
    const old = before.length === 5 ? { site: before[0], area: before[1], line: before[2], asset: before[3], name: before[4] } : {};
    const last = seen.nodes.find((one) => one.planned)?.planned.settings ?? {};
    // The place of the node before is most often this one's too; what a glance may pass over is not taken from it.
    const value = (key) => known[key] ?? old[key] ?? (["site", "area", "line", "wifi"].includes(key) ? last[key] : undefined) ?? "";
    const text = (key, more = {}) => ({ name: key, label: t(`bringing.${key}`), value: value(key), autocomplete: "off", ...more, attributes: { maxlength: 24, ...more.attributes } });
    const sheet = form({
      action: t(node.planned ? "bringing.change.action" : "bringing.add"),
      fields: [
        text("name", { required: true }), text("asset", { required: true, attributes: { list: "known-asset" } }),
        text("site", { attributes: { list: "known-site" } }), text("area", { attributes: { list: "known-area" } }), text("line", { attributes: { list: "known-line" } }),
        { name: "mounting", label: t("bringing.mounting"), type: "select", value: known.mounting ?? "", options: ["", "rigid", "flexible"].map((one) => [one, t(`bringing.mounting.${one || "none"}`)]) },
        { name: "group", label: t("bringing.group"), type: "select", value: known.group ?? "", options: ["", "1", "2"].map((one) => [one, t(`bringing.group.${one || "none"}`)]) },
        text("bearing", { help: t("bringing.bearing.help"), attributes: { maxlength: 60 } }),
        text("rpm", { attributes: { maxlength: 12, inputmode: "decimal" } }),
        text("wifi", { help: t("bringing.wifi.help"), attributes: { maxlength: 60 } }),
      ],
      submit: async (values) => {
        const settings = Object.fromEntries(SETTINGS.map((key) => [key, values[key]]));
        draw(await api("bringing/nodes", { method: "POST", body: { ...(body ?? { node: node.node }), ...settings } }));
        sheet.element.closest("dialog")?.close();
        toast(t("bringing.added", { name: values.name.trim() }), "ok");
        if (byCamera) await beginCamera(body.text);
      },
    });
    const state = node.inventory === "in service" ? badge("ok", t("bringing.in.service")) : node.inventory === "enrolled" ? badge("warning", t("bringing.in.enrolled"))
      : node.inventory ? tag(t("bringing.in.retired")) : tag(t("bringing.in.none"));
    void dialog({ title: t("bringing.node", { name: nameOf(node) || `… ${idText(node.node).slice(-9)}` }), actions: [], body: h("div", { class: "stack label-dialog" },
      facts([
        [t("bringing.id"), h("span", { class: "node-id" }, idText(node.node))], [t("bringing.inventory"), state], [t("bringing.board"), node.board], [t("bringing.firmware"), node.firmware],
        [t("bringing.heard"), node.heard_ms ? ago(node.heard_ms) : t("time.never")], [t("bringing.place"), node.place.split("/").join(" › ")], [t("bringing.code"), t(code ? "bringing.code.there" : "bringing.code.none")],
      ]),
      node.inventory === "in service" && h("p", { class: "hint is-warning" }, stateIcon("warning"), h("span", {}, t("bringing.anew"))),
      !code && h("p", { class: "hint is-warning" }, stateIcon("warning"), h("span", {}, t("bringing.code.without"))),
      node.run && h("div", { class: "hint" }, progress(node)),
      ["asset", "site", "area", "line"].map((key) => suggestions(key, { site: 0, area: 1, line: 2, asset: 3 }[key])), sheet.element) });
    sheet.focus();
  }

  // ---- the list and the runs

  function progress(node) {
    const { run } = node;
    const state = stateOf(node);
    const parts = [];
    if (run && state !== "wait") {
      const all = seen.steps.length;
      const done = run.state === "done" ? all : Math.max(0, run.number - 1);
      const what = run.number ? t(`bringing.step.${run.step}`) : run.step === "plan" ? t("bringing.step.plan")
        : [t("bringing.step.ask"), ASKED.includes(run.step) && t(`bringing.${run.step}`)].filter(Boolean).join(": ");
      if (run.number || run.state === "done") parts.push(h("div", { class: `run-bar is-${SHAPES[state] ?? "note"}`, role: "img", "aria-label": t("bringing.of", { done, all }) }, h("span", { style: { "--share": String(done / Math.max(1, all)) } })));
      if (run.state !== "done") parts.push(h("span", { class: "run-step" }, run.number ? `${run.number}/${all} · ${what}` : what));
      if (run.why) parts.push(h("span", { class: "run-why", lang: "en" }, run.why));
      if (["failed", "interrupted"].includes(run.state)) parts.push(h("span", { class: "run-help" }, t(`bringing.do.${run.state === "interrupted" ? "interrupted" : run.number ? run.step : "plan"}`)));
    } else if (state === "enrolled") parts.push(h("span", { class: "run-help" }, t("bringing.do.enrolled")));
    return parts;
  }

  function act(node, key, text, click, shown, symbol = "") {
    const element = button(shown, click, { kind: "quiet", symbol, label: t(text, { name: nameOf(node) || idText(node.node) }) });
    element.dataset.act = `${key} ${node.node}`;
    return element;
  }

  async function remove(node) {
    const name = nameOf(node) || idText(node.node);
    if (!(await confirm(t("bringing.remove.ask", { name }), t("bringing.remove.text"), { yes: t("bringing.remove.yes") }))) return;
    draw(await api(`bringing/nodes/${encodeURIComponent(node.node)}`, { method: "DELETE" }));
  }

  const list = table({
    caption: t("bringing.list"), most: 50, nothing: empty(t("bringing.empty"), t("bringing.empty.text"), { symbol: "bringing" }),
    columns: [
      { key: "name", title: t("bringing.one"), main: true, cell: (node) => h("span", { class: "bringing-name" }, nameOf(node) || t("bringing.unnamed"), h("span", { class: "node-id muted" }, idText(node.node))) },
      { key: "state", title: t("bringing.state"), cell: (node) => badge(SHAPES[stateOf(node)], t(`bringing.state.${stateOf(node)}`)) },
      { key: "run", title: t("bringing.run"), cell: (node) => { const parts = progress(node); return parts.length ? h("div", { class: "run" }, parts) : null; } },
      { key: "place", title: t("bringing.place"), cell: placeOf },
      { key: "since", title: t("bringing.since"), cell: (node) => h("span", { class: "whole" }, time(Math.max(node.run?.since_ms ?? 0, node.planned?.since_ms ?? 0) || null)) },
      { key: "heard", title: t("bringing.heard"), cell: (node) => node.heard_ms && h("span", { class: "whole" }, ago(node.heard_ms)) },
      { key: "acts", title: "", cell: (node) => h("span", { class: "row acts" },
        act(node, "edit", node.planned ? "bringing.change" : "bringing.again", () => void edit(node, null, node.planned?.code ?? false), t(node.planned ? "bringing.change.short" : "bringing.again.short")),
        (node.planned || (node.run && node.run.state !== "working")) && act(node, "remove", "bringing.remove", () => void remove(node), "", "close")) },
    ],
  });
  const summary = h("div", { class: "row" });
  const how = h("div", { class: "stack" });

  function draw(answer) {
    const text = JSON.stringify(answer);
    if (text === shown) return; // what has not changed keeps its place and its focus
    shown = text;
    seen = answer;
    const held = list.element.contains(document.activeElement) ? document.activeElement?.dataset?.act : null;
    const counts = Object.fromEntries(LISTED.map((state) => [state, answer.nodes.filter((node) => stateOf(node) === state).length]));
    replace(summary, LISTED.filter((state) => counts[state]).map((state) => badge(SHAPES[state], t(`bringing.count.${state}`, { count: counts[state] }))));
    list.update([...answer.nodes].sort((a, b) => RANK[stateOf(a)] - RANK[stateOf(b)]));
    if (held) list.element.querySelector(`[data-act="${held}"]`)?.focus();
    replace(how, answer.count ? ready(answer) : h("p", { class: "muted" }, t("bringing.how.none")));
  }

  function ready({ plan, count }) {
    const command = `quaver provision --from ${/^[\w@%+=:,./-]+$/.test(plan) ? plan : `'${plan.replaceAll("'", "'\\''")}'`}`;
    const field = h("code", { class: "command", tabindex: "0", "aria-label": t("bringing.command") }, command);
    return [
      h("p", {}, t("bringing.how", { count })), field,
      h("div", { class: "row" },
        navigator.clipboard && button(t("bringing.copy"), async () => { await navigator.clipboard.writeText(command); toast(t("bringing.copied"), "ok"); }, { symbol: "table" }),
        h("a", { class: "button plain", href: address("bringing/plan.csv"), download: "plan.csv" }, icon("download"), h("span", {}, t("bringing.download")))),
      h("p", { class: "muted" }, t("bringing.how.codes")),
    ];
  }

  replace(root, heading(t("nav.bringing"), summary),
    h("div", { class: "bringing-main" },
      card(t("bringing.label"),
        h("p", { class: "muted" }, t("bringing.label.text")),
        frame, said,
        !cameraThere() && h("p", { class: "hint is-warning" }, stateIcon("warning"), h("span", {}, t(isSecureContext ? "bringing.camera.missing" : "bringing.insecure"))),
        h("div", { class: "scan-ways" }, cameraThere() && scan,
          button(t("bringing.photo"), () => file.click(), { kind: cameraThere() ? "plain" : "primary", symbol: "tiles" }), file,
          button(t("bringing.type"), () => void typed(), { symbol: "comment" }))),
      card(t("bringing.do"), how)),
    card(t("bringing.list"), list.element));

  const load = async () => draw(await api("bringing"));
  const soon = later(() => void load().catch(() => {}), 200, 1_000);
  const stops = [live("bringing", soon), live("anew", soon)];
  const timer = setInterval(() => { if (!document.hidden) void load().catch(() => {}); }, AGAIN_MS);
  const hide = () => { if (document.hidden) endCamera(); };
  document.addEventListener("visibilitychange", hide);
  await load();
  return () => {
    for (const stop of stops) stop();
    soon.stop();
    clearInterval(timer);
    document.removeEventListener("visibilitychange", hide);
    endCamera();
  };
}
