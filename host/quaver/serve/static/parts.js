// The small components that every screen is made of. Each returns an element, or {element, …} where it changes later.
//
// A screen is a module screens/NAME.js:
//   export const styles = true;                       // where it has a sheet screens/NAME.css
//   export const words = { en: { "NAME.title": "…" }, de: { … } };
//   export async function show(root, context, ...args) { …; return () => {/* ends what it started */}; }
// context: see app.js. The hash #/NAME/a/b?c=d calls show(root, context, "a", "b") with context.query = {c: "d"}.

import { h, icon, replace, unique } from "./dom.js";
import { byName, t } from "./words.js";

const SYMBOLS = { ok: "ok", warning: "warning", alarm: "alarm", gone: "gone", offline: "offline", unknown: "unknown", note: "note" };

/** A state by shape and colour ("note": of none), without a word: for where the word stands beside it, or in label. */
export function stateIcon(state, label = "") {
  const symbol = icon(SYMBOLS[state] ?? "unknown", label);
  symbol.classList.add("state", `is-${SYMBOLS[state] ? state : "unknown"}`);
  return symbol;
}

/** A state by shape, colour and word. state: ok, warning, alarm, gone, offline, unknown. text: in place of its word. */
export function badge(state, text = t(`state.${state}`)) {
  return h("span", { class: `badge is-${SYMBOLS[state] ? state : "unknown"}` }, stateIcon(state), h("span", {}, text));
}

/** A small label without a state: a role, a version. */
export function tag(text, symbol = "") {
  return h("span", { class: "tag" }, symbol && icon(symbol), h("span", {}, text));
}

/** kind: "primary", "plain", "danger" or "quiet". A click that returns a promise makes it busy until then, and what
 *  the promise raises becomes a toast. */
export function button(text, click, { kind = "plain", symbol = "", label = null, disabled = false, pressed = null } = {}) {
  const element = h("button", {
    type: "button", class: `button ${kind}${text ? "" : " only-icon"}`, "aria-label": label, title: text ? null : label, disabled,
    "aria-pressed": pressed === null ? null : String(pressed),
    on: { click: async (event) => {
      const result = click?.(event);
      if (!(result instanceof Promise)) return;
      element.disabled = true;
      element.setAttribute("aria-busy", "true");
      try {
        await result;
      } catch (error) {
        toast(errorText(error), "alarm");
      } finally {
        element.disabled = false;
        element.removeAttribute("aria-busy");
      }
    } },
  }, symbol && icon(symbol), text && h("span", {}, text));
  return element;
}

/** The one line of what went wrong. */
export function errorText(error) {
  if (error?.status === undefined) return t("error.code", { text: error?.message ?? String(error) });
  return error.message || (error.status ? t("error.status", { status: error.status }) : t("error.network"));
}

/** The screen's heading. side: what stands at its right: buttons, a badge. */
export function heading(text, ...side) {
  return h("div", { class: "heading" }, h("h1", { tabindex: "-1" }, text), side.length ? h("div", { class: "side" }, side) : null);
}

/** A panel with a heading of its own. */
export function card(title, ...children) {
  const id = unique();
  return h("section", { class: "card", "aria-labelledby": title ? id : null }, title && h("h2", { id }, title), children);
}

/** What stands where nothing is. action: a button or a link. */
export function empty(title, text = "", { symbol = "check", action = null } = {}) {
  return h("div", { class: "empty" }, icon(symbol), h("p", { class: "empty-title" }, title), text && h("p", {}, text), action);
}

/** A grey place for what still loads. */
export function loading(rows = 3) {
  return h("div", { class: "loading", role: "status", "aria-label": t("shell.loading") },
    Array.from({ length: rows }, () => h("div", { class: "bone" })));
}

/** What stands in place of a screen that could not load. */
export function failed(error, again) {
  return h("div", { class: "empty is-alarm", role: "alert" }, stateIcon("alarm"), h("p", { class: "empty-title" }, errorText(error)),
    again && button(t("error.retry"), again, { kind: "primary" }));
}

/** A table that becomes a list of cards on a phone.
 *  columns: [{key, title, cell: (row) => text or element, number: true (to the right), sort: (row) => value, main: true
 *  (the card's head)}]. caption: what a screen reader calls it. open: (row) => hash, makes the main column a link.
 *  rowClass: (row) => class. most: rows at once; a button shows more. Returns {element, update(rows)}. */
