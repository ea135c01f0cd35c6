// Alarms by the states of ISA-18.2: the worst first, dealt with by keyboard alone, and what they were of.

import { h, icon, later, replace } from "../dom.js";
import { button, chips, empty, heading, loading, stateIcon, tag } from "../parts.js";
import { now } from "../plant.js";
import { setSound, soundIsOn } from "../sound.js";
import { ago, currentLanguage, time } from "../words.js";
import { ask, detail } from "./alarms_dialogs.js";
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
  let counts = {};
  let causes = [];
  let most = AT_ONCE;
  let at = Number(query.alarm) || null; // the row that has the focus, or had it
  const rows = new Map();

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
    counts = answer.counts;
    causes = answer.causes;
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
    const found = matches();
    said.textContent = query.q ? t("alarms.count", { count: found.length }) : "";
    const held = body.contains(document.activeElement);
    if (!found.length) {
      replace(body, query.q || query.node
        ? empty(t("alarms.nothing"), t("alarms.nothing.text"), { symbol: "search" })
        : empty(t("alarms.none"), (query.show ?? "open") === "open" ? t("alarms.none.text") : "", { symbol: "ok" }));
      if (held) root.querySelector("h1").focus();
      return;
    }
    if (!found.some((one) => one.id === at)) at = found[0].id;
    rows.clear();
    replace(body,
      h("ul", { class: "alarm-list card flush", "aria-label": t("alarms.title") }, found.slice(0, most).map(row)),
      found.length > most && button(t("action.more", { count: found.length - most }), () => { most += AT_ONCE; drawList(); }, { kind: "quiet" }),
      may("alarms") && h("p", { class: "alarm-keys muted" }, t("alarms.keys")));
    if (held) focus(at);
  }

  function row(alarm) {
    const what = h("button", { type: "button", class: "alarm-main", tabindex: alarm.id === at ? "0" : "-1", data: { alarm: alarm.id }, "aria-keyshortcuts": may("alarms") ? "A C S O" : null,
      on: { click: () => void details(alarm), focus: () => { at = alarm.id; for (const [id, one] of rows) one.tabIndex = id === at ? 0 : -1; }, keydown: (event) => onKey(event, alarm) } },
    stateIcon(symbolOf(alarm)),
    h("span", { class: "alarm-what" }, h("span", { class: "alarm-text" }, alarm.text), h("span", { class: "alarm-where" }, h("strong", {}, alarm.name), alarm.path.length > 0 && ` · ${alarm.path.join(" › ")}`), h("span", { class: "alarm-says" }, stateTag(alarm), tag(t(`alarms.priority.${alarm.priority}`)), h("span", { class: "muted" }, says(alarm)))),
    h("time", { title: time(alarm.since_ms, "full") }, ago(alarm.since_ms, now())));
    rows.set(alarm.id, what);
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
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step || event.key === "Home" || event.key === "End") {
      const ids = [...rows.keys()];
      const next = event.key === "Home" ? 0 : event.key === "End" ? ids.length - 1 : ids.indexOf(alarm.id) + step;
      if (ids[next] !== undefined) focus(ids[next]);
      event.preventDefault();
      return;
    }
    const name = KEYS[event.key.toLowerCase()];
    if (!name || !may("alarms") || !possible(name, alarm)) return;
    event.preventDefault();
    void act(name, alarm);
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
  const clock = setInterval(() => { for (const one of list) rows.get(one.id)?.querySelector("time")?.replaceChildren(ago(one.since_ms, now())); }, 15_000);
  await load();
  await draw();
  if (query.alarm && rows.has(at)) focus(at);
  return () => { for (const stop of stops) stop(); soon.stop(); clearInterval(clock); };
}

