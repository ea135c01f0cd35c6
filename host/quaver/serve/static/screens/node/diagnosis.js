// What the node says of its machine, what speaks for it, and what to do.

import { h, icon, replace } from "../../dom.js";
import { card, stateIcon } from "../../parts.js";
import { plant, stateOf } from "../../plant.js";
import { currentLanguage } from "../../words.js";

export async function show(root, context, node) {
  const { t, api, live } = context;
  /** What a verdict means, what to look at first, what to do. */
  function counsel({ title, means, check, act, urgency, source }) {
    return card(title, h("p", {}, means), h("p", { class: "urgency" }, icon("clock"), h("span", {}, urgency)),
      check.length > 0 && [h("h3", {}, t("diagnosis.check")), h("ol", { class: "points" }, check.map((text) => h("li", {}, h("span", {}, text))))],
      h("h3", {}, t("diagnosis.advice")), h("p", {}, act), h("p", { class: "muted small-text" }, source));
  }

  async function draw() {
    const found = await api(`nodes/${node.node}/diagnosis`, { query: { language: currentLanguage() } });
    const state = found.level ?? stateOf({ ...node, ...plant.nodes.get(node.node) });
    const quiet = !found.advice.length && !found.evidence.length;
    replace(root,
      h("section", { class: `verdict is-${state}`, "aria-label": t("diagnosis.title") }, stateIcon(state, t(`state.${state}`)), h("h2", {}, quiet ? t("diagnosis.none") : found.verdict)),
      h("div", { class: "two-cards" }, found.advice.map(counsel),
        found.evidence.length > 0 && card(t("diagnosis.evidence"), h("ul", { class: "points" }, found.evidence.map((text) => h("li", {}, h("span", {}, text)))))),
      found.records.length > 0 && card(t("diagnosis.records"), h("ul", { class: "row" }, found.records.map(([boot, seq]) =>
        h("li", {}, h("a", { class: "button plain", href: `#/node/${node.node}/log?record=${boot}-${seq}` }, t("diagnosis.record", { boot, seq })))))));
  }
  const stops = [live("record", ({ node: of, kind }) => { if (of === node.node && kind === "event") void draw(); }), live("anew", draw)];
  await draw();
  return () => { for (const stop of stops) stop(); };
}
