// What a quantity is called where there is little room; its whole title is the server's.

export function shortTitle(name, node, t) {
  const key = `quantity.${name.replace("energy.", "")}`;
  const text = t(key);
  return text === key ? node.quantities[name].title : text;
}
