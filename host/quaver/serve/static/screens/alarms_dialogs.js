// The windows over the list of alarms: all about one alarm, and what a person says when they deal with it.

import { h, replace } from "../dom.js";
import { button, dialog, facts, form, tag } from "../parts.js";
import { now } from "../plant.js";
import { currentLanguage, time } from "../words.js";

const PATHS = { acknowledge: "acknowledge", comment: "comment", shelve: "shelve", unshelve: "unshelve", out: "out-of-service", in: "in-service" };
const HOURS = [1, 4, 8, 24, 168];
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Asks what belongs to an act, and does it. Resolves to whether it was done. */
export async function ask(context, act, alarm, causes) {
  const { t } = context;
  const send = async (body) => {
    await context.api(`alarms/${alarm.id}/${PATHS[act]}`, { method: "POST", body });
    context.toast(t(`alarms.done.${PATHS[act]}`, { name: `${alarm.name}, ${alarm.text}` }), "ok");
  };
  if (act === "unshelve" || act === "in") {
    await send({});
    return true;
  }
  const reason = { name: "reason", label: t("alarms.reason"), type: "textarea", required: true, attributes: { maxlength: 2000 } };
  const said = saidFields(t, alarm.cause, causes);
  const order = said.at(-1);
  const fields = { acknowledge: said, comment: said,
    shelve: [{ name: "hours", label: t("alarms.shelve.for"), type: "select", value: "8", options: HOURS.map((hours) => [String(hours), t(`alarms.hours.${hours}`)]), help: t("alarms.shelve.help") }, reason, order],
    out: [reason, { name: "review", label: t("alarms.out.review"), type: "date", required: true, value: day(now() + 30 * DAY_MS), help: t("alarms.out.help"), attributes: { min: day(now() + DAY_MS), max: day(now() + 365 * DAY_MS) } }, order] }[act];
  return sheetOf(context, { title: t(`alarms.${act}.title`), about: h("p", {}, h("strong", {}, alarm.name), ` · ${alarm.text}`), fields, action: t(`alarms.${act}`),
    check: (given) => (act === "comment" && !given.text && !given.cause && !given.work_order ? { text: t("alarms.comment.nothing") } : {}),
    send: (given) => send(bodyOf(act, given)) });
}

/** Acknowledges the alarms of a group with one comment. alarms: those that a person sees and that still need it. */
export async function askForAll(context, group, alarms, causes) {
  const { t } = context;
  const about = [h("p", {}, h("strong", {}, group.name), ` · ${t("alarms.members", { count: alarms.length })}`),
    h("ul", { class: "alarm-meant" }, alarms.map((one) => h("li", {}, one.name === group.name ? one.text : `${one.name} · ${one.text}`)))];
  return sheetOf(context, { title: t("alarms.acknowledge.all.title"), about, fields: saidFields(t, alarms[0].cause, causes), action: t("alarms.acknowledge.all", { count: alarms.length }),
    send: async (given) => {
      const body = { alarms: alarms.map((one) => one.id), ...bodyOf("acknowledge", given) };
      const done = await context.api("alarms/acknowledge", { method: "POST", body });
      context.toast(t("alarms.done.acknowledge", { name: `${group.name}, ${t("alarms.members", { count: done.alarms.length })}` }), "ok");
    } });
}

function saidFields(t, cause, causes) {
  return [
    { name: "text", label: t("alarms.text"), type: "textarea", attributes: { maxlength: 2000 } },
    { name: "cause", label: t("alarms.cause"), type: "select", value: cause ?? "", options: [["", t("alarms.cause.none")], ...causes.map(({ code, title }) => [code, title])] },
    { name: "work_order", label: t("alarms.order"), autocomplete: "off", attributes: { maxlength: 100 } },
  ];
}

/** A form in a window; resolves to whether it was sent. */
async function sheetOf({ t }, { title, about, fields, action, check, send }) {
  let done = false;
  const sheet = form({ fields, action, check, extra: button(t("action.cancel"), () => sheet.element.closest("dialog").close()),
    submit: async (given) => {
      await send(given);
      done = true;
      sheet.element.closest("dialog").close();
    } });
  const shown = dialog({ title, actions: [], body: h("div", { class: "stack" }, about, sheet.element) });
  sheet.focus();
  await shown;
  return done;
}

