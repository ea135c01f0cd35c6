// The page's words in two languages, and how numbers and times are written. A screen adds its own words with addWords().

const LANGUAGES = ["en", "de"];
const WORDS = {
  en: {
    "nav.plant": "Plant", "nav.alarms": "Alarms", "nav.ledger": "Health", "nav.rollouts": "Rollouts",
    "nav.reports": "Reports", "nav.bringing": "Bringing in", "nav.users": "Users", "nav.more": "More", "nav.main": "Main",
    "shell.skip": "Skip to the content", "shell.live": "Live", "shell.lost": "No connection since {time}",
    "shell.lost.long": "The connection to the server is gone since {time}. What you see is from before. Trying again…",
    "shell.back": "The connection is back.", "shell.logout": "Log out", "shell.yours": "Your account", "shell.language": "Language",
    "shell.clock": "Time in the plant ({zone})", "shell.account": "Logged in as {name} ({role})", "shell.loading": "Loading…",
    "shell.nowhere": "There is no such screen.", "shell.home": "To the plant", "shell.expired": "Your session has ended. Log in to go on.",
    "role.viewer": "viewer", "role.technician": "technician", "role.engineer": "engineer", "role.admin": "admin",
    "state.ok": "ok", "state.warning": "warning", "state.alarm": "alarm", "state.gone": "gone", "state.offline": "offline",
    "state.unknown": "unknown", "state.online": "online",
    "error.network": "The server does not answer. Check the network, then try again.",
    "error.status": "The server refused it (HTTP {status}).", "error.code": "The page met an error of its own: {text}",
    "error.scope": "Your role may not do this.", "error.retry": "Try again", "error.required": "Fill this in.",
    "error.form": "Something is missing or wrong: see the fields marked below.",
    "action.close": "Close", "action.cancel": "Cancel", "action.ok": "OK", "action.more": "Show {count} more", "action.search": "Search",
    "table.sort": "Sort by {column}", "table.empty": "Nothing here.", "range.label": "Range",
    "range.hour": "Hour", "range.day": "Day", "range.week": "Week", "range.month": "Month", "range.year": "Year",
    "range.from": "From", "range.until": "Until", "time.never": "never", "time.now": "just now", "unit.none": "",
  },
  de: {
    "nav.plant": "Anlage", "nav.alarms": "Alarme", "nav.ledger": "Zustand", "nav.rollouts": "Updates",
    "nav.reports": "Berichte", "nav.bringing": "Aufnahme", "nav.users": "Benutzer", "nav.more": "Mehr", "nav.main": "Haupt",
    "shell.skip": "Zum Inhalt springen", "shell.live": "Live", "shell.lost": "Keine Verbindung seit {time}",
    "shell.lost.long": "Die Verbindung zum Server fehlt seit {time}. Was Sie sehen, ist von davor. Neuer Versuch läuft…",
    "shell.back": "Die Verbindung ist wieder da.", "shell.logout": "Abmelden", "shell.yours": "Ihr Konto", "shell.language": "Sprache",
    "shell.clock": "Zeit in der Anlage ({zone})", "shell.account": "Angemeldet als {name} ({role})", "shell.loading": "Lädt…",
    "shell.nowhere": "Diese Seite gibt es nicht.", "shell.home": "Zur Anlage", "shell.expired": "Ihre Sitzung ist beendet. Melden Sie sich an, um fortzufahren.",
    "role.viewer": "Betrachter", "role.technician": "Techniker", "role.engineer": "Ingenieur", "role.admin": "Administrator",
    "state.ok": "ok", "state.warning": "Warnung", "state.alarm": "Alarm", "state.gone": "weg", "state.offline": "offline",
    "state.unknown": "unbekannt", "state.online": "online",
    "error.network": "Der Server antwortet nicht. Prüfen Sie das Netz und versuchen Sie es noch einmal.",
    "error.status": "Der Server hat abgelehnt (HTTP {status}).", "error.code": "Die Seite hat selbst einen Fehler: {text}",
    "error.scope": "Ihre Rolle darf das nicht.", "error.retry": "Noch einmal", "error.required": "Bitte ausfüllen.",
    "error.form": "Etwas fehlt oder ist falsch: siehe die markierten Felder.",
    "action.close": "Schließen", "action.cancel": "Abbrechen", "action.ok": "OK", "action.more": "{count} weitere zeigen", "action.search": "Suchen",
    "table.sort": "Nach {column} sortieren", "table.empty": "Hier ist nichts.", "range.label": "Zeitraum",
    "range.hour": "Stunde", "range.day": "Tag", "range.week": "Woche", "range.month": "Monat", "range.year": "Jahr",
    "range.from": "Von", "range.until": "Bis", "time.never": "nie", "time.now": "gerade eben", "unit.none": "",
  },
};
// UCUM's codes as people write them
const UNITS = { "[g]": "g", "1": "", Cel: "°C", By: "B", "kW.h": "kWh", "V.A": "VA", us: "µs" };
const STEPS = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];