export function table({ columns, caption, rows = [], open = null, rowClass = null, most = 100, nothing = null, sort = null, descending = false }) {
  let shown = most;
  let current = rows;
  let by = sort;
  let down = descending;
  const head = h("tr", {});
  const body = h("tbody", {});
  const sheet = h("table", { class: "table" }, h("caption", { class: "unseen" }, caption), h("thead", {}, head), body);
  const foot = h("div", { class: "table-foot" });
  const element = h("div", { class: "table-wrap" }, sheet, foot);

  function drawHead() {
    replace(head, columns.map((column) => {
      const order = by === column.key ? (down ? "descending" : "ascending") : null;
      if (!column.sort) return h("th", { scope: "col", class: column.number ? "number" : null }, column.title);
      return h("th", { scope: "col", class: column.number ? "number" : null, "aria-sort": order },
        h("button", { type: "button", class: "sort", title: t("table.sort", { column: column.title }), on: { click: () => {
          down = by === column.key ? !down : Boolean(column.number);
          by = column.key;
          drawHead();
          draw();
        } } }, column.title));
    }));
  }

  function draw() {
    const sorter = columns.find((column) => column.key === by)?.sort;
    let list = current;
    if (sorter) {
      const sign = down ? -1 : 1;
      list = [...current].sort((a, b) => {
        const [x, y] = [sorter(a), sorter(b)];
        if (x === y) return 0;
        if (x === null || x === undefined) return 1;
        if (y === null || y === undefined) return -1;
        return (typeof x === "string" ? byName(x, y) : x - y) * sign;
      });
    }
    replace(body, list.slice(0, shown).map((row) => h("tr", { class: rowClass?.(row) ?? null }, columns.map((column) => {
      let content = column.cell ? column.cell(row) : row[column.key];
      if (column.main && open) content = h("a", { href: open(row) }, content);
      const nothingIn = content === null || content === undefined || content === "";
      const classes = [column.number && "number", column.main && "main", nothingIn && "nothing"].filter(Boolean).join(" ");
      return h(column.main ? "th" : "td", { scope: column.main ? "row" : null, class: classes || null, data: { title: column.title } }, nothingIn ? "–" : content);
    }))));
    sheet.hidden = !list.length;
    replace(foot,
      !list.length && (nothing ?? h("p", { class: "muted" }, t("table.empty"))),
      list.length > shown && button(t("action.more", { count: Math.min(most, list.length - shown) }), () => { shown += most; draw(); }, { kind: "quiet" }));
  }

  drawHead();
  draw();
  return { element, update(rows) { current = rows; draw(); } };
}

/** Chips of which one holds, or several. items: [{key, text, symbol, count}]. value: a key, or a Set of them where
 *  `several`. change: called with the new value. Returns {element, update(items, value)}. */
export function chips({ label, items, value, several = false, change }) {
  const element = h("div", { class: "chips", role: "group", "aria-label": label });
  let now = value;
  function draw(list) {
    const focused = document.activeElement?.dataset?.key;
    const had = element.contains(document.activeElement);
    replace(element, list.map((item) => h("button", {
      type: "button", class: `chip${item.state ? ` is-${item.state}` : ""}`, data: { key: item.key },
      "aria-pressed": String(several ? now.has(item.key) : now === item.key),
      on: { click: () => {
        if (several) {
          now = new Set(now);
          if (!now.delete(item.key)) now.add(item.key);
        } else now = item.key;
        draw(list);
        change(now);
      } },
    }, item.state ? stateIcon(item.state) : item.symbol && icon(item.symbol), h("span", {}, item.text),
    item.count !== undefined && h("span", { class: "count" }, String(item.count)))));
    if (had) [...element.children].find((one) => one.dataset.key === focused)?.focus();
  }
  draw(items);
  return { element, update(list, next = now) { now = next; draw(list ?? items); } };
}

const RANGES = { hour: 3_600_000, day: 86_400_000, week: 604_800_000, month: 2_678_400_000, year: 31_622_400_000 };

/** How long a range is, in ms. */
export function rangeLength(name) {
  return RANGES[name];
}

/** Hour, day, week, month, year. Returns {element, update(items, value)}. change: called with the range's name. */
export function rangePicker({ value = "day", ranges = Object.keys(RANGES), change }) {
  return chips({ label: t("range.label"), value, change, items: ranges.map((key) => ({ key, text: t(`range.${key}`) })) });
}

/** Links between the parts of a screen. items: [{key, text, href}]. */
export function tabs(label, items, current) {
  return h("nav", { class: "tabs", "aria-label": label }, items.map((item) =>
    h("a", { href: item.href, "aria-current": item.key === current ? "page" : null }, item.text)));
}

/** A window above the page. actions: [{text, kind, value, check: () => bool}]. Resolves to the value of the action,
 *  null where it was closed. */
export function dialog({ title, body, actions = [{ text: t("action.close"), value: null }] }) {
  return new Promise((resolve) => {
    const id = unique();
    let value = null;
    const element = h("dialog", { class: "dialog", "aria-labelledby": id, on: {
      close: () => { element.remove(); resolve(value); },
      click: (event) => { if (event.target === element) element.close(); },
    } },
    h("div", { class: "dialog-body" },
      h("div", { class: "dialog-head" }, h("h2", { id }, title), button("", () => element.close(), { kind: "quiet", symbol: "close", label: t("action.close") })),
      body,
      h("div", { class: "actions" }, actions.map((action) => button(action.text, async () => {
        if (action.check && !(await action.check())) return;
        value = action.value;
        element.close();
      }, { kind: action.kind ?? "plain" })))));
    document.body.append(element);
    element.showModal();
  });
}

