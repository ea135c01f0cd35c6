// Reports: #/reports/energy, availability, control, life. Each figure opens the records behind it.

import { address } from "../api.js";
import { h, icon, later, replace } from "../dom.js";
import { button, card, dialog, empty, failed, heading, loading, rangeLength, rangePicker, table, tabs } from "../parts.js";
import { now } from "../plant.js";
import { byName, currentLanguage, time } from "../words.js";
import { reportChart } from "./reports_charts.js";
import { words } from "./reports_words.js";

export { words };
export const styles = true;

const KINDS = ["energy", "availability", "control", "life"];
const OF_ONE = ["control", "life"];
const QUANTITIES = ["velocity_mm_s", "rms_g", "envelope_g", "peak_g", "kurtosis", "crest", "temperature_c"];
const ROWS = 12;

export async function show(root, context, wanted = "energy") {
  const { t, api, plant, query, setQuery } = context;
  const kind = KINDS.includes(wanted) ? wanted : "energy";
  const ofOne = OF_ONE.includes(kind);
  context.title(t(`reports.${kind}`));
  const rows = [...plant.nodes.values()].filter((row) => row.role !== "gateway").sort((a, b) => byName(a.topic, b.topic));
  const kept = new URLSearchParams(Object.entries(query)).toString();
  const body = h("div", { class: "stack", "aria-live": "off" });
  const side = h("div", { class: "row" });
  const filter = h("div", { class: "card report-filter" });
  replace(root, heading(t("reports.title"), side),
    tabs(t("reports.kinds"), KINDS.map((key) => ({ key, href: `#/reports/${key}${kept ? `?${kept}` : ""}`, text: t(`reports.${key}`) })), kind), filter, body);
  root.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  if (!rows.length) {
    filter.remove();
    return void replace(body, empty(t("reports.none"), t("reports.none.text"), { symbol: "search" }));
  }

  let ends = []; // of the charts that are shown
  let turn = 0;
  let end = null; // of the report's time; null: now
  const pick = (label, element) => h("label", { class: "report-pick" }, h("span", {}, label), element);
  const whom = ofOne ? oneNode() : someNodes();
  const feature = ofOne && h("select", { on: { change: () => { setQuery({ quantity: feature.value === "velocity_mm_s" ? null : feature.value }); void draw(); } } },
    QUANTITIES.map((key) => h("option", { value: key, selected: key === (query.quantity ?? "velocity_mm_s") }, t(`reports.q.${key}`))));
  const limit = kind === "life" && h("input", { type: "number", step: "any", min: "0", value: query.limit ?? "", on: { input: later(() => { setQuery({ limit: limit.value || null }); void draw(); }, 500) } });
  const range = rangePicker({ value: query.range ?? "month", ranges: ["day", "week", "month"], change: (value) => { setQuery({ range: value === "month" ? null : value }); end = null; void draw(); } });
  const period = h("span", { class: "report-period", role: "status" });
  const next = button("", () => move(1), { kind: "quiet", symbol: "next", label: t("reports.later") });
  replace(filter, pick(t(ofOne ? "reports.node" : "reports.of"), whom), feature && pick(t("reports.quantity"), feature), limit && pick(t("reports.limit"), limit),
    h("div", { class: "report-when" }, range.element, h("div", { class: "row" }, button("", () => move(-1), { kind: "quiet", symbol: "back", label: t("reports.earlier") }), period, next)));

  function oneNode() {
    const chosen = rows.find((row) => row.topic === query.node)?.topic ?? rows[0].topic;
    const element = h("select", { on: { change: () => { setQuery({ node: element.value }); void draw(); } } },
      rows.map((row) => h("option", { value: row.topic, selected: row.topic === chosen }, `${row.name} (${row.path.join(" › ")})`)));
    return element;
  }

  function someNodes() {
    const places = [...new Set(rows.flatMap((row) => row.path.map((_, depth) => row.path.slice(0, depth + 1).join("/"))))];
    const current = query.topic ? `t${query.topic}` : query.node ? `n${query.node}` : "";
    const option = (value, text) => h("option", { value, selected: value === current }, text);
    const element = h("select", { on: { change: () => { setQuery({ topic: element.value[0] === "t" ? element.value.slice(1) : null, node: element.value[0] === "n" ? element.value.slice(1) : null }); void draw(); } } },
      option("", t("reports.all")),
      h("optgroup", { label: t("reports.places") }, places.map((place) => option(`t${place}`, place.split("/").join(" › ")))),
      h("optgroup", { label: t("reports.nodes") }, rows.map((row) => option(`n${row.topic}`, `${row.name} (${row.path.join(" › ")})`))));
    return element;
  }

  function move(by) {
    const length = rangeLength(query.range ?? "month");
    const until = (end ?? now()) + by * length;
    end = until >= now() - 60_000 ? null : until;
    void draw();
  }

  function asked() {
    const length = Math.min(rangeLength(query.range ?? "month"), 100 * 86_400_000);
    const until_ms = Math.round(end ?? now());
    const node = ofOne ? whom.value : query.node;
    return { since_ms: until_ms - length, until_ms, nodes: node ?? null, topic: ofOne ? null : query.topic, quantity: ofOne ? feature.value : null,
      limit: limit && limit.value ? limit.value : null, language: currentLanguage() };
  }

  const stopped = () => { for (const stop of ends) stop(); ends = []; };

  async function draw() {
    const mine = (turn += 1);
    const question = asked();
    period.textContent = t("reports.period", { from: time(question.since_ms, "day"), until: time(question.until_ms, "day") });
    next.disabled = end === null;
    replace(body, loading(4));
    replace(side);
    try {
      const found = await api(`reports/${kind}`, { query: question });
      if (mine !== turn) return;
      replace(side, file("pdf", question, t("reports.pdf"), t("reports.pdf.label")), file("csv", question, t("reports.csv"), t("reports.csv.main")));
      await fill(found, question, mine);
    } catch (error) {
      if (mine !== turn || error?.status === 401) return;
      stopped();
      replace(body, error?.status === 400 ? empty(error.message, "", { symbol: "search" }) : failed(error, () => void draw()));
    }
  }

  /** A link to the report as a file; the browser keeps it. */
  function file(ending, question, text, label, part = null) {
    const search = new URLSearchParams(Object.entries({ ...question, table: part }).filter(([, value]) => value !== null && value !== undefined && value !== ""));
    return h("a", { class: "button plain", href: `${address(`reports/${kind}.${ending}`)}?${search}`, download: true, "aria-label": label, title: label }, icon("download"), h("span", {}, text));
  }

  async function fill(found, question, mine) {
    stopped();
    const subjects = [...new Set(found.figures.map((one) => one.subject))];
    const parts = [];
    for (const subject of subjects) {
      const name = subject.split("/").at(-1);
      const place = h("div", { class: "stack" });
      parts.push(h("section", { class: "card", "aria-label": name },
        h("div", { class: "report-head" }, h("h2", { class: "report-machine" }, name), h("span", { class: "muted" }, subject.split("/").slice(0, -1).join(" › "))),
        h("div", { class: "report-figures" }, found.figures.filter((one) => one.subject === subject).map(figure)), place));
      for (const one of found.charts.filter((chart) => chart.subject === subject || (!chart.subject && subjects.length === 1))) {
        const drawn = await reportChart(context, one, name);
        if (mine !== turn) return void drawn.end();
        ends.push(drawn.end);
        place.append(h("h3", {}, one.title), drawn.element);
      }
    }
    replace(body, parts, found.tables.map((one) => sheet(one, question)),
      found.notes.length > 0 && card(t("reports.notes"), h("ul", { class: "report-notes" }, found.notes.map((text) => h("li", {}, text)))),
      h("details", { class: "card" }, h("summary", {}, t("reports.definitions")), h("ul", { class: "report-notes" }, found.definitions.map((text) => h("li", {}, text)))));
  }

  /** A figure with its value or why there is none; a click opens the records behind it. */
  function figure(one) {
    const known = one.value !== null || (one.low !== null && one.why === null);
    const content = [h("span", { class: "report-title" }, one.title),
      h("span", { class: known ? "report-value" : "report-why" }, one.text)];
    if (!one.records.length) return h("div", { class: "report-figure" }, content);
    return h("button", { type: "button", class: "report-figure", "aria-label": `${t("reports.value", { title: one.title, text: one.text })}. ${t("reports.behind.label", { title: one.title })}`,
      on: { click: () => void behind(one.title, one.records) } }, content, h("span", { class: "report-more" }, t("reports.behind"), icon("next")));
  }

  function sheet(one, question) {
    const columns = one.columns.map((column, at) => ({ key: column.key, title: column.unit && column.kind !== "seconds" ? `${column.title} (${column.unit})` : column.title, main: at === 0,
      number: ["number", "seconds"].includes(column.kind), cell: (row) => row.cells[at] }));
    columns.push({ key: "records", title: "", cell: (row) => row.records.length > 0 && button(t("reports.behind"), () => void behind(row.cells[0], row.records), { kind: "quiet", label: t("reports.behind.label", { title: row.cells[0] }) }) });
    const list = table({ caption: one.title, rows: one.rows, most: ROWS, columns });
    return h("section", { class: "card", "aria-label": one.title }, h("div", { class: "report-head" }, h("h2", {}, one.title), file("csv", question, t("reports.csv"), t("reports.csv.label"), one.key)), list.element);
  }

  function behind(title, records) {
    const place = ([boot, seq]) => t("reports.boot", { boot, seq });
    return dialog({ title: t("reports.behind.label", { title }), body: h("ul", { class: "report-records" }, records.map(([topic, first, last, count]) => {
      const row = rows.find((one) => one.topic === topic);
      return h("li", {}, h("strong", {}, topic.split("/").join(" › ")),
        h("dl", { class: "facts" }, [[t("reports.first"), place(first)], [t("reports.last"), place(last)], [t("reports.count"), String(count)]].map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
        row && h("a", { href: `#/node/${row.node}/log`, on: { click: (event) => event.target.closest("dialog").close() } }, t("reports.open")));
    })) });
  }

  await draw();
  return () => { turn += 1; stopped(); };
}
