// Users, tokens and the audit trail: #/users, #/users/tokens, #/users/audit, #/users/account. Who is no admin sees their
// own account and tokens.

import { ApiError } from "../api.js";
import { h, replace } from "../dom.js";
import { badge, button, card, chips, confirm, dialog, empty, facts, form, heading, table, tabs, tag, toast } from "../parts.js";
import { checkPassword, newPassword, words as firstWords } from "./first.js";
import { users as all } from "./users_words.js";

export const words = { en: { ...firstWords.en, ...all.en }, de: { ...firstWords.de, ...all.de } };
const ROLES = ["viewer", "technician", "engineer", "admin"];
const DAYS = [7, 30, 90, 366];

export async function show(root, context, part = "") {
  const { t, may } = context;
  const parts = [["list", "#/users"], ["audit", "#/users/audit"]].filter(() => may("admin"))
    .concat([["account", "#/users/account"], ["tokens", "#/users/tokens"]]);
  const wanted = part || (may("admin") ? "list" : "account");
  const current = parts.some(([key]) => key === wanted) ? wanted : parts[0][0];
  const body = h("div", { class: "stack" });
  const side = h("div", { class: "row" });
  replace(root, heading(t("nav.users"), side),
    tabs(t("nav.users"), parts.map(([key, href]) => ({ key, href, text: t(`users.tab.${key}`) })), current), body);
  context.title(t(`users.tab.${current}`));
  await { list: showUsers, audit: showAudit, account: showAccount, tokens: showTokens }[current](body, side, context);
}

/** Closes the window that an element is in. */
const close = (element) => element.closest("dialog")?.close();

async function showUsers(body, side, context) {
  const { api, t, time, user } = context;
  const list = table({
    caption: t("users.tab.list"), sort: "name",
    columns: [
      { key: "name", title: t("first.name"), main: true, sort: (row) => row.name, cell: (row) => h("span", { class: "row" }, row.name, row.name === user.name && tag(t("users.you"))) },
      { key: "role", title: t("users.role"), sort: (row) => ROLES.indexOf(row.role), cell: (row) => t(`role.${row.role}`) },
      { key: "state", title: t("users.state"), sort: (row) => Number(row.disabled), cell: (row) => (row.disabled ? badge("offline", t("users.disabled")) : badge("ok", t("users.active"))) },
      { key: "local", title: t("users.kind"), cell: (row) => t(row.local ? "users.local" : "users.openid") },
      { key: "made", title: t("users.made"), sort: (row) => row.made_ms, cell: (row) => time(row.made_ms, "day") },
      { key: "change", title: "", cell: (row) => button(t("users.change"), () => { void change(row); }, { label: t("users.change.label", { name: row.name }) }) },
    ],
  });
  const load = async () => list.update((await api("users")).users);

  function change(row) {
    const path = (what) => `users/${encodeURIComponent(row.name)}/${what}`;
    const done = async (element, text) => {
      close(element);
      toast(text, "ok");
      await load();
    };
    const role = form({
      action: t("users.role.action"), kind: "plain",
      fields: [{ name: "role", label: t("users.role"), type: "select", value: row.role, options: ROLES.map((one) => [one, t(`role.${one}`)]), help: t("users.role.help") }],
      submit: async (values) => {
        await api(path("role"), { method: "POST", body: values });
        await done(role.element, t("users.role.done", { name: row.name }));
      },
    });
    const password = row.local && form({
      action: t("users.password.action"), kind: "plain", fields: newPassword(t), check: (values) => checkPassword(values, t),
      submit: async (values) => {
        await api(path("password"), { method: "POST", body: { password: values.password } });
        await done(password.element, t("users.password.done", { name: row.name }));
      },
    });
    const shut = button(t(row.disabled ? "users.enable" : "users.disable"), async () => {
      if (!row.disabled && !(await confirm(t("users.disable.title", { name: row.name }), t("users.disable.help"), { yes: t("users.disable"), danger: true }))) return;
      await api(path(row.disabled ? "enable" : "disable"), { method: "POST" });
      await done(shut, t(row.disabled ? "users.enabled.done" : "users.disabled.done", { name: row.name }));
    }, { kind: row.disabled ? "primary" : "danger" });
    return dialog({ title: row.name, actions: [], body: h("div", { class: "stack" }, role.element, password && password.element, h("div", { class: "actions" }, shut)) });
  }

  function add() {
    const sheet = form({
      action: t("users.add.action"),
      fields: [
        { name: "name", label: t("first.name"), required: true, autocomplete: "off", help: t("users.name.help"), attributes: { autocapitalize: "none", spellcheck: "false", maxlength: 64 } },
        { name: "role", label: t("users.role"), type: "select", value: "viewer", options: ROLES.map((one) => [one, `${t(`role.${one}`)}: ${t(`users.role.${one}`)}`]) },
        { name: "language", label: t("users.language"), type: "select", value: document.documentElement.lang, options: [["en", "English"], ["de", "Deutsch"]] },
        ...newPassword(t),
      ],
      check: (values) => checkPassword(values, t),
      submit: async ({ name, role, language, password }) => {
        const made = await api("users", { method: "POST", body: { name, role, language, password } });
        close(sheet.element);
        toast(t("users.added", { name: made.name }), "ok");
        await load();
      },
    });
    return dialog({ title: t("users.add"), actions: [], body: sheet.element });
  }

  replace(side, button(t("users.add"), () => { void add(); }, { kind: "primary" }));
  replace(body, h("div", { class: "card" }, list.element));
  await load();
}

