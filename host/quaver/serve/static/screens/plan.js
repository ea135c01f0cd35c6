// The plan picture with the nodes on it.

import { h, replace } from "../dom.js";
import { empty, failed, loading, stateIcon } from "../parts.js";
import { stateOf } from "../plant.js";
import { address } from "../api.js";

let plan = null; // {image: path of the API or null, places: [{node, x, y}]}, x and y from 0 to 1 of the picture

/** Draws the plan with those of `found` that have a place on it. */
export function showPlan(body, context, found) {
  const { t, api } = context;
  if (!plan) {
    replace(body, loading(2));
    api("plan").then((answer) => { plan = answer; if (context.query.view === "map") showPlan(body, context, found); }, (error) => replace(body, failed(error)));
    return;
  }
  if (!plan.image) return void replace(body, empty(t("plan.none"), t("plan.none.text"), { symbol: "map" }));
  const places = new Map(plan.places.map((place) => [place.node, place]));
  const here = found.filter((row) => places.has(row.node));
  const off = found.length - here.length;
  replace(body, h("div", { class: "card" },
    h("div", { class: "plan" }, h("img", { src: address(plan.image), alt: t("plan.alt", { name: context.plant.name, count: here.length }) }),
      h("ul", {}, here.reverse().map((row) => {
        const state = stateOf(row);
        const { x, y } = places.get(row.node);
        return h("li", { data: { node: row.node }, style: { left: `${x * 100}%`, top: `${y * 100}%` } },
          h("a", { class: `pin is-${state}`, href: `#/node/${row.node}` }, stateIcon(state, t(`state.${state}`)), h("span", {}, row.name)));
      }))),
    off > 0 && h("p", { class: "muted" }, t("plan.off", { count: off }))));
}
