// The shell: who is logged in, which screen is shown, whether the stream of events stands. A screen gets a context:
//   api(path, {method, body, query}) -> the answer, see api.js     live(event, callback) -> stop, see live.js
//   t(key, values)  time(ms, form)  ago(ms)  number(value)  quantity(value, unit), see words.js
//   user: {name, role, scopes, language}   may(scope) -> bool      plant: the model of plant.js
//   navigate(hash)  query: {name: value} of the hash  setQuery({…}): changes it without showing the screen anew
//   toast(text, kind)  title(text): of the window                 chart: charts.js, loaded when it is first asked for

import { api, onExpired, setCsrf } from "./api.js";
import { h, icon, replace } from "./dom.js";
import { live, lostSince, start as startLive, stop as stopLive } from "./live.js";
import { failed, loading, stateIcon, toast } from "./parts.js";
import { followPlant, loadPlant, plant, stateOf, watchPlant } from "./plant.js";
import * as words from "./words.js";

const { t } = words;
// In the order of the rail; the first four stand in a phone's bar, the others behind "more".
const PLACES = [
  { name: "plant", scope: "read" }, { name: "alarms", scope: "read" }, { name: "ledger", scope: "read" },
  { name: "reports", scope: "read" }, { name: "rollouts", scope: "read" }, { name: "bringing", scope: "commands" }, { name: "users", scope: "admin" },
];
const IN_BAR = 4;
const SCREENS = new Set([...PLACES.map(({ name }) => name), "node", "login", "first", "more"]);
const STRANGERS = ["login", "first"]; // screens of who is not logged in

let user = null;
let leave = null; // ends what the screen that is shown has started
let turn = 0; // of the screen that is shown: one that comes late is not shown
let followed = false;
let main = null;

const may = (scope) => Boolean(user?.scopes?.includes(scope));
const chart = (...all) => import("./charts.js").then((module) => module.chart(...all));

function parse(hash) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split("?");
  const [name, ...args] = path.split("/").filter(Boolean).map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  return { name: name ?? "plant", args, query: Object.fromEntries(new URLSearchParams(search)) };
}

function navigate(hash) {
  const wanted = hash.startsWith("#") ? hash : `#/${hash.replace(/^\//, "")}`;
  if (wanted === location.hash) void route();
  else location.hash = wanted;
}

/** The context of a screen. */
function contextOf(query) {
  return {
    api, live, t, time: words.time, ago: words.ago, number: words.number, quantity: words.quantity, user, may, plant, navigate, query, toast, chart,
    title: (text) => { document.title = [text, plant.name, "Quaver"].filter(Boolean).join(" · "); },
    setQuery(changes) {
      Object.assign(query, changes);
      const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== ""));
      const path = location.hash.split("?")[0] || "#/plant";
      history.replaceState(null, "", search.size ? `${path}?${search}` : path);
    },
    loggedIn, logOut,
  };
}

async function route() {
  const mine = (turn += 1);
  const { name, args, query } = parse(location.hash);
  if (!user && !STRANGERS.includes(name)) return askLogin();
  if (user && STRANGERS.includes(name)) return navigate(query.back && !query.back.startsWith("#/login") ? query.back : "#/plant");
  const ended = leave;
  leave = null;
  ended?.();
  document.querySelectorAll(".rail a").forEach((link) => {
    const here = link.dataset.name === name || (name === "node" && link.dataset.name === "plant")
      || (link.dataset.name === "more" && PLACES.findIndex((place) => place.name === name) >= IN_BAR);
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  });
  const root = h("div", { class: `screen screen-${SCREENS.has(name) ? name : "none"}` }, loading());
  replace(main, root);
  scrollTo(0, 0);
  const context = contextOf(query);
  context.title(t(`nav.${name}`));
  try {
    if (!SCREENS.has(name)) throw new Error(t("shell.nowhere"));
    const screen = name === "more" ? { show: showMore } : await import(`./screens/${name}.js`);
    words.addWords(screen.words);
    if (screen.styles) await addStyles(`screens/${name}.css`);
    if (mine !== turn) return;
    const end = await screen.show(root, context, ...args);
    if (mine !== turn) return void end?.();
    leave = end ?? null;
    if (moved) root.querySelector("h1")?.focus({ preventScroll: true });
  } catch (error) {
    if (mine !== turn || error?.status === 401) return;
    console.warn(error);
    replace(root, h("h1", { class: "unseen" }, t(`nav.${SCREENS.has(name) ? name : "plant"}`)), failed(error, () => route()));
  }
}

