// Makes elements. Text goes in as text alone: nothing here, or anywhere in the page, reads a string as HTML.

const SVG = "http://www.w3.org/2000/svg";
const SAFE_LINK = /^(#|[a-z0-9._~/?=&%-]*$|https?:\/\/|mailto:)/i;

/** An element. attributes: {class, id, on: {click: f}, style: {"--x": 1}, data: {key: value}, ...}; false and null are
 *  left out, true is an empty attribute. children: elements, texts, numbers, arrays of them; null and false are left out. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** As h, of SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, callback] of Object.entries(value)) element.addEventListener(event, callback);
    else if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "value" && "value" in element) element.value = value;
    else if (name.startsWith("on")) throw new Error(`${name}: handlers go into on: {…}`);
    else if ((name === "href" || name === "src") && !SAFE_LINK.test(value)) continue;
    else element.setAttribute(name, value === true ? "" : value);
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(element, child);
    else if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

/** Puts children in the place of what the element held. Returns the element. */
export function replace(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** A symbol of icons.svg, without a name for a screen reader: the text beside it has the word. label: where there is none. */
export function icon(name, label = "") {
  const use = svg("use", {});
  use.setAttribute("href", `#icon-${name}`);
  return svg("svg", { class: `icon icon-${name}`, role: label ? "img" : null, "aria-label": label || null, "aria-hidden": label ? null : "true", focusable: "false" }, use);
}

/** Puts the symbols of icons.svg into the page, once: they stay when the server is gone. */
async function loadIcons() {
  const text = await (await fetch("icons.svg")).text();
  const sheet = document.importNode(new DOMParser().parseFromString(text, "image/svg+xml").documentElement, true);
  for (const symbol of sheet.querySelectorAll("symbol")) symbol.id = `icon-${symbol.id}`;
  sheet.setAttribute("class", "unseen");
  sheet.setAttribute("aria-hidden", "true");
  document.documentElement.append(sheet); // beside the body, which the shell fills anew
}
void loadIcons();

let numbers = 0;

/** An id that no other element has. */
export function unique(prefix = "q") {
  numbers += 1;
  return `${prefix}${numbers}`;
}

/** Calls `callback` once, `wait` ms after the last call; at most `most` ms after the first. */
export function later(callback, wait, most = wait * 5) {
  let timer = 0;
  let first = 0;
  const run = (...all) => {
    const now = performance.now();
    first ||= now;
    clearTimeout(timer);
    timer = setTimeout(() => { first = 0; callback(...all); }, Math.max(0, Math.min(wait, first + most - now)));
  };
  run.stop = () => { clearTimeout(timer); first = 0; };
  return run;
}
