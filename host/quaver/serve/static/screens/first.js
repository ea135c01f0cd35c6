// The first administrator, by the one-time link from the console of quaver serve: #/first/LINK

import { ApiError } from "../api.js";
import { h, replace } from "../dom.js";
import { form } from "../parts.js";
import { outside } from "./login.js";

export const words = {
  en: {
    "nav.first": "First administrator", "first.help": "You opened the link from the console of quaver serve. Make the account that makes all others. The link works once.",
    "first.name": "Name", "first.password": "Password", "first.again": "The password again", "first.action": "Make the account",
    "first.password.help": "12 characters or more: four words are good, your name in it is not.",
    "first.differs": "The two are not the same.", "first.short": "At least 12 characters.",
    "first.over": "This link was used, is over an hour old, or is not complete. Restart quaver serve: it prints a new one.",
  },
  de: {
    "nav.first": "Erster Administrator", "first.help": "Sie haben den Link von der Konsole von quaver serve geöffnet. Legen Sie das Konto an, das alle anderen anlegt. Der Link gilt einmal.",
    "first.name": "Name", "first.password": "Passwort", "first.again": "Das Passwort noch einmal", "first.action": "Konto anlegen",
    "first.password.help": "12 Zeichen oder mehr: vier Wörter sind gut, Ihr Name darin nicht.",
    "first.differs": "Die beiden sind nicht gleich.", "first.short": "Mindestens 12 Zeichen.",
    "first.over": "Dieser Link wurde benutzt, ist über eine Stunde alt oder nicht vollständig. Starten Sie quaver serve neu: es zeigt einen neuen.",
  },
};

/** The two fields of a new password. */
export function newPassword(t) {
  return [
    { name: "password", label: t("first.password"), type: "password", required: true, autocomplete: "new-password", help: t("first.password.help"), attributes: { maxlength: 256 } },
    { name: "again", label: t("first.again"), type: "password", required: true, autocomplete: "new-password", attributes: { maxlength: 256 } },
  ];
}

/** What is wrong with them: {name: text}. */
export function checkPassword({ password, again }, t) {
  if ([...password].length < 12) return password ? { password: t("first.short") } : {};
  return password === again ? {} : { again: t("first.differs") };
}

export async function show(root, context, link = "") {
  const { api, t } = context;
  context.title(t("nav.first"));
  const sheet = form({
    action: t("first.action"),
    fields: [
      { name: "name", label: t("first.name"), required: true, autocomplete: "username", attributes: { autocapitalize: "none", spellcheck: "false", maxlength: 64 } },
      ...newPassword(t),
    ],
    check: (values) => checkPassword(values, t),
    submit: async ({ name, password }) => {
      const body = { link, name, password, language: document.documentElement.lang };
      const me = await api("first", { method: "POST", body, quiet: true }).catch((error) => {
        throw error.status === 401 ? new ApiError(401, t("first.over")) : error;
      });
      await context.loggedIn(me);
    },
  });
  replace(root, outside(t("nav.first"), h("p", {}, t("first.help")), sheet.element));
  sheet.focus();
}
