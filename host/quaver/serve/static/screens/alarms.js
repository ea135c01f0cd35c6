// Alarms by the states of ISA-18.2: the worst first, dealt with by keyboard alone, and what they were of.

import { h, icon, later, replace } from "../dom.js";
import { button, chips, empty, heading, loading, stateIcon, tag } from "../parts.js";
import { now } from "../plant.js";
import { setSound, soundIsOn } from "../sound.js";
import { ago, currentLanguage, time } from "../words.js";
import { ask, askForAll, detail } from "./alarms_dialogs.js";
import { showFigures } from "./alarms_figures.js";
import { words } from "./alarms_words.js";

export { words };
export const styles = true;

const OPEN = ["unack-active", "ack-active", "unack-cleared"];
const ASIDE = ["shelved", "suppressed", "out-of-service"];
const SETS = { open: OPEN, aside: ASIDE, all: [...OPEN, ...ASIDE, "normal"] };
const AT_ONCE = 100;
// What a key on a row does, and in which states.
const KEYS = { a: "acknowledge", c: "comment", s: "shelve", o: "out" };
const ALLOWED = {
  acknowledge: ["unack-active", "unack-cleared"], shelve: [...OPEN, "normal"], unshelve: ["shelved"],
  out: [...OPEN, "shelved", "suppressed", "normal"], in: ["out-of-service"], comment: SETS.all,
};

/** Whether an act is possible for an alarm. */
export function possible(act, alarm) {
  return ALLOWED[act].includes(alarm.state);
}

/** The symbol of an alarm: of its level while it is wrong, a ring where it is over. */
export function symbolOf(alarm) {
  return alarm.active ? (alarm.level === "alarm" ? "alarm" : "warning") : "ok";
}

