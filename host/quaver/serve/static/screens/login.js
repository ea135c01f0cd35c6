// Logging in, by name and password or at the company's OpenID provider.

import { ApiError } from "../api.js";
import { h, icon, replace } from "../dom.js";
import { empty, form } from "../parts.js";

export const words = {
  en: {
    "nav.login": "Log in", "login.name": "Name", "login.password": "Password", "login.action": "Log in",
    "login.wrong": "The name or the password is wrong.", "login.wait": "Too many failed logins. Try again in {seconds} s.",
    "login.nobody": "There is no administrator yet", "login.nobody.help": "Open the link that quaver serve has printed on its console. It makes the first administrator, once, within an hour; a restart prints another one.",
    "login.with": "Log in with {title}", "login.or": "or",
    "login.refused": "The provider knows you, but no role here is yours. Ask an administrator.",
    "login.failed": "Logging in at the provider did not work. Try again.",
    "login.taken": "A user of this name has a password here. Ask an administrator.",
  },
  de: {
    "nav.login": "Anmelden", "login.name": "Name", "login.password": "Passwort", "login.action": "Anmelden",
    "login.wrong": "Der Name oder das Passwort ist falsch.", "login.wait": "Zu viele falsche Anmeldungen. Versuchen Sie es in {seconds} s noch einmal.",
    "login.nobody": "Es gibt noch keinen Administrator", "login.nobody.help": "Öffnen Sie den Link, den quaver serve auf seiner Konsole gezeigt hat. Er legt einmal, innerhalb einer Stunde, den ersten Administrator an; ein Neustart zeigt einen neuen.",
    "login.with": "Mit {title} anmelden", "login.or": "oder",
    "login.refused": "Der Anbieter kennt Sie, aber Sie haben hier keine Rolle. Fragen Sie einen Administrator.",
    "login.failed": "Die Anmeldung beim Anbieter hat nicht geklappt. Versuchen Sie es noch einmal.",
    "login.taken": "Ein Benutzer dieses Namens hat hier ein Passwort. Fragen Sie einen Administrator.",
  },
};

/** What a failed login says, in the language of the page. */
function said(error, t) {
  if (error.status === 401) return new ApiError(401, t("login.wrong"));
  if (error.status === 429) return new ApiError(429, t("login.wait", { seconds: /\d+/.exec(error.message)?.[0] ?? "60" }));
  return error;
}

/** A card for who is not logged in yet. */
export function outside(title, ...children) {
  return [h("p", { class: "row" }, h("span", { class: "logo" }, icon("ledger")), h("strong", {}, "Quaver")),
    h("div", { class: "card" }, h("h1", { tabindex: "-1" }, title), children)];
}

export async function show(root, context) {
  const { api, t, query } = context;
  context.title(t("nav.login"));
  const ways = await api("session", { quiet: true });
  const sheet = form({
    action: t("login.action"),
    fields: [
      { name: "name", label: t("login.name"), required: true, autocomplete: "username", attributes: { autocapitalize: "none", spellcheck: "false", maxlength: 64 } },
      { name: "password", label: t("login.password"), type: "password", required: true, autocomplete: "current-password", attributes: { maxlength: 256 } },
    ],
    submit: async ({ name, password }) => {
      const me = await api("session", { method: "POST", body: { name, password }, quiet: true }).catch((error) => { throw said(error, t); });
      await context.loggedIn(me);
    },
  });
  if (["refused", "failed", "taken"].includes(query.problem)) sheet.fail(t(`login.${query.problem}`));
  replace(root,
    outside(t("nav.login"),
      ways.first && empty(t("login.nobody"), t("login.nobody.help"), { symbol: "users" }),
      ways.passwords && sheet.element,
      ways.openid && [
        ways.passwords && h("p", { class: "muted" }, t("login.or")),
        h("a", { class: "button", href: `api/v1/openid/login?back=${encodeURIComponent(query.back ?? "#/plant")}` }, t("login.with", { title: ways.openid })),
      ]));
  if (ways.passwords) sheet.focus();
}
