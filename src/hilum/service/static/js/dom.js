// Making elements. Text goes in as text, never as HTML.

export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name in node && name !== "list" && name !== "form") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined));
  return node;
}

export function show(parent, ...children) {
  parent.replaceChildren(...children.flat(Infinity).filter(Boolean));
}

let fading = 0;

// Say something at the foot of the page for a moment.
export function say(text, wrong = false) {
  const place = document.getElementById("said");
  place.textContent = text;
  place.className = wrong ? "wrong shown" : "shown";
  clearTimeout(fading);
  fading = setTimeout(() => (place.className = ""), wrong ? 8000 : 3000);
}

export function complain(error) {
  say(error.message || String(error), true);
}