export async function show(root, context) {
  const { t, api, live, query, setQuery, may, navigate } = context;
  context.title(t("alarms.title"));
  let list = [];
  let groups = []; // of alarms with one trouble: one row each
  let counts = {};
  let causes = [];
  let begins = null; // what was over before that is history
  let most = AT_ONCE;
  let at = Number(query.alarm) || null; // the row that has the focus, or had it: an alarm's number or a group's key
  const rows = new Map();
  const opened = new Set(); // keys of the groups whose alarms are shown

  const views = chips({ label: t("alarms.views"), value: query.view ?? "list", items: [{ key: "list", text: t("alarms.list") }, { key: "figures", text: t("alarms.figures") }],
    change: (value) => { setQuery({ view: value === "list" ? null : value }); void draw(); } });
  const sound = button("", () => {
    setSound(!soundIsOn());
    drawSound();
    if (soundIsOn()) context.toast(t("alarms.sound.set"), "ok");
  }, { symbol: "silent", label: t("alarms.sound.off"), pressed: false });
  function drawSound() {
    const text = t(soundIsOn() ? "alarms.sound.on" : "alarms.sound.off");
    sound.setAttribute("aria-pressed", String(soundIsOn()));
    sound.setAttribute("aria-label", text);
    sound.title = text;
    replace(sound, icon(soundIsOn() ? "sound" : "silent"));
  }
  drawSound();
  const search = h("input", { type: "search", placeholder: t("alarms.search"), "aria-label": t("alarms.search"), value: query.q ?? "", autocomplete: "off", spellcheck: "false",
    on: { input: later(() => { setQuery({ q: search.value.trim() }); drawList(); }, 120) } });
  const sets = chips({ label: t("alarms.states"), value: query.show ?? "open", items: [], change: (value) => { setQuery({ show: value === "open" ? null : value }); most = AT_ONCE; void load(); } });
  const filter = h("div", { class: "alarm-filter", role: "search" }, h("div", { class: "search" }, icon("search"), search), sets.element);
  const body = h("div", {});
  const said = h("p", { class: "unseen", role: "status" });
  replace(root, heading(t("alarms.title"), views.element, sound), filter, said, body);
  replace(body, loading(5));

  async function load() {
    const shown = query.show ?? "open";
    const answer = await api("alarms", { query: { state: shown === "open" ? "standing" : shown === "all" ? "all" : undefined, node: query.node, limit: 1000, language: currentLanguage() } });
    list = shown === "aside" ? answer.alarms.filter((one) => ASIDE.includes(one.state)) : answer.alarms;
    const listed = new Map(list.map((one) => [one.id, one]));
    groups = answer.groups.map((group) => ({ ...group, members: group.alarms.map((id) => listed.get(id)).filter(Boolean) })).filter((group) => group.members.length);
    counts = answer.counts;
    causes = answer.causes;
    begins = answer.lists_from_ms;
    const due = new Set(answer.reviews);
    for (const one of list) one.due = due.has(one.id);
    if ((query.view ?? "list") === "list") drawList();
  }

  async function draw() {
    const figures = query.view === "figures";
    filter.hidden = figures;
    if (!figures) return void drawList();
    await showFigures(body, context, (number) => { setQuery({ view: null, show: "all", alarm: number }); views.update([{ key: "list", text: t("alarms.list") }, { key: "figures", text: t("alarms.figures") }], "list"); at = number; void load().then(() => draw()); });
  }

  function matches() {
    const asked = (query.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    return list.filter((one) => {
      const text = [one.name, one.path.join(" "), one.text, one.subject, one.priority, one.cause ?? "", ...one.comments.map((comment) => `${comment.text} ${comment.work_order}`)].join(" ").toLowerCase();
      return asked.every((word) => text.includes(word));
    });
  }

  function drawList() {
    const sum = (states) => states.reduce((all, state) => all + (counts[state] ?? 0), 0);
    sets.update(Object.keys(SETS).map((key) => ({ key, text: t(`alarms.${key}`), count: sum(SETS[key]) })), query.show ?? "open");
    const found = new Set(matches());
    const shown = groups.filter((group) => group.members.some((one) => found.has(one)));
    const sizes = { count: found.size, rows: shown.length };
    said.textContent = query.q ? t("alarms.count", sizes) : "";
    const held = body.contains(document.activeElement);
    const history = begins && h("p", { class: "muted alarm-begins" }, t("alarms.begins", { time: time(begins) }));
    if (!shown.length) {
      replace(body, query.q || query.node
        ? empty(t("alarms.nothing"), t("alarms.nothing.text"), { symbol: "search" })
        : empty(t("alarms.none"), (query.show ?? "open") === "open" ? t("alarms.none.text") : "", { symbol: "ok" }), history);
      if (held) root.querySelector("h1").focus();
      return;
    }
    const home = shown.find((group) => group.key === at || group.members.some((one) => one.id === at));
    if (!home) at = keyOf(shown[0]);
    else if (at !== home.key && home.members.length > 1) opened.add(home.key);
    else if (home.members.length === 1) at = home.members[0].id;
    rows.clear();
    replace(body,
      found.size > shown.length && h("p", { class: "muted alarm-sizes" }, t("alarms.sizes", sizes)),
      h("ul", { class: "alarm-list card flush", "aria-label": t("alarms.title") }, shown.slice(0, most).map((group) => (group.members.length > 1 ? groupRow(group) : row(group.members[0])))),
      shown.length > most && button(t("action.more", { count: shown.length - most }), () => { most += AT_ONCE; drawList(); }, { kind: "quiet" }),
      history,
      may("alarms") && h("p", { class: "alarm-keys muted" }, t("alarms.keys")));
    if (held) focus(at);
  }

  const keyOf = (group) => (group.members.length > 1 ? group.key : group.members[0].id);

  /** The button of a row, which the arrow keys reach. */
  function main(key, attributes, ...children) {
    const element = h("button", { type: "button", class: "alarm-main", tabindex: key === at ? "0" : "-1", ...attributes,
      on: { ...attributes.on, focus: () => { at = key; for (const [id, one] of rows) one.tabIndex = id === at ? 0 : -1; } } }, children);
    rows.set(key, element);
    return element;
  }

  /** Alarms with one trouble: what says it best, how many there are in which state, and they themselves when opened. */
  function groupRow(group) {
    const { members } = group;
    const lead = members.find((one) => one.id === group.lead) ?? members[0];
    const state = [...OPEN, ...ASIDE, "normal"].find((one) => members.some((member) => member.state === one));
    const active = members.filter((one) => one.active);
    const symbol = symbolOf({ active: active.length > 0, level: active.some((one) => one.level === "alarm") ? "alarm" : "warning" });
    const many = [...OPEN, ...ASIDE, "normal"].map((one) => [one, members.filter((member) => member.state === one).length]).filter(([, count]) => count);
    const open = opened.has(group.key);
    const since = Math.min(...(active.length ? active : members).map((one) => one.since_ms));
    const waiting = members.filter((one) => possible("acknowledge", one));
    const what = main(group.key, { "aria-expanded": String(open), "aria-keyshortcuts": may("alarms") ? "A" : null, data: { group: group.key },
      on: { click: () => toggle(group), keydown: (event) => onGroupKey(event, group) } },
    stateIcon(symbol),
    h("span", { class: "alarm-what" }, h("span", { class: "alarm-text" }, lead.text), h("span", { class: "alarm-where" }, h("strong", {}, group.name), group.path.length > 0 && ` · ${group.path.join(" › ")}`),
      h("span", { class: "alarm-says" }, stateTag({ state }), tag(t(`alarms.priority.${group.priority}`)), h("span", { class: "muted" }, `${t("alarms.members", { count: members.length })}: ${many.map(([one, count]) => `${count} ${t(`alarms.state.${one}`)}`).join(", ")}`))),
    h("time", { title: time(since, "full"), data: { since: since } }, ago(since, now())), icon("next"));
    return h("li", { class: `alarm-group is-${symbol}${open ? " is-open" : ""}` },
      h("div", { class: `alarm-row is-${symbol} ${state}` }, what,
        may("alarms") && waiting.length > 0 && h("span", { class: "alarm-quick" }, button(t(waiting.length > 1 ? "alarms.acknowledge.all" : "alarms.acknowledge", { count: waiting.length }), () => actOnAll(group), { kind: state === "unack-active" ? "primary" : "plain" }))),
      open && h("ul", { class: "alarm-members", "aria-label": lead.text }, members.map(row)));
  }

  function toggle(group, open = !opened.has(group.key)) {
    if (open) opened.add(group.key);
    else opened.delete(group.key);
    at = group.key;
    drawList();
    focus(at);
  }

  function onGroupKey(event, group) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      toggle(group, event.key === "ArrowRight");
      event.preventDefault();
    } else if (event.key.toLowerCase() === "a" && may("alarms") && group.members.some((one) => possible("acknowledge", one))) {
      event.preventDefault();
      void actOnAll(group);
    } else move(event, group.key);
  }

  async function actOnAll(group) {
    at = group.key;
    if (await askForAll(context, group, group.members.filter((one) => possible("acknowledge", one)), causes)) await load();
    focus(at);
  }

  function row(alarm) {
    const what = main(alarm.id, { data: { alarm: alarm.id }, "aria-keyshortcuts": may("alarms") ? "A C S O" : null,
      on: { click: () => void details(alarm), keydown: (event) => onKey(event, alarm) } },
    stateIcon(symbolOf(alarm)),
    h("span", { class: "alarm-what" }, h("span", { class: "alarm-text" }, alarm.text), h("span", { class: "alarm-where" }, h("strong", {}, alarm.name), alarm.path.length > 0 && ` · ${alarm.path.join(" › ")}`), h("span", { class: "alarm-says" }, stateTag(alarm), tag(t(`alarms.priority.${alarm.priority}`)), h("span", { class: "muted" }, says(alarm)))),
    h("time", { title: time(alarm.since_ms, "full"), data: { since: alarm.since_ms } }, ago(alarm.since_ms, now())));
    const quick = possible("acknowledge", alarm) ? "acknowledge" : possible("unshelve", alarm) ? "unshelve" : possible("in", alarm) ? "in" : null;
    return h("li", { class: `alarm-row is-${symbolOf(alarm)} ${alarm.state}` }, what,
      may("alarms") && quick && h("span", { class: "alarm-quick" }, button(t(`alarms.${quick}`), () => act(quick, alarm), { kind: alarm.state === "unack-active" ? "primary" : "plain" })));
  }

  function stateTag(alarm) {
    return h("span", { class: `alarm-state ${OPEN.includes(alarm.state) ? "" : "aside"}` }, t(`alarms.state.${alarm.state}`));
  }

  function says(alarm) {
    if (alarm.acknowledged) return t("alarms.by", { who: alarm.acknowledged.who, time: time(alarm.acknowledged.when) });
    if (alarm.shelved_until_ms) return [t("alarms.until", { time: time(alarm.shelved_until_ms) }), alarm.held_why].join(" · ");
    if (alarm.review_ms) return [t(alarm.due ? "alarms.review.due" : "alarms.review", { time: time(alarm.review_ms, "day") }), alarm.held_why].join(" · ");
    return alarm.cleared_ms ? `${t("alarms.cleared")} ${time(alarm.cleared_ms)}` : "";
  }

  function onKey(event, alarm) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const home = groups.find((group) => group.members.length > 1 && group.members.includes(alarm));
    if (event.key === "ArrowLeft" && home) {
      toggle(home, false);
      event.preventDefault();
      return;
    }
    if (move(event, alarm.id)) return;
    const name = KEYS[event.key.toLowerCase()];
    if (!name || !may("alarms") || !possible(name, alarm)) return;
    event.preventDefault();
    void act(name, alarm);
  }

  /** To the next or last row, as a key says. Returns whether it was such a key. */
  function move(event, key) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step && event.key !== "Home" && event.key !== "End") return false;
    const ids = [...rows.keys()];
    const next = event.key === "Home" ? 0 : event.key === "End" ? ids.length - 1 : ids.indexOf(key) + step;
    if (ids[next] !== undefined) focus(ids[next]);
    event.preventDefault();
    return true;
  }

  function focus(id) {
    const element = rows.get(id) ?? rows.values().next().value;
    element?.focus();
    element?.scrollIntoView({ block: "nearest" });
  }

  async function act(name, alarm) {
    at = alarm.id;
    const ids = [...rows.keys()];
    const below = ids[ids.indexOf(alarm.id) + 1] ?? ids[ids.indexOf(alarm.id) - 1];
    const changed = await ask(context, name, alarm, causes);
    if (changed) {
      await load();
      if (!list.some((one) => one.id === alarm.id)) at = below ?? null;
    }
    focus(at);
  }

  async function details(alarm) {
    const chosen = await detail(context, alarm, causes, (name) => possible(name, alarm));
    if (chosen === "node") return navigate(`#/node/${encodeURIComponent(alarm.node)}`);
    if (chosen) await act(chosen, alarm);
    else focus(alarm.id);
  }

  const soon = later(() => void load().catch(() => {}), 200, 1_000);
  const stops = [live("alarm", soon), live("anew", soon)];
  const clock = setInterval(() => { for (const row of rows.values()) { const when = row.querySelector("time"); when?.replaceChildren(ago(Number(when.dataset.since), now())); } }, 15_000);
  await load();
  await draw();
  if (query.alarm && rows.has(at)) focus(at);
  return () => { for (const stop of stops) stop(); soon.stop(); clearInterval(clock); };
}

