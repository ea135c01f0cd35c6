// What the node told, newest first.

import { h, replace } from "../../dom.js";
import { button, chips, empty, stateIcon } from "../../parts.js";
import { currentLanguage, time } from "../../words.js";

const AT_ONCE = 100;
const LEVELS = ["alarm", "warning", "ok"];

export async function show(root, context, node) {
  const { t, api, live, query } = context;
  let events = [];
  let level = "all";
  let more = true;
  const list = h("ol", { class: "marks log" });
  const foot = h("div", {});
  const filter = chips({ label: t("log.level"), value: level, items: [{ key: "all", text: t("log.all") }, ...LEVELS.map((key) => ({ key, state: key, text: t(`state.${key}`) }))], change: (value) => { level = value; draw(); } });
  replace(root, h("section", { class: "card" }, filter.element, list, foot));

  function draw() {
    const seen = events.filter((event) => level === "all" || event.level === level);
    replace(list, seen.map((event) => h("li", { class: `is-${event.level ?? "note"}${query.record === `${event.boot}-${event.seq}` ? " found" : ""}` }, event.level ? stateIcon(event.level, t(`state.${event.level}`)) : stateIcon("note"),
      h("time", { title: event.dated_by ? t("log.dated", { by: event.dated_by }) : null }, event.time_ms ? time(event.time_ms) : "–"),
      h("div", {}, h("p", {}, event.text), h("p", { class: "muted small-text", title: event.code }, t("diagnosis.record", { boot: event.boot, seq: event.seq }))))));
    replace(foot, !seen.length && empty(t("log.none")), more && events.length > 0 && button(t("log.older"), older, { kind: "quiet" }));
    list.querySelector(".found")?.scrollIntoView({ block: "center" });
  }

  const newestFirst = (found) => found.sort((a, b) => (b.time_ms ?? 0) - (a.time_ms ?? 0) || b.boot - a.boot || b.seq - a.seq);

  async function load() {
    const found = await api(`nodes/${node.node}/events`, { query: { limit: AT_ONCE, language: currentLanguage() } });
    events = newestFirst(found.events);
    more = found.events.length >= AT_ONCE;
    draw();
  }

  async function older() {
    const last = events.findLast((event) => event.time_ms);
    const found = await api(`nodes/${node.node}/events`, { query: { limit: AT_ONCE, language: currentLanguage(), until_ms: last.time_ms } });
    const known = new Set(events.map((event) => `${event.boot}-${event.seq}`));
    const fresh = found.events.filter((event) => !known.has(`${event.boot}-${event.seq}`));
    more = found.events.length >= AT_ONCE && fresh.length > 0;
    events = newestFirst([...events, ...fresh]);
    draw();
  }

  const stops = [live("record", ({ node: of, kind }) => { if (of === node.node && kind === "event") void load(); }), live("anew", load)];
  await load();
  return () => { for (const stop of stops) stop(); };
}
