// What a quantity is called where there is little room, and its whole title.

import { currentLanguage } from "../../words.js";

export function shortTitle(name, node, t) {
  const [, phase, of] = /^phases\.(l\d)_(.+)$/.exec(name) ?? [];
  if (phase) return `${t(`quantity.${of}`)} ${phase.toUpperCase()}`;
  const key = `quantity.${name.replace("energy.", "")}`;
  const text = t(key);
  return text === key ? node.quantities[name].title : text;
}

/** The server's title is English; other languages have one among the words, or the short one. */
export function wholeTitle(name, node, t) {
  const key = `title.${name}`;
  const text = t(key);
  if (text !== key) return text;
  return currentLanguage() === "en" ? node.quantities[name].title : shortTitle(name, node, t);
}