/** Styles of a screen alone: one with `export const styles = true` has its own sheet beside it. */
function addStyles(href) {
  if (document.querySelector(`link[href="${href}"]`)) return null;
  return new Promise((resolve) => {
    document.head.append(h("link", { rel: "stylesheet", href, on: { load: resolve, error: resolve } }));
  });
}

let moved = false; // a first screen does not take the focus, one that was gone to does

function showMore(root, context) {
  context.title(t("nav.more"));
  replace(root, h("h1", {}, t("nav.more")), h("nav", { class: "more-list", "aria-label": t("nav.more") },
    PLACES.slice(IN_BAR).filter(({ scope }) => may(scope)).map(({ name }) => h("a", { href: `#/${name}` }, icon(name), t(`nav.${name}`), icon("next")))),
  account());
}

function account() {
  return h("div", { class: "account" },
    h("p", { class: "muted" }, t("shell.account", { name: user.name, role: t(`role.${user.role}`) })),
    h("div", { class: "row" }, languages(),
      h("a", { class: "button plain", href: "#/users/account" }, icon("users"), t("shell.yours")),
      h("button", { type: "button", class: "button plain", on: { click: logOut } }, icon("logout"), t("shell.logout"))));
}

function languages() {
  return h("div", { class: "languages", role: "group", "aria-label": t("shell.language") }, [["en", "English"], ["de", "Deutsch"]].map(([code, name]) =>
    h("button", { type: "button", lang: code, "aria-pressed": String(words.currentLanguage() === code), on: { click: () => {
      words.setLanguage(code);
      buildShell();
      void route();
    } } }, name)));
}

function buildShell() {
  main = h("main", { id: "main", tabindex: "-1" });
  if (!user) return void document.body.replaceChildren(h("div", { class: "shell bare" }, main));
  const count = h("span", { class: "nav-count", hidden: true });
  const link = (name, inBar) => h("a", { href: `#/${name}`, data: { name }, class: inBar ? null : "wide-only" }, icon(name), h("span", {}, t(`nav.${name}`)), name === "alarms" && count);
  const seen = PLACES.filter(({ scope }) => may(scope));
  const clock = h("span", { class: "clock" });
  const status = h("div", { class: "status", role: "status" });
  const banner = h("div", { class: "banner is-warning", role: "alert", hidden: true });
  const name = h("span", { class: "plant-name" });
  document.body.replaceChildren(
    h("a", { class: "skip", href: "#main", on: { click: (event) => { event.preventDefault(); main.focus(); } } }, t("shell.skip")),
    h("div", { class: "shell" },
      h("header", { class: "top" }, h("a", { class: "home", href: "#/plant" }, h("span", { class: "logo" }, icon("ledger")), name), status, clock),
      h("nav", { class: "rail", "aria-label": t("nav.main") },
        h("div", { class: "places" }, seen.map(({ name: one }) => link(one, PLACES.findIndex((place) => place.name === one) < IN_BAR)),
          h("a", { href: "#/more", data: { name: "more" }, class: "phone-only" }, icon("more"), h("span", {}, t("nav.more")))),
        h("div", { class: "wide-only rail-end" }, h("a", { href: "#/more", data: { name: "account" } }, icon("users"), h("span", {}, user.name)))),
      h("div", { class: "content" }, banner, main)));
  shell = { count, clock, status, banner, name };
  drawShell();
}

let shell = null;

