// The plant: what is wrong first, then everything in its place: site, area, line, asset, node.

import { h, icon, later, replace } from "../dom.js";
import { button, chips, empty, heading, loading, stateIcon, tag } from "../parts.js";
import { now, severity, stateOf, watchPlant, worst } from "../plant.js";
import { ago, byName, number, time } from "../words.js";
import { showPlan } from "./plan.js";
import { words } from "./plant_words.js";

export { words };

const STATES = ["alarm", "gone", "offline", "warning", "unknown", "ok"];
const OPEN_ALL = 60; // nodes up to which the whole tree stands open
const WRONG_AT_ONCE = 12;
const FOUND_AT_ONCE = 100;

export async function show(root, context) {
  const { t, plant, query, setQuery } = context;
  context.title(t("plant.title"));
  const chosen = () => new Set((query.state ?? "").split(",").filter(Boolean));
  let most = { wrong: WRONG_AT_ONCE, found: FOUND_AT_ONCE };
  const opened = new Map(); // path -> whether a person opened or closed it

  const search = h("input", { type: "search", id: "plant-search", placeholder: t("plant.search"), "aria-label": t("plant.search"), value: query.q ?? "", autocomplete: "off", spellcheck: "false",
    on: { input: later(() => { most.found = FOUND_AT_ONCE; setQuery({ q: search.value.trim() }); draw(); }, 120) } });
  const states = chips({ label: t("plant.states"), several: true, items: [], value: chosen(), change: (value) => { setQuery({ state: [...value].join(",") }); draw(); } });
  const roles = select("role", t("plant.role"), () => [["", t("plant.role.all")], ["node", t("plant.role.node")], ["gateway", t("plant.role.gateway")]]);
  const versions = select("version", t("plant.version"), () => [["", t("plant.version.all")], ...count(plant.nodes.values(), (row) => row.firmware).map(([name, of]) => [name, `${name} (${of})`])]);
  const view = chips({ label: t("plant.view"), value: query.view ?? "tree", items: ["tree", "tiles", "map"].map((key) => ({ key, symbol: key, text: t(`plant.view.${key}`) })),
    change: (value) => { setQuery({ view: value === "tree" ? null : value }); draw(); } });
  const body = h("div", { class: "plant-body" });
  const said = h("p", { class: "unseen", role: "status" });
  replace(root, heading(t("plant.title"), view.element),
    h("div", { class: "plant-filter", role: "search" }, h("div", { class: "search" }, icon("search"), search), h("div", { class: "states" }, states.element), h("div", { class: "selects" }, roles.element, versions.element)), said, body);
  replace(body, loading(5));

  /** A choice that stands in the hash. options: called when they may have changed. */
  function select(name, label, options) {
    const element = h("select", { "aria-label": label, on: { change: () => { setQuery({ [name]: element.value }); draw(); } } });
    let key = "";
    return { element, update() {
      const list = options();
      const next = JSON.stringify(list);
      if (next === key) return;
      key = next;
      replace(element, list.map(([value, text]) => h("option", { value, selected: value === (query[name] ?? "") }, text)));
    } };
  }

  const rows = new Map(); // node -> {key, element}: a row is made anew only where it shows something else

  /** One node as a link: in the list of what is wrong with its path, in the tree without. */
  function nodeRow(row, { full = false } = {}) {
    const state = stateOf(row);
    const id = `${row.node}${full ? "+" : ""}`;
    const key = JSON.stringify([state, row.name, row.fault, row.zone, row.battery, row.firmware, row.alarms, row.role]);
    const old = rows.get(id);
    if (old?.key === key) {
      old.element.querySelector("time").textContent = ago(row.last_ms, now());
      return old.element;
    }
    const says = [faultText(row.fault, t), state === "gone" && t("plant.gone", { time: time(row.last_ms) }), row.alarms > 0 && t(row.alarms === 1 ? "plant.alarm.one" : "plant.alarm.many", { count: row.alarms })].filter(Boolean);
    const element = h("li", { data: { node: row.node } }, h("a", { class: `node-row is-${state}`, href: `#/node/${row.node}` },
      stateIcon(state), h("span", { class: "node-names" }, h("span", { class: "node-name" }, row.name), full && h("span", { class: "node-path" }, row.path.join(" › ")),
        full && says.length > 0 && h("span", { class: "node-says" }, says.join(" · "))),
      h("span", { class: "node-side" }, full ? h("span", { class: "node-state" }, t(`state.${state}`)) : state !== "ok" && h("span", { class: "node-state" }, faultText(row.fault, t) ?? t(`state.${state}`)),
        row.role === "gateway" && tag(t("plant.role.gateway.one"), "gateway"), batteryTag(row.battery), zoneTag(row.zone, t),
        !full && row.firmware && h("span", { class: "node-version" }, row.firmware),
        h("time", { title: time(row.last_ms, "full") }, ago(row.last_ms, now())))));
    rows.set(id, { key, element });
    return element;
  }

  function batteryTag(battery) {
    if (!battery) return null;
    const share = battery.percent ?? battery.share;
    return tag(share !== undefined && share !== null ? `${number(share)} %` : `${number(battery.volts ?? battery.voltage_v)} V`, "battery");
  }

  function matches() {
    const asked = (query.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = chosen();
    return [...plant.nodes.values()].filter((row) => {
      if (query.role && row.role !== query.role) return false;
      if (query.version && row.firmware !== query.version) return false;
      if (wanted.size && !wanted.has(stateOf(row))) return false;
      if (!asked.length) return true;
      const text = `${row.name} ${row.topic} ${row.path.join(" ")} ${row.node} ${row.firmware ?? ""} ${row.board ?? ""} ${row.fault ?? ""} ${faultText(row.fault, t) ?? ""}`.toLowerCase();
      return asked.every((word) => text.includes(word));
    }).sort(byState);
  }

  function draw() {
    const all = [...plant.nodes.values()];
    const counts = Object.fromEntries(count(all, stateOf));
    const wanted = chosen();
    states.update(STATES.filter((state) => counts[state] || wanted.has(state)).map((state) => ({ key: state, state, text: t(`state.${state}`), count: counts[state] ?? 0 })), wanted);
    roles.update();
    versions.update();
    if (!all.length) return void replace(body, empty(t("plant.none"), t("plant.none.text"), { symbol: "plant" }));
    const held = document.activeElement?.closest?.("[data-node], [data-path]");
    const where = held && (held.dataset.node ?? held.dataset.path);
    const filtered = query.q || query.state || query.role || query.version;
    const found = matches();
    said.textContent = filtered ? t("plant.found", { count: found.length, all: all.length }) : "";
    if (query.view === "map") showPlan(body, context, found);
    else if (query.view === "tiles") drawTiles(found);
    else if (filtered) drawFound(found);
    else drawWhole(found);
    body.classList.toggle("two", !filtered && (query.view ?? "tree") === "tree");
    if (where && !body.contains(document.activeElement)) body.querySelector(`[data-node="${CSS.escape(where)}"] a, [data-path="${CSS.escape(where)}"] > button`)?.focus({ preventScroll: true });
  }

  function list(found, size, more) {
    return [h("ul", { class: "node-list" }, found.slice(0, size).map((row) => nodeRow(row, { full: true }))),
      found.length > size && button(t("action.more", { count: found.length - size }), more, { kind: "quiet" })];
  }

  function drawFound(found) {
    replace(body, found.length
      ? h("section", { class: "card flush", "aria-label": t("plant.found", { count: found.length, all: plant.nodes.size }) }, list(found, most.found, () => { most.found = Infinity; draw(); }))
      : empty(t("plant.nothing"), t("plant.nothing.text"), { symbol: "search", action: button(t("plant.clear"), () => {
        search.value = "";
        setQuery({ q: null, state: null, role: null, version: null });
        for (const one of [roles, versions]) one.element.value = "";
        draw();
      }) }));
  }

  function drawWhole(found) {
    const wrong = found.filter((row) => severity(stateOf(row)) > severity("unknown"));
    replace(body,
      h("section", { class: `card flush wrong is-${wrong.length ? stateOf(wrong[0]) : "ok"}`, "aria-labelledby": "wrong" },
        h("div", { class: "card-head" }, h("h2", { id: "wrong" }, t("plant.wrong")), h("span", { class: "muted" }, wrong.length ? t("plant.wrong.count", { count: wrong.length, all: found.length }) : "")),
        wrong.length ? list(wrong, most.wrong, () => { most.wrong = Infinity; draw(); }) : empty(t("plant.right"), t("plant.right.text", { count: found.length }), { symbol: "ok" })),
      h("section", { class: "card flush", "aria-labelledby": "places" },
        h("div", { class: "card-head" }, h("h2", { id: "places" }, t("plant.places")), h("span", { class: "muted" }, t("plant.nodes", { count: found.length }))),
        drawGroups(grow(found), 0, found.length <= OPEN_ALL)));
  }

  /** Groups of one level, worst first, as lists within lists: each opens and closes. */
  function drawGroups(group, depth, open) {
    const parts = [...group.groups.values(), ...group.nodes.map((row) => ({ name: row.name, state: stateOf(row), row }))];
    parts.sort((a, b) => severity(b.state) - severity(a.state) || byName(a.name, b.name));
    return h("ul", { class: depth ? "tree-level" : "tree" }, parts.map((one) => {
      if (one.row) return nodeRow(one.row);
      const isOpen = opened.get(one.path) ?? (open || depth < 1);
      const content = isOpen ? drawGroups(one, depth + 1, open) : null;
      const element = h("li", { data: { path: one.path } },
        h("button", { type: "button", class: `tree-head depth-${Math.min(depth, 4)}`, "aria-expanded": String(isOpen), on: { click: () => { opened.set(one.path, !isOpen); draw(); } } },
          icon("next"), stateIcon(one.state, t(`state.${one.state}`)), h("span", { class: "tree-name" }, one.name), counts(one)),
        content);
      return element;
    }));
  }

  function counts(group) {
    return h("span", { class: "tree-counts" }, STATES.filter((state) => group.counts[state] && (state !== "ok" || group.size === group.counts.ok)).map((state) =>
      h("span", { class: `count is-${state}` }, stateIcon(state, t(`state.${state}`)), String(group.counts[state]))), group.size !== group.counts.ok && h("span", { class: "muted" }, t("plant.of", { count: group.size })));
  }

  function drawTiles(found) {
    const lines = new Map();
    for (const row of found) {
      const place = row.path.slice(0, 3).join(" › ");
      if (!lines.has(place)) lines.set(place, []);
      lines.get(place).push(row);
    }
    const sorted = [...lines].sort(([a, x], [b, y]) => severity(stateOf(y[0])) - severity(stateOf(x[0])) || byName(a, b));
    replace(body, h("div", { class: "tile-groups" }, sorted.map(([place, list]) => h("section", { class: "card tile-group", "aria-label": place },
      h("h2", {}, place), h("ul", { class: "tiles" }, list.map((row) => {
        const state = stateOf(row);
        return h("li", { data: { node: row.node } }, h("a", { class: `tile is-${state}`, href: `#/node/${row.node}`, title: `${row.name}: ${faultText(row.fault, t) ?? t(`state.${state}`)}` }, stateIcon(state, t(`state.${state}`)), h("span", {}, row.name)));
      }))))));
  }

  const soon = later(draw, 250, 1_000);
  const stop = watchPlant((ids) => {
    if (ids === null) return soon();
    // only what is seen and only says another time needs no new list
    for (const id of ids.size ? ids : plant.nodes.keys()) {
      const row = plant.nodes.get(id);
      for (const key of [id, `${id}+`]) {
        const old = rows.get(key);
        if (!old || !row) continue;
        old.element.querySelector("time").textContent = ago(row.last_ms, now());
        if (JSON.parse(old.key)[0] !== stateOf(row)) soon();
      }
    }
    if (ids.size) soon();
  });
  if (plant.loaded) draw();
  return () => { stop(); soon.stop(); };
}

/** The letter of a zone of ISO 20816: of a row as its number, 1 is A, of a live record as the letter. */
export function zoneLetter(zone) {
  return typeof zone === "number" ? "ABCD"[zone - 1] ?? null : zone || null;
}

/** What a node calls the fault of its machine, in the page's language; null where it names none. */
export function faultText(fault, t) {
  if (!fault) return null;
  const key = `fault.${fault.replace(" ", "_")}`;
  const text = t(key);
  return text === key ? fault : text;
}

export function zoneTag(zone, t) {
  const letter = zoneLetter(zone);
  return letter && h("span", { class: `zone zone-${letter}`, title: t("plant.zone", { zone: letter }) }, h("span", { class: "unseen" }, t("plant.zone.short")), letter);
}

function byState(a, b) {
  return severity(stateOf(b)) - severity(stateOf(a)) || (b.alarms ?? 0) - (a.alarms ?? 0) || byName(a.name, b.name);
}

function count(rows, key) {
  const found = new Map();
  for (const row of rows) {
    const name = key(row);
    if (name) found.set(name, (found.get(name) ?? 0) + 1);
  }
  return [...found].sort(([a], [b]) => byName(a, b));
}

/** The tree of some nodes by their paths; a level with one group alone is one with the next, and an asset is its node where
 *  that has the same name and is alone. */
function grow(found) {
  const top = { name: "", path: "", groups: new Map(), nodes: [], counts: {}, size: 0 };
  for (const row of found) {
    let at = top;
    const state = stateOf(row);
    for (const part of row.path) {
      if (!at.groups.has(part)) at.groups.set(part, { name: part, path: `${at.path}/${part}`, groups: new Map(), nodes: [], counts: {}, size: 0 });
      at = at.groups.get(part);
      at.counts[state] = (at.counts[state] ?? 0) + 1;
      at.size += 1;
    }
    at.nodes.push(row);
  }
  const settle = (group) => {
    for (const [key, one] of group.groups) {
      settle(one);
      one.state = worst(Object.keys(one.counts));
      if (!one.groups.size && one.nodes.length === 1 && one.nodes[0].name === key) {
        group.groups.delete(key);
        group.nodes.push(one.nodes[0]);
      }
      if (one.groups.size === 1 && !one.nodes.length) {
        const [only] = one.groups.values();
        group.groups.set(key, { ...only, name: `${one.name} › ${only.name}` });
      }
    }
  };
  settle(top);
  return top;
}