function bodyOf(act, given) {
  if (act === "shelve") return { until_ms: Math.round(now() + Number(given.hours) * HOUR_MS), reason: given.reason, work_order: given.work_order };
  if (act === "out") return { review_ms: new Date(`${given.review}T12:00:00`).getTime(), reason: given.reason, work_order: given.work_order };
  return { text: given.text, cause: given.cause || null, work_order: given.work_order };
}

/** A date as a field of type date has it. */
function day(ms) {
  const date = new Date(ms);
  return `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, "0")}-${String(date.getDate()).padStart(2, "0")}`;
}

/** All about one alarm. Resolves to an act that was chosen, "node", or null. */
export async function detail(context, alarm, causes, possible) {
  const { t, may } = context;
  const place = h("div", { class: "stack" }, h("p", { class: "muted" }, t("shell.loading")));
  const acts = may("alarms") ? ["acknowledge", "comment", "shelve", "unshelve", "out", "in"].filter(possible) : [];
  const shown = dialog({ title: alarm.name, body: place,
    actions: [{ text: t("alarms.node"), value: "node" }, ...acts.map((act, first) => ({ text: t(`alarms.${act}`), value: act, kind: first ? "plain" : "primary" }))] });
  try {
    const whole = await context.api(`alarms/${alarm.id}`, { query: { language: currentLanguage() } });
    replace(place, content(context, whole, causes));
  } catch (error) {
    replace(place, h("p", { class: "form-error" }, error.message));
  }
  return shown;
}

function content({ t }, alarm, causes) {
  const title = (code) => causes.find((cause) => cause.code === code)?.title ?? code;
  const section = (name, ...children) => h("section", { class: "alarm-part" }, h("h3", {}, t(name)), children);
  return [
    h("p", { class: `alarm-head is-${alarm.level === "alarm" ? "alarm" : "warning"}` }, alarm.text),
    facts([[t("alarms.place"), alarm.path.join(" › ")], [t("alarms.level"), `${t(`state.${alarm.level}`)}, ${t(`alarms.state.${alarm.state}`)}`], [t("alarms.priority"), t(`alarms.priority.${alarm.priority}`)],
      [t("alarms.since"), time(alarm.since_ms, "full")], [t("alarms.cleared"), alarm.cleared_ms && time(alarm.cleared_ms, "full")],
      [t("alarms.known"), alarm.acknowledged && t("alarms.by", { who: alarm.acknowledged.who, time: time(alarm.acknowledged.when) })],
      [t("alarms.held"), alarm.held_why && `${alarm.held_why} (${alarm.held_by}, ${alarm.shelved_until_ms ? t("alarms.until", { time: time(alarm.shelved_until_ms) }) : t("alarms.review", { time: time(alarm.review_ms, "day") })})`],
      [t("alarms.cause"), alarm.cause && title(alarm.cause)]]),
    alarm.means && section("alarms.means", h("p", {}, alarm.means)),
    alarm.check.length > 0 && section("alarms.check", h("ol", { class: "alarm-check" }, alarm.check.map((text) => h("li", {}, text)))),
    alarm.act && section("alarms.do", h("p", {}, alarm.act)),
    alarm.comments.length > 0 && section("alarms.comments", h("ul", { class: "alarm-comments" }, alarm.comments.map((one) => h("li", {},
      h("p", { class: "muted" }, t("alarms.by", { who: one.who, time: time(one.when_ms) })), one.text && h("p", { class: "alarm-said" }, one.text),
      h("div", { class: "row" }, one.cause && tag(title(one.cause)), one.work_order && tag(`${t("alarms.order")} ${one.work_order}`)))))),
    section("alarms.history", h("ol", { class: "alarm-history" }, alarm.history.slice(0, 50).map((one) => h("li", {},
      h("time", {}, time(one.at_ms, "full")), h("span", {}, t(`alarms.act.${one.act}`, { level: t(`state.${one.act === "late" ? one.why : one.level}`) }), one.who && ` · ${one.who}`, one.act !== "late" && one.why && ` · ${one.why}`))))),
    alarm.records.length > 0 && section("alarms.records", h("p", { class: "muted" }, alarm.records.slice(0, 8).map(([boot, seq]) => t("alarms.record", { boot, seq })).join(" · "))),
  ];
}
