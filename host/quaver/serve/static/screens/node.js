// One node: how it is, and one of its parts: trend, spectrum, waterfall, waveform, diagnosis, set-up, log.

import { h, icon, replace } from "../dom.js";
import { badge, loading, tabs, tag } from "../parts.js";
import { now, plant, stateOf, watchPlant } from "../plant.js";
import { ago, time } from "../words.js";
import { faultText, zoneTag } from "./plant.js";
import { words } from "./node_words.js";
import { words as plantWords } from "./plant_words.js";

const PARTS = ["trend", "spectrum", "waterfall", "waveform", "diagnosis", "setup", "log"];
for (const language of ["en", "de"]) Object.assign(words[language], plantWords[language]);

export { words };
export const styles = true;

export async function show(root, context, id, part = "trend", ...args) {
  const { t, api } = context;
  const node = await api(`nodes/${encodeURIComponent(id)}`);
  context.title(node.name);
  const name = PARTS.includes(part) ? part : "trend";
  const here = `#/node/${encodeURIComponent(id)}`;
  const head = h("div", { class: "node-head" });
  const place = h("div", { class: "node-part stack" }, loading(3));
  const nav = tabs(t("node.parts"), PARTS.map((key) => ({ key, text: t(`node.${key}`), href: `${here}/${key}` })), name);
  replace(root, head, nav, place);
  nav.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

  function drawHead() {
    const row = { ...node, ...plant.nodes.get(node.node) };
    const state = stateOf(row);
    replace(head, h("div", { class: "crumbs" }, h("a", { href: "#/plant" }, icon("back"), t("nav.plant")), h("span", { class: "muted" }, row.path.join(" › "))),
      h("div", { class: "heading" }, h("h1", { tabindex: "-1" }, row.name),
        h("div", { class: "side" }, badge(state), row.fault && h("a", { class: `fault is-${state}`, href: `${here}/diagnosis` }, faultText(row.fault, t)), zoneTag(row.zone, t),
          row.role === "gateway" && tag(t("plant.role.gateway.one"), "gateway"), row.board && tag(row.board), row.firmware && tag(row.firmware),
          h("time", { class: "muted", title: time(row.last_ms, "full") }, t("node.heard", { ago: ago(row.last_ms, now()) })))));
  }
  drawHead();
  const stop = watchPlant((ids) => { if (ids === null || !ids.size || ids.has(node.node)) drawHead(); });
  let end = null;
  try {
    const module = await import(`./node/${name}.js`);
    end = await module.show(place, context, node, ...args);
  } catch (error) {
    stop();
    throw error;
  }
  return () => { stop(); end?.(); };
}
