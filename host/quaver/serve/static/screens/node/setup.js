// What the node is, its configuration with what-if before it is sent, commands with their answers.

import { h, later, replace } from "../../dom.js";
import { button, card, confirm, empty, errorText, facts, form, table } from "../../parts.js";
import { plant } from "../../plant.js";
import { number, time } from "../../words.js";
import { LINES, hertz } from "./records.js";

const SCOPES = { identify: "commands", measure: "commands", waveform: "commands", relearn: "configure" };
const AGAIN_MS = 3_000; // while an answer is waited for

export async function show(root, context, node) {
  const { t, api, live, may } = context;
  let asked = null; // the change that what-if was asked about last
  const answers = h("div", {});
  const verdict = h("div", { class: "stack", "aria-live": "polite" });
  const row = { ...node, ...plant.nodes.get(node.node) };

  const about = card(t("setup.facts"), facts([
    [t("setup.role"), t(`plant.role.${row.role === "gateway" ? "gateway.one" : "node.one"}`)], [t("setup.board"), row.board], [t("setup.firmware"), row.firmware],
    [t("setup.interval"), row.interval_s ? `${number(row.interval_s)} s` : null], [t("setup.id"), row.node], [t("setup.topic"), row.topic],
    ...Object.keys(LINES).filter((name) => node.marks_hz?.[name]).map((name) => [t(`spectrum.${name}`), hertz(node.marks_hz[name])]),
  ]));

  async function send(name, args = {}) {
    await api(`nodes/${node.node}/commands`, { method: "POST", body: { name, args } });
    context.toast(t("setup.sent"), "ok");
    await listCommands();
  }

  const commands = card(t("setup.commands"), h("div", { class: "commands" }, Object.entries(SCOPES).filter(([, scope]) => may(scope)).map(([name]) =>
    button(t(`setup.${name}`), async () => {
      if (name === "relearn" && !(await confirm(t("setup.relearn.sure", { name: node.name }), t("setup.relearn.help"), { yes: t("setup.relearn"), danger: true }))) return;
      await send(name);
    }, { kind: name === "relearn" ? "plain" : "plain" }))), h("h3", {}, t("setup.answers")), answers);

  const change = may("configure") ? form({
    fields: [{ name: "change", label: t("setup.change"), type: "textarea", required: true, help: t("setup.change.help"), attributes: { spellcheck: "false", class: "mono" } }],
    action: t("setup.whatif"), check: ({ change: text }) => ({ change: wrong(text) }),
    submit: async ({ change: text }) => {
      const answer = await api(`nodes/${node.node}/what-if`, { method: "POST", body: { change: parse(text) } });
      asked = text;
      replace(verdict, h("div", { class: "reading" }, (answer.lines ?? [JSON.stringify(answer, null, 1)]).map((line) => h("p", {}, line))));
    },
    extra: button(t("setup.send"), async () => {
      const { change: text } = change.values();
      const mistake = wrong(text);
      if (mistake || !text.trim()) return change.fail(mistake ?? t("error.required"));
      if (asked !== text) return change.fail(t("setup.whatif.first"));
      if (await confirm(t("setup.send.sure", { name: node.name }), t("setup.send.text"), { yes: t("setup.send") })) await send("config_set", { changes: parse(text) });
    }),
  }) : null;

  function wrong(text) {
    const line = lines(text).findIndex((one) => !/^[\w.]+\s*=\s*\S/.test(one));
    return line < 0 ? undefined : t("setup.bad", { line: line + 1 });
  }

  const known = h("div", { class: "stack", "aria-live": "polite" });
  let read = null; // the number of the answer that is shown
  function drawConfig({ config: found }) {
    replace(known, found
      ? [h("p", { class: "muted" }, t("setup.config.as", { time: time(found.read_ms), who: found.read_by })), h("pre", { class: "code", tabindex: "0", "aria-label": t("setup.config") }, JSON.stringify(found.values, null, 2))]
      : h("p", { class: "muted" }, t("setup.config.none")));
  }
  drawConfig(node);
  const config = card(t("setup.config"), known,
    may("configure") && button(t("setup.config.read"), () => send("config_get"), { kind: "plain" }), change?.element, verdict);

  let waits = 0;
  async function listCommands() {
    clearTimeout(waits);
    let found;
    try {
      found = (await api(`nodes/${node.node}/commands`)).commands;
    } catch (error) {
      // a page without an operator's key sends nothing: the server says what is missing
      return void replace(answers, empty(t("setup.none"), error.status === 409 ? t("setup.none.text") : errorText(error), { symbol: "unknown" }));
    }
    replace(answers, found.length ? table({
      caption: t("setup.answers"), rows: found, most: 10,
      columns: [
        { key: "name", title: t("setup.name"), main: true, cell: (one) => (SCOPES[one.name] ? t(`setup.${one.name}`) : one.name) },
        { key: "who", title: t("setup.who") }, { key: "sent_ms", title: t("setup.when"), cell: (one) => time(one.sent_ms) },
        { key: "state", title: t("setup.state"), cell: (one) => t(`setup.state.${stateOf(one)}`) },
        { key: "answer", title: t("setup.answer"), cell: (one) => one.error || (one.answer === null || one.answer === undefined ? null : typeof one.answer === "string" ? one.answer : JSON.stringify(one.answer)) },
      ],
    }).element : h("p", { class: "muted" }, t("setup.answers.none")));
    const last = found.find((one) => one.name.startsWith("config_") && stateOf(one) !== "waiting")?.id ?? null;
    if (last !== read) drawConfig(await api(`nodes/${node.node}`));
    read = last;
    if (found.some((one) => stateOf(one) === "waiting")) waits = setTimeout(listCommands, AGAIN_MS);
  }

  const stateOf = (one) => (one.error ? "failed" : one.answer !== null && one.answer !== undefined ? "answered" : one.state === "failed" ? "failed" : "waiting");
  replace(root, h("div", { class: "two-cards" }, h("div", { class: "stack" }, about, commands), config));
  const renew = later(listCommands, 500);
  const stops = [live("record", ({ node: of, kind }) => { if (of === node.node && kind === "answer") renew(); }), live("anew", renew)];
  await listCommands();
  return () => { for (const stop of stops) stop(); renew.stop(); clearTimeout(waits); };
}

const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);

/** "limits.velocity = 2.8, 4.5" a line as {path: value}: numbers, true and false, lists by commas, else text. */
export function parse(text) {
  const one = (word) => (word === "true" ? true : word === "false" ? false : word !== "" && Number.isFinite(Number(word)) ? Number(word) : word);
  return Object.fromEntries(lines(text).map((line) => {
    const [, name, value] = /^([\w.]+)\s*=\s*(.*)$/.exec(line);
    const parts = value.split(",").map((part) => one(part.trim()));
    return [name, parts.length > 1 ? parts : parts[0]];
  }));
}