let language = "en";
let zone = undefined; // of the plant, as IANA calls it; undefined: the browser's
let formats = {};

/** Takes the words of a screen: {en: {key: text}, de: {…}}. */
export function addWords(words) {
  for (const one of LANGUAGES) Object.assign(WORDS[one], words?.[one] ?? {});
}

/** The text of a key, with {name} replaced by values.name. A key without a text is shown as it is. */
export function t(key, values = {}) {
  const text = WORDS[language][key] ?? WORDS.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

export function currentLanguage() {
  return language;
}

/** asked: a language's code; without one, what was chosen here before, or the browser's. */
export function setLanguage(asked) {
  const remembered = read("quaver.language");
  const found = [asked, remembered, ...navigator.languages.map((tag) => tag.slice(0, 2))].find((tag) => LANGUAGES.includes(tag));
  language = found ?? "en";
  if (asked) write("quaver.language", language);
  formats = {};
  document.documentElement.lang = language;
}

/** name: the plant's time zone; one that the browser does not know is left out. */
export function setZone(name) {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    zone = name || undefined;
  } catch {
    zone = undefined;
  }
  formats = {};
}

export function currentZone() {
  return zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
}

const names = new Intl.Collator(undefined, { numeric: true });

/** The order of names, "pump-9" before "pump-10". A collator of its own: localeCompare makes one for each pair. */
export const byName = (one, other) => names.compare(one, other);

function format(options) {
  const key = JSON.stringify(options);
  formats[key] ??= new Intl.DateTimeFormat(language === "en" ? "en-GB" : "de-DE", { timeZone: zone, ...options });
  return formats[key];
}

const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const DAY = { day: "numeric", month: "short" };

/** A moment in the plant's zone. ms: since 1970, or null. form: "short" (the day only where it is not today), "full"
 *  (day, year and seconds), "clock", "day". */
export function time(ms, form = "short") {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return t("time.never");
  if (form === "clock") return format({ ...CLOCK, second: "2-digit" }).format(ms);
  if (form === "day") return format({ ...DAY, year: "numeric" }).format(ms);
  if (form === "full") return format({ ...DAY, year: "numeric", ...CLOCK, second: "2-digit" }).format(ms);
  const day = format({ ...DAY, year: "numeric" });
  const now = Date.now();
  if (day.format(ms) === day.format(now)) return format(CLOCK).format(ms);
  const near = Math.abs(now - ms) < 300 * 86_400_000;
  return format(near ? { ...DAY, ...CLOCK } : { ...DAY, year: "numeric", ...CLOCK }).format(ms);
}

/** How long ago it was: "2 min. ago". */
export function ago(ms, now = Date.now()) {
  if (ms === null || ms === undefined) return t("time.never");
  const seconds = Math.round((ms - now) / 1_000);
  if (Math.abs(seconds) < 5) return t("time.now");
  formats.ago ??= new Intl.RelativeTimeFormat(language, { style: "short", numeric: "always" });
  const [unit, size] = STEPS.find(([, one]) => Math.abs(seconds) >= one);
  return formats.ago.format(Math.trunc(seconds / size), unit);
}

/** A number with three significant digits, or as many as asked; null is a dash. */
export function number(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 10 ** digits) return whole().format(Math.round(value));
  formats[`n${digits}`] ??= new Intl.NumberFormat(language, { maximumSignificantDigits: digits });
  return formats[`n${digits}`].format(value);
}

function whole() {
  formats.whole ??= new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
  return formats.whole;
}

/** A number with its unit, which UCUM names. */
export function quantity(value, unit, digits = 3) {
  const shown = unitText(unit);
  return shown && Number.isFinite(value) ? `${number(value, digits)}\u202f${shown}` : number(value, digits);
}

export function unitText(unit) {
  return UNITS[unit] ?? unit ?? "";
}

/** What this browser remembers for a page; null where it may not. */
export function read(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function write(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // a browser that keeps nothing: the choice holds until the page is closed
  }
}
