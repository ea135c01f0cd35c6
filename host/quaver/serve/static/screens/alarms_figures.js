// What alarms were of, and how many a person gets: bars with their table, and figures beside those of the standards.

import { h, replace } from "../dom.js";
import { badge, card, chips, empty, loading, rangeLength, rangePicker, table } from "../parts.js";
import { currentLanguage, number } from "../words.js";

const BY = ["cause", "node", "asset", "subject"];
const AT_ONCE = 15;
const SHAPES = { acceptable: "ok", manageable: "warning", "too many": "alarm" };

/** Draws into `body`. open: called with the number of an alarm that somebody wants to see. */
export async function showFigures(body, context, open) {
  const { t, api, query, setQuery } = context;
  const bars = h("div", {});
  const rest = h("div", { class: "stack" });
  const by = chips({ label: t("alarms.pareto.by"), value: query.by ?? "cause", items: BY.map((key) => ({ key, text: t(`alarms.by.${key}`) })), change: (value) => { setQuery({ by: value === "cause" ? null : value }); void drawBars(); } });
  const range = rangePicker({ value: query.range ?? "month", ranges: ["day", "week", "month", "year"], change: (value) => { setQuery({ range: value === "month" ? null : value }); void draw(); } });
  replace(body, h("div", { class: "alarm-figures" }, h("div", { class: "alarm-range" }, range.element), card(t("alarms.pareto"), by.element, bars), rest));
  const span = () => {
    const until_ms = Date.now() + context.plant.ahead_ms + 1;
    return { language: currentLanguage(), since_ms: Math.round(until_ms - Math.min(rangeLength(query.range ?? "month"), 366 * 86_400_000)), until_ms: Math.round(until_ms) };
  };

  async function drawBars() {
    replace(bars, loading(3));
    const { bars: found } = await api("alarms/pareto", { query: { ...span(), by: query.by ?? "cause" } });
    if (!found.length) return void replace(bars, empty(t("alarms.pareto.none"), "", { symbol: "ok" }));
    const most = Math.max(...found.map((bar) => bar.count), 1);
    const sheet = table({ caption: t("alarms.pareto"), most: AT_ONCE, rows: found, columns: [
      { key: "title", title: t(`alarms.by.${query.by ?? "cause"}`), main: true, cell: (bar) => bar.title },
      { key: "count", title: t("alarms.times"), number: true, sort: (bar) => bar.count, cell: (bar) => h("span", { class: "pareto" }, h("span", { class: "pareto-bar", "aria-hidden": "true", style: { "--share": String(bar.count / most) } }), h("span", { class: "pareto-count" }, String(bar.count))) },
      { key: "share", title: t("alarms.share"), number: true, cell: (bar) => `${number(100 * bar.share)}\u00a0%` },
      { key: "cumulative", title: t("alarms.cumulative"), number: true, cell: (bar) => `${number(100 * bar.cumulative)}\u00a0%` },
      { key: "duration", title: t("alarms.duration"), number: true, sort: (bar) => bar.duration_ms, cell: (bar) => duration(bar.duration_ms, t) },
    ] });
    replace(bars, sheet.element, h("p", { class: "muted" }, t("alarms.pareto.counted")));
  }

  async function drawRest() {
    replace(rest, loading(2));
    const { rates, acceptable, stale, chattering } = await api("alarms/figures", { query: span() });
    const [good, most] = acceptable.day;
    const figure = (name, value, limit) => h("div", { class: "alarm-figure" }, h("p", { class: "muted" }, name), h("p", { class: "alarm-value" }, value), limit && h("p", { class: "muted" }, limit));
    replace(rest,
      card(t("alarms.rate"), h("div", { class: "row" }, badge(SHAPES[rates.verdict], t(`alarms.verdict.${rates.verdict}`))),
        h("div", { class: "alarm-numbers" },
          figure(t("alarms.per.day"), number(rates.per_day), t("alarms.per.limits", { good, most })),
          figure(t("alarms.ten"), String(rates.most_in_ten_minutes), t("alarms.ten.limit")),
          figure(t("alarms.floods"), String(rates.floods.length), t("alarms.floods.share", { share: number(100 * rates.flood_share) })),
          figure(t("alarms.top"), `${number(100 * rates.top_share)}\u00a0%`, t("alarms.top.limit", { share: number(100 * rates.top_share) }))),
        h("p", { class: "muted" }, t("alarms.source"))),
      card(t("alarms.stale"), stale.length ? links(stale, (one) => `${one.name} · ${one.text}`) : h("p", { class: "muted" }, t("alarms.stale.none"))),
      card(t("alarms.chatter"), chattering.length
        ? links(chattering.map((one) => ({ id: one.alarm, ...one })), (one) => `${one.name} · ${one.text} · ${t("alarms.chatter.text", { most: one.most, minutes: number(one.within_ms / 60_000), count: one.count })}`)
        : h("p", { class: "muted" }, t("alarms.chatter.none"))));
  }

  function links(list, text) {
    return h("ul", { class: "alarm-links" }, list.slice(0, 20).map((one) => h("li", {}, h("button", { type: "button", class: "button quiet", on: { click: () => open(one.id) } }, text(one)))),
      list.length > 20 && h("li", { class: "muted" }, t("alarms.more", { count: list.length - 20 })));
  }

  const draw = () => Promise.all([drawBars(), drawRest()]);
  await draw();
}

export function duration(ms, t) {
  const minutes = Math.round(ms / 60_000);
  if (minutes < 60) return t("alarms.minutes", { minutes });
  if (minutes < 48 * 60) return t("alarms.hours", { hours: Math.floor(minutes / 60), minutes: minutes % 60 });
  return t("alarms.days", { days: Math.floor(minutes / 1440), hours: Math.floor((minutes % 1440) / 60) });
}