async function showAccount(body, side, context) {
  const { api, t, user } = context;
  const me = await api("me");
  const password = form({
    action: t("users.password.action"),
    fields: [
      { name: "old", label: t("users.password.old"), type: "password", required: true, autocomplete: "current-password", attributes: { maxlength: 256 } },
      ...newPassword(t),
    ],
    check: (values) => checkPassword(values, t),
    submit: async ({ old, password: fresh }) => {
      const next = await api("me/password", { method: "POST", body: { password: old, fresh }, quiet: true }).catch((error) => {
        throw error.status === 401 ? new ApiError(401, t("users.password.wrong")) : error;
      });
      await context.loggedIn(next); // builds the shell anew
      toast(t("users.password.own"), "ok");
    },
  });
  replace(body,
    card(t("users.tab.account"), facts([
      [t("first.name"), user.name], [t("users.role"), t(`role.${user.role}`)],
      [t("users.may"), user.scopes.map((scope) => t(`scope.${scope}`)).join(", ")],
    ])),
    me.local && card(t("users.password"), h("p", { class: "muted" }, t("users.password.help")), password.element));
}

async function showTokens(body, side, context) {
  const { api, t, time, ago, user, may } = context;
  let everybody = false;
  const list = table({
    caption: t("users.tab.tokens"), nothing: empty(t("tokens.none"), t("tokens.help"), { symbol: "gateway" }),
    columns: [
      { key: "title", title: t("tokens.title"), main: true, sort: (row) => row.title },
      { key: "user", title: t("first.name"), sort: (row) => row.user },
      { key: "scopes", title: t("users.may"), cell: (row) => row.scopes.map((scope) => t(`scope.${scope}`)).join(", ") },
      { key: "until", title: t("tokens.until"), sort: (row) => row.until_ms, cell: (row) => (row.until_ms < Date.now() ? badge("offline", t("tokens.over")) : time(row.until_ms, "day")) },
      { key: "used", title: t("tokens.used"), sort: (row) => row.used_ms, cell: (row) => ago(row.used_ms) },
      { key: "end", title: "", cell: (row) => button(t("tokens.end"), async () => {
        if (!(await confirm(t("tokens.end.title", { title: row.title }), t("tokens.end.help"), { yes: t("tokens.end"), danger: true }))) return;
        await api(`tokens/${row.number}`, { method: "DELETE" });
        await load();
      }, { label: t("tokens.end.label", { title: row.title }) }) },
    ],
  });
  const load = async () => list.update((await api("tokens", { query: { all: everybody ? "true" : null } })).tokens);

  function make() {
    const scopes = user.scopes.filter((scope) => scope !== "admin");
    const sheet = form({
      action: t("tokens.make.action"),
      fields: [
        { name: "title", label: t("tokens.title"), required: true, autocomplete: "off", help: t("tokens.title.help"), attributes: { maxlength: 100 } },
        ...scopes.map((scope) => ({ name: scope, label: t(`scope.${scope}`), type: "checkbox", value: scope === "read" })),
        { name: "days", label: t("tokens.until"), type: "select", value: "90", options: DAYS.map((days) => [String(days), t("tokens.days", { days })]) },
      ],
      check: (values) => (scopes.some((scope) => values[scope]) ? {} : { read: t("tokens.scopes") }),
      submit: async (values) => {
        const wanted = scopes.filter((scope) => values[scope]);
        const made = await api("tokens", { method: "POST", body: { title: values.title, scopes: wanted, days: Number(values.days) } });
        close(sheet.element);
        await load();
        await once(made.secret, context);
      },
    });
    return dialog({ title: t("tokens.make"), actions: [], body: sheet.element });
  }

  replace(side, button(t("tokens.make"), () => { void make(); }, { kind: "primary" }));
  replace(body,
    may("admin") && chips({
      label: t("tokens.whose"), value: "own", items: [{ key: "own", text: t("tokens.own") }, { key: "all", text: t("tokens.all") }],
      change: (key) => { everybody = key === "all"; void load(); },
    }).element,
    h("div", { class: "card" }, list.element));
  await load();
}

