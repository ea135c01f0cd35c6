// Health: which records are missing and what explains it, what was refused, clocks, lag, room, and security events.

import { h, icon, later, replace } from "../dom.js";
import { badge, button, card, chips, empty, heading, loading, stateIcon, table, tag } from "../parts.js";
import { now } from "../plant.js";
import { ago, byName, number, time } from "../words.js";
import { words } from "./ledger_words.js";
import { users as userWords } from "./users_words.js";

for (const language of ["en", "de"]) Object.assign(words[language], userWords[language]);

export { words };
export const styles = true;

const VIEWS = ["gaps", "refusals", "clocks", "security"];
const SOURCES = ["ingest", "node", "page"];
const AGAIN_MS = 30_000;
const LATE_MS = 300_000; // no record for so long is worth a look
const FULL = 0.1; // of the disk: less than that free is worth one, too
const GAPS = 8;

export async function show(root, context) {
  const { t, api, live, query, setQuery } = context;
  context.title(t("ledger.title"));
  const views = chips({ label: t("ledger.view"), value: query.view ?? "gaps", items: VIEWS.map((key) => ({ key, text: t(`ledger.view.${key}`) })),
    change: (value) => { setQuery({ view: value === "gaps" ? null : value, source: null, what: null, reason: null }); void draw(); } });
  const whole = h("div", { class: "health-tiles" });
  const body = h("div", { class: "stack" });
  replace(root, heading(t("ledger.title")), whole, h("div", { class: "health-views" }, views.element), body);
  replace(whole, loading(1));

  async function drawHealth() {
    const found = await api("health");
    const tile = (name, value, help = "", state = "") => h("div", { class: `health-tile${state ? ` is-${state}` : ""}` }, h("p", { class: "muted" }, name), h("p", { class: "health-value" }, state && stateIcon(state, t(`state.${state}`)), value), help && h("p", { class: "muted" }, help));
    const late = found.received_ms !== null && found.now_ms - found.received_ms > LATE_MS;
    const full = found.disk_free_bytes < FULL * found.disk_bytes;
    replace(whole,
      tile(t("ledger.received"), found.received_ms === null ? t("time.never") : ago(found.received_ms, now()), found.received_ms === null ? "" : time(found.received_ms, "full"), late ? "warning" : "ok"),
      tile(t("ledger.delay"), duration(found.delay_ms, t), t("ledger.delay.help")),
      tile(t("ledger.disk"), bytes(found.disk_free_bytes), t("ledger.of", { whole: bytes(found.disk_bytes) }), full ? "warning" : "ok"),
      tile(t("ledger.engine"), bytes(found.store_bytes), `${found.engine} · ${number(found.records, 9)} ${t("ledger.records")}`),
      tile(t("ledger.version"), found.version, `Python ${found.python}`));
  }

  const DRAW = { gaps: drawGaps, refusals: drawRefusals, clocks: drawClocks, security: drawSecurity };
  let turn = 0;

  async function draw(quiet = false) {
    const mine = (turn += 1);
    if (!quiet) replace(body, loading(3));
    const made = await DRAW[VIEWS.includes(query.view) ? query.view : "gaps"]();
    if (mine === turn) replace(body, made);
  }

  async function drawGaps() {
    const { made_ms, accounts, strangers } = await api("ledger");
    const lost = accounts.reduce((sum, one) => sum + one.unexplained, 0);
    const records = accounts.reduce((sum, one) => sum + one.received, 0);
    const plain = (key, title, value = (one) => one[key]) => ({ key, title: t(title), number: true, sort: value, cell: (one) => value(one) ? number(value(one), 9) : "" });
    const sheet = table({ caption: t("ledger.gaps"), most: 50, rows: [...accounts].sort((a, b) => b.unexplained - a.unexplained || byName(a.topic, b.topic)),
      open: (one) => `#/node/${encodeURIComponent(one.id)}`, rowClass: (one) => (one.unexplained ? "is-alarm lost" : null), columns: [
        { key: "node", title: t("ledger.node"), main: true, sort: (one) => one.topic, cell: (one) => one.topic.split("/").at(-1) },
        { key: "unexplained", title: t("ledger.unexplained"), number: true, sort: (one) => one.unexplained, cell: (one) => (one.unexplained ? h("strong", { class: "lost-count" }, stateIcon("alarm"), number(one.unexplained, 9)) : t("ledger.none")) },
        plain("waiting", "ledger.behind"), plain("dropped", "ledger.dropped"), plain("lost_in_ram", "ledger.ram"), plain("deleted", "ledger.deleted"),
        plain("duplicates", "ledger.duplicates"), plain("refused", "ledger.refused", (one) => Object.values(one.refused).reduce((sum, count) => sum + count, 0)), plain("received", "ledger.records"),
        { key: "boots", title: t("ledger.boots"), number: true, cell: (one) => one.boots && (one.boots[0] === one.boots[1] ? String(one.boots[0]) : t("ledger.boots.span", { first: one.boots[0], last: one.boots[1] })) },
      ] });
    const gappy = accounts.filter((one) => one.gaps.length);
    return [
      lost > 0 && h("section", { class: "card is-alarm health-lost", "aria-labelledby": "lost" }, h("h2", { id: "lost" }, stateIcon("alarm"), t("ledger.gaps.some", { count: number(lost, 9) })),
        h("ul", { class: "health-gaps" }, gappy.map((one) => h("li", {}, h("strong", {}, one.topic.split("/").at(-1)), " · ", one.gaps.slice(0, GAPS).map(gapText).join(" · "), one.gaps.length > GAPS && ` · ${t("ledger.gap.more", { count: one.gaps.length - GAPS })}`)))),
      card(t("ledger.gaps"), !lost && badge("ok", t("ledger.gaps.none")), h("p", { class: "muted" }, t("ledger.gaps.text", { count: accounts.length, records: number(records, 9), time: time(made_ms) })), sheet.element, h("p", { class: "muted" }, t("ledger.explain"))),
      strangers.length > 0 && card(t("ledger.strangers"), h("ul", { class: "health-gaps" }, strangers.map((one) => h("li", {}, h("strong", {}, one.id || t("ledger.nobody")), " · ", Object.entries(one.refused).map(([reason, count]) => `${reasonText(reason)}: ${count}`).join(" · "))))),
    ];
  }

  function gapText({ boot, first, last }) {
    if (last === null) return t("ledger.gap.all", { boot });
    return t(first === last ? "ledger.gap.one" : "ledger.gap", { boot, first, last });
  }

  function reasonText(reason) {
    const keys = [`ledger.reason.${reason}`, `audit.kind.${reason.replaceAll(" ", "-")}`];
    const known = keys.find((key) => t(key) !== key);
    return known ? t(known) : reason;
  }

  async function drawRefusals() {
    const { refusals } = await api("refusals", { query: { limit: 1000 } });
    if (!refusals.length) return card("", empty(t("ledger.refusals.none"), t("ledger.refusals.text"), { symbol: "ok" }));
    const reasons = [...new Set(refusals.map((one) => one.reason))].sort();
    const sheet = table({ caption: t("ledger.view.refusals"), rows: [], most: 100, columns: [
      { key: "node", title: t("ledger.node"), main: true, sort: (one) => one.name || one.node, cell: (one) => one.name || one.node || t("ledger.nobody") },
      { key: "reason", title: t("ledger.reason"), sort: (one) => one.reason, cell: (one) => reasonText(one.reason) },
      { key: "count", title: t("ledger.times"), number: true, sort: (one) => one.count, cell: (one) => number(one.count, 9) },
      { key: "last", title: t("ledger.last"), sort: (one) => one.last_ms, cell: (one) => h("time", { title: time(one.last_ms, "full") }, time(one.last_ms)) },
      { key: "first", title: t("ledger.first"), sort: (one) => one.first_ms, cell: (one) => time(one.first_ms) },
      { key: "detail", title: t("ledger.detail"), cell: (one) => one.detail },
    ] });
    const filter = () => sheet.update(refusals.filter((one) => !query.reason || one.reason === query.reason));
    filter();
    return card(t("ledger.view.refusals"), chips({ label: t("ledger.reason"), value: query.reason ?? "", change: (value) => { setQuery({ reason: value }); filter(); },
      items: [{ key: "", text: t("ledger.all"), count: refusals.length }, ...reasons.map((key) => ({ key, text: reasonText(key), count: refusals.filter((one) => one.reason === key).length }))] }).element, sheet.element);
  }

  async function drawClocks() {
    const { machine, nodes } = await api("clocks");
    if (!nodes.length) return card("", empty(t("ledger.clocks.none"), "", { symbol: "clock" }));
    const sheet = table({ caption: t("ledger.clocks.nodes"), most: 50, rows: nodes, open: (one) => `#/node/${encodeURIComponent(one.node)}`, columns: [
      { key: "node", title: t("ledger.node"), main: true, sort: (one) => one.topic, cell: (one) => one.topic.split("/").at(-1) },
      { key: "set", title: t("ledger.dated"), sort: (one) => Number(one.set), cell: (one) => badge(one.set ? "ok" : "warning", t(one.set ? "ledger.set" : "ledger.notset")) },
      { key: "by_receipt", title: t("ledger.byreceipt"), number: true, sort: (one) => one.by_receipt, cell: (one) => one.by_receipt ? number(one.by_receipt, 9) : "" },
      { key: "uncertain", title: t("ledger.uncertain"), number: true, sort: (one) => one.uncertain_ms, cell: (one) => one.by_receipt ? (one.uncertain_ms === null ? t("ledger.unknown") : duration(one.uncertain_ms, t)) : "" },
      { key: "flagged", title: t("ledger.flagged"), number: true, sort: (one) => one.flagged, cell: (one) => one.flagged || "" },
      { key: "redated", title: t("ledger.redated"), number: true, sort: (one) => one.redated, cell: (one) => one.redated || "" },
    ] });
    const ours = table({ caption: t("ledger.clocks.machine"), most: 20, rows: machine, columns: [
      { key: "last", title: t("ledger.until"), main: true, cell: (one) => (one.last_ms ? time(one.last_ms, "full") : "–") },
      { key: "shift", title: t("ledger.shift"), number: true, cell: (one) => one.shift_ms ? duration(Math.abs(one.shift_ms), t) : t("ledger.none") },
      { key: "uncertain", title: t("ledger.uncertain"), number: true, cell: (one) => one.uncertain_ms === null ? t("ledger.unknown") : duration(one.uncertain_ms, t) },
      { key: "vouched", title: t("ledger.vouched"), cell: (one) => t(one.vouched ? "ledger.yes" : "ledger.no") },
    ] });
    return [card(t("ledger.clocks.nodes"), sheet.element), machine.length > 0 && card(t("ledger.clocks.machine"), h("p", { class: "muted" }, t("ledger.clocks.text")), ours.element)];
  }

  async function drawSecurity() {
    const asked = () => ({ source: query.source, what: query.what, limit: 200 });
    const { events, kinds, forwarding } = await api("security", { query: asked() });
    let list = events;
    const rows = h("ol", { class: "security" });
    const more = h("div", {});
    const search = h("input", { type: "search", placeholder: t("ledger.search"), "aria-label": t("ledger.search"), autocomplete: "off", value: query.q ?? "", on: { input: later(() => { setQuery({ q: search.value.trim() }); fill(); }, 120) } });
    const choice = (name, label, options) => {
      const element = h("select", { "aria-label": label, on: { change: () => { setQuery({ [name]: element.value }); void draw(true); } } }, options.map(([value, text]) => h("option", { value, selected: value === (query[name] ?? "") }, text)));
      return element;
    };
    function fill() {
      const words = (query.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
      const found = list.filter((one) => { const text = `${one.name} ${one.node} ${one.who} ${one.what} ${one.detail}`.toLowerCase(); return words.every((word) => text.includes(word)); });
      replace(rows, found.map(line));
      replace(more, list.length > 0 && list.length % 200 === 0 && button(t("ledger.older"), async () => {
        const older = await api("security", { query: { ...asked(), before: list.at(-1).number } });
        list = [...list, ...older.events];
        fill();
        if (!older.events.length) replace(more);
      }, { kind: "quiet" }), !found.length && empty(t("ledger.security.none"), words.length || query.source || query.what ? "" : t("ledger.security.text"), { symbol: "ok" }));
    }
    fill();
    const whats = [...new Set(kinds.filter((kind) => !query.source || kind.source === query.source).map((kind) => kind.what))].sort();
    return card(t("ledger.security"), forwarded(forwarding),
      h("div", { class: "security-filter" }, h("div", { class: "search" }, icon("search"), search),
        choice("source", t("ledger.source"), [["", t("ledger.source.all")], ...SOURCES.map((key) => [key, t(`ledger.source.${key}`)])]),
        choice("what", t("ledger.what"), [["", t("ledger.what.all")], ...whats.map((key) => [key, reasonText(key)])])), rows, more);
  }

  function forwarded(one) {
    if (!one) return h("p", { class: "muted" }, t("ledger.forward.none"));
    return [one.trouble ? badge("warning", t("ledger.forward.waiting", { count: one.waiting, receiver: one.receiver, trouble: one.trouble })) : badge("ok", t("ledger.forward.ok", { receiver: one.receiver })),
      one.dropped > 0 && h("p", { class: "form-error" }, t("ledger.forward.dropped", { count: one.dropped }))];
  }

  function line(one) {
    return h("li", { class: one.level <= 4 ? "is-warning" : "is-ok" }, one.level <= 4 ? stateIcon("warning", t("state.warning")) : icon("check"),
      h("div", {}, h("p", { class: "security-what" }, reasonText(one.what), one.count > 1 && h("span", { class: "muted" }, ` · ${t("ledger.count", { count: one.count })}`)),
        h("p", { class: "muted security-who" }, [one.name || one.node, one.who, one.detail].filter(Boolean).join(" · "))),
      h("div", { class: "security-side" }, tag(t(`ledger.source.${one.source}`)), h("time", { class: "muted", title: time(one.at_ms, "full") }, time(one.at_ms))));
  }

  const soon = later(() => void Promise.all([drawHealth(), (query.view ?? "gaps") === "security" ? null : draw(true)]).catch(() => {}), 500, 2_000);
  const stops = [live("health", soon), live("anew", soon)];
  const timer = setInterval(() => { if (!document.hidden) void drawHealth().catch(() => {}); }, AGAIN_MS);
  await Promise.all([drawHealth(), draw()]);
  return () => { for (const stop of stops) stop(); soon.stop(); clearInterval(timer); };
}

function bytes(size) {
  if (size === null || size === undefined) return "–";
  const step = size <= 0 ? 0 : Math.min(4, Math.floor(Math.log10(size) / 3));
  return `${number(size / 1000 ** step)}\u202f${["B", "kB", "MB", "GB", "TB"][step]}`;
}

function duration(ms, t) {
  if (ms === null || ms === undefined) return "–";
  const seconds = ms / 1_000;
  if (seconds < 120) return t("ledger.seconds", { seconds: number(seconds) });
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return t("ledger.minutes", { minutes });
  if (minutes < 48 * 60) return t("ledger.hours", { hours: Math.floor(minutes / 60), minutes: minutes % 60 });
  return t("ledger.days", { days: Math.floor(minutes / 1440), hours: Math.floor((minutes % 1440) / 60) });
}