/** What the shell itself shows of the plant and of the stream. */
function drawShell() {
  if (!shell) return;
  shell.name.textContent = plant.name || "Quaver";
  const nodes = [...plant.nodes.values()];
  const standing = nodes.reduce((sum, row) => sum + (row.alarms ?? 0), 0);
  shell.count.hidden = !standing;
  shell.count.textContent = standing > 99 ? "99+" : String(standing);
  const lost = lostSince();
  const since = lost === null ? "" : words.time(lost + plant.ahead_ms, "clock");
  const key = `${lost} ${words.currentLanguage()}`;
  if (shell.status.dataset.key !== key) {
    shell.status.dataset.key = key;
    shell.status.classList.toggle("is-lost", lost !== null);
    replace(shell.status, lost === null ? h("span", { class: "dot", "aria-hidden": "true" }) : stateIcon("gone"), h("span", {}, lost === null ? t("shell.live") : t("shell.lost", { time: since })));
    shell.banner.hidden = lost === null;
    replace(shell.banner, lost !== null && [stateIcon("gone"), h("p", {}, t("shell.lost.long", { time: since }))]);
  }
  const worst = nodes.some((row) => stateOf(row) === "alarm");
  document.documentElement.classList.toggle("has-alarm", worst);
  drawClock();
}

function drawClock() {
  if (!shell) return;
  shell.clock.textContent = words.time(Date.now() + plant.ahead_ms, "clock");
  shell.clock.title = t("shell.clock", { zone: words.currentZone() });
}

/** Asks to log in, and comes back to where the person was. */
function askLogin(expired = false) {
  user = null;
  shell = null;
  plant.loaded = false; // who comes next may see another part of it
  stopLive();
  leave?.();
  leave = null;
  buildShell();
  const { name, query } = parse(location.hash);
  if (name === "first" || query.problem) return void route(); // as the provider's answer came back
  const back = name === "login" ? query.back : location.hash;
  const wanted = back && back !== "#/" ? `#/login?back=${encodeURIComponent(back)}` : "#/login";
  if (expired) toast(t("shell.expired"), "warning");
  if (location.hash === wanted) void route();
  else location.replace(wanted);
}

/** What the login screen calls with the answer of POST session or GET me. */
async function loggedIn(answer) {
  user = { ...answer, scopes: answer.scopes ?? [] };
  setCsrf(answer.csrf);
  words.setLanguage(words.read("quaver.language") ?? answer.language);
  if (!plant.loaded) await loadPlant().catch((error) => { if (error.status === 401) throw error; });
  words.setZone(plant.zone);
  buildShell();
  startLive();
  if (!followed) {
    followed = true;
    followPlant();
    watchPlant(drawShell);
    if (words.read("quaver.sound") === "on") import("./sound.js").then((module) => module.listen());
    live("state", ({ lost }) => { drawShell(); if (lost === null) toast(t("shell.back"), "ok"); });
    setInterval(drawClock, 1_000);
  }
  await route();
}

async function logOut() {
  await api("session", { method: "DELETE" }).catch(() => {});
  askLogin();
}

onExpired(async () => {
  // what was under way when the session took a new secret was refused, and the session has not ended
  const there = await api("me", { quiet: true }).then(() => true, (error) => error.status !== 401);
  if (user && !there) askLogin(true);
});
addEventListener("hashchange", () => {
  moved = true;
  for (const one of document.querySelectorAll("dialog[open]")) one.close(); // a window belongs to its screen
  void route();
});
addEventListener("unhandledrejection", (event) => {
  if (event.reason?.status === undefined) return;
  event.preventDefault();
  if (event.reason.status !== 401 && event.reason.status !== 0) toast(event.reason.message || t("error.status", event.reason), "alarm");
});

words.setLanguage();
buildShell();
replace(main, loading());
try {
  const early = loadPlant().catch(() => {}); // both at once: the first picture waits for one answer, not for two
  const me = await api("me", { quiet: true });
  await early;
  await loggedIn(me);
} catch (error) {
  if (error.status === 401) askLogin();
  else replace(main, h("h1", { class: "unseen" }, "Quaver"), failed(error, () => location.reload()));
}