/** Shows a token, this once. */
function once(secret, { t }) {
  const field = h("input", { type: "text", readonly: true, value: secret, "aria-label": t("tokens.secret"), on: { focus: () => field.select() } });
  const copy = button(t("tokens.copy"), async () => {
    field.select();
    if (navigator.clipboard) await navigator.clipboard.writeText(secret);
    else document.execCommand("copy"); // without TLS a browser has no other way
    toast(t("tokens.copied"), "ok");
  });
  return dialog({ title: t("tokens.secret"), body: h("div", { class: "stack" }, h("p", {}, t("tokens.once")), field, h("div", { class: "actions" }, copy)) });
}

async function showAudit(body, side, context) {
  const { api, t, time } = context;
  const verdict = h("div", { class: "card", role: "status", hidden: true });
  let rows = [];
  const list = table({
    caption: t("users.tab.audit"), most: 1_000,
    columns: [
      { key: "number", title: t("audit.number"), number: true },
      { key: "time", title: t("audit.time"), cell: (row) => time(row.time_ms, "full") },
      { key: "who", title: t("audit.who"), cell: (row) => row.who || t("audit.stranger") },
      { key: "what", title: t("audit.what"), main: true, cell: (row) => what(row.what, t) },
      { key: "about", title: t("audit.about") },
      { key: "details", title: t("audit.details"), cell: (row) => details(row.details) },
    ],
  });
  const older = button(t("audit.older"), async () => { await load(rows.at(-1)?.number); }, { kind: "quiet" });
  async function load(before = null) {
    const found = (await api("audit", { query: { before, limit: 100 } })).rows;
    rows = before ? rows.concat(found) : found;
    older.hidden = found.length < 100;
    list.update(rows);
  }
  replace(side, button(t("audit.verify"), async () => {
    const found = await api("audit/verify");
    replace(verdict, found.broken
      ? h("p", { class: "row" }, badge("alarm", t("audit.broken")), h("span", {}, found.why))
      : h("p", { class: "row" }, badge("ok", t("audit.whole")), h("span", {}, t("audit.rows", { rows: found.rows }))));
    verdict.hidden = false;
  }));
  replace(body, verdict, h("div", { class: "card" }, list.element, h("div", { class: "actions" }, older)));
  await load();
}

/** The words of a kind of row; what has none is shown as it is kept. */
function what(kind, t) {
  const key = `audit.kind.${kind.replaceAll(" ", "-")}`;
  const text = t(key);
  return text === key ? kind : text;
}

function details(values) {
  return Object.entries(values).map(([name, value]) => `${name}: ${Array.isArray(value) ? value.join(" ") : typeof value === "object" ? JSON.stringify(value) : value}`).join(", ");
}