/** Asks before something is done. Resolves to true or false. */
export async function confirm(title, text, { yes = t("action.ok"), danger = false } = {}) {
  return (await dialog({ title, body: h("p", {}, text), actions: [
    { text: t("action.cancel"), value: false }, { text: yes, value: true, kind: danger ? "danger" : "primary" },
  ] })) === true;
}

/** A form. fields: [{name, label, type: text|password|number|select|textarea|checkbox|datetime-local, value, required,
 *  help, options: [[value, text]], autocomplete, attributes}]. submit: async (values) => {}; raises an Error for one line
 *  above the fields. check: (values) => {name: "what is wrong"}. Returns {element, values(), fail(text), focus()}. */
export function form({ fields, action, submit, check = null, kind = "primary", extra = null }) {
  const inputs = new Map();
  const notes = new Map();
  const problem = h("p", { class: "form-error", role: "alert" });
  const rows = fields.map((field) => {
    const id = unique("f");
    const common = { id, name: field.name, required: field.required, autocomplete: field.autocomplete, "aria-describedby": `${id}h ${id}e`, ...field.attributes };
    let input;
    if (field.type === "select") {
      input = h("select", common, field.options.map(([value, text]) => h("option", { value, selected: value === field.value }, text)));
    } else if (field.type === "textarea") input = h("textarea", { rows: 3, ...common, value: field.value ?? "" });
    else input = h("input", { type: field.type ?? "text", ...common, ...(field.type === "checkbox" ? { checked: field.value } : { value: field.value ?? "" }) });
    const note = h("p", { id: `${id}e`, class: "field-error" });
    inputs.set(field.name, { input, field });
    notes.set(field.name, note);
    return h("div", { class: `field ${field.type ?? "text"}` }, h("label", { for: id }, field.label), input,
      h("p", { id: `${id}h`, class: "field-help" }, field.help ?? ""), note);
  });
  const values = () => Object.fromEntries([...inputs].map(([name, { input, field }]) => [name,
    field.type === "checkbox" ? input.checked : field.type === "number" ? (input.value === "" ? null : Number(input.value)) : input.value]));
  const send = h("button", { type: "submit", class: `button ${kind}` }, action);
  const element = h("form", { class: "form", novalidate: true, on: { submit: async (event) => {
    event.preventDefault();
    const given = values();
    const wrong = { ...check?.(given) };
    for (const { field, input } of inputs.values()) {
      if (field.required && (given[field.name] === "" || given[field.name] === null)) wrong[field.name] ??= t("error.required");
      else if (!input.checkValidity()) wrong[field.name] ??= input.validationMessage;
    }
    problem.textContent = "";
    for (const [name, { input }] of inputs) {
      notes.get(name).textContent = wrong[name] ?? "";
      input.setAttribute("aria-invalid", String(Boolean(wrong[name])));
    }
    const first = [...inputs].find(([name]) => wrong[name]);
    if (first) {
      if (Object.keys(wrong).length > 1) problem.textContent = t("error.form");
      first[1].input.focus();
      return;
    }
    send.disabled = true;
    send.setAttribute("aria-busy", "true");
    try {
      await submit(given);
    } catch (error) {
      problem.textContent = errorText(error);
    } finally {
      send.disabled = false;
      send.removeAttribute("aria-busy");
    }
  } } }, problem, rows, h("div", { class: "actions" }, extra, send));
  return { element, values, fail(text) { problem.textContent = text; }, focus() { inputs.values().next().value?.input.focus(); } };
}

/** One line that comes and goes at the screen's edge. kind: ok, warning, alarm or "" */
export function toast(text, kind = "") {
  let place = document.querySelector(".toasts");
  if (!place) {
    place = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
    document.body.append(place);
  }
  // one that stands already is not said twice
  for (const other of place.children) if (other.dataset.text === text) other.remove();
  const element = h("div", { class: `toast${kind ? ` is-${kind}` : ""}`, data: { text } }, kind && stateIcon(kind), h("p", {}, text),
    button("", () => element.remove(), { kind: "quiet", symbol: "close", label: t("action.close") }));
  place.append(element);
  setTimeout(() => element.remove(), kind === "alarm" ? 12_000 : 6_000);
}

/** Names and values in two columns. items: [[name, text or element]]; null values are left out. */
export function facts(items) {
  return h("dl", { class: "facts" }, items.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => h("div", { class: typeof value === "string" && !/\s/.test(value) && value.length > 14 ? "long" : null }, h("dt", {}, name), h("dd", {}, value))));
}
