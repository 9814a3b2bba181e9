// What a lesson is made of: sliders, choices, matrices, pictures, plots. Every control
// has a visible label and works by keyboard; every picture and plot says in words what
// it shows. What a lesson computes it also puts into `primer.results`, where tests read.

export const primer = { results: {}, slowest_ms: 0 };
globalThis.primer = primer;

let made = 0;
const fresh = () => `w${++made}`;
const SVG = "http://www.w3.org/2000/svg";

export function node(name, attributes = {}, ...children) {
  const svg = name.startsWith("svg:");
  const element = svg ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes))
    if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  element.append(...children.filter((c) => c !== null));
  return element;
}

export function group(root, kind, ...children) {
  const element = node("div", { class: kind }, ...children);
  root.append(element);
  return element;
}

// Run an update, and remember the slowest.
export function timed(update) {
  return (...args) => {
    const start = performance.now();
    update(...args);
    primer.slowest_ms = Math.max(primer.slowest_ms, performance.now() - start);
  };
}

export function publish(name, value) {
  primer.results[name] = value;
}

export function said(value, digits = 3) {
  if (typeof value !== "number") return String(value);
  if (Number.isNaN(value)) return "–";
  if (Math.abs(value) < 1e-12) return "0";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const text = Number.isInteger(value) && Math.abs(value) < 1e15 ? String(value)
    : Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 0.5 * 10 ** -Math.max(digits, 3))
    ? value.toExponential(Math.max(digits - 1, 1)) : String(Number(value.toFixed(digits)));
  return text.replaceAll("-", "−");
}

export const counted = (value) => Math.round(value).toLocaleString("en").replaceAll(",", "\u202f");

// ------------------------------------------------------------------- controls

export function slider(root, { label, min, max, step = 1, value, unit = "", show = (v) => said(v) + unit, change }) {
  const id = fresh();
  const input = node("input", { type: "range", id, min, max, step, value, "data-name": label });
  const shown = node("output", { for: id });
  const tell = () => {
    shown.textContent = show(Number(input.value));
    input.setAttribute("aria-valuetext", shown.textContent);
  };
  input.addEventListener("input", () => { tell(); change?.(); });
  root.append(node("div", { class: "control" }, node("label", { for: id }, label), input, shown));
  tell();
  return {
    input,
    get value() { return Number(input.value); },
    set value(v) { input.value = v; tell(); },
    limit(low, high) { input.min = low; input.max = high; tell(); },
  };
}

export function choice(root, { label, options, value, change }) {
  const id = fresh();
  const pairs = options.map((o) => (Array.isArray(o) ? o : [o, o]));
  const select = node("select", { id, "data-name": label },
    ...pairs.map(([key, text]) => node("option", { value: key, selected: key === value }, text)));
  select.addEventListener("change", () => change?.());
  root.append(node("div", { class: "control" }, node("label", { for: id }, label), select));
  return {
    input: select,
    get value() { return select.value; },
    set value(v) { select.value = v; },
  };
}

export function check(root, { label, value = false, change }) {
  const input = node("input", { type: "checkbox", checked: value, "data-name": label });
  input.addEventListener("change", () => change?.());
  root.append(node("label", { class: "control check" }, input, node("span", {}, label)));
  return { input, get value() { return input.checked; }, set value(v) { input.checked = v; } };
}

export function button(root, label, press) {
  const element = node("button", { type: "button" }, label);
  element.addEventListener("click", press);
  root.append(element);
  return element;
}

// A line of results, read aloud when it changes.
export function result(root, label) {
  const value = node("output", { "data-name": label, "aria-live": "polite" });
  root.append(node("p", { class: "result" }, node("span", {}, label), value));
  return { set(text) { value.textContent = typeof text === "number" ? said(text) : text; } };
}

// ------------------------------------------------------------------- matrices

const tint = (value, largest) => {
  const share = largest ? Math.min(Math.abs(value) / largest, 1) : 0;
  return `color-mix(in srgb, var(${value < 0 ? "--negative" : "--positive"}) ${Math.round(share * 55)}%, transparent)`;
};

function walk(event, table) { // arrows go from cell to cell
  const way = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!way || (way[1] && !event.altKey && event.target.value !== "" && event.target.type === "text" &&
    !atEnd(event.target, way[1]))) return;
  const cell = event.target.closest("td"), row = cell.parentElement;
  const next = table.rows[row.rowIndex + way[0]]?.cells[cell.cellIndex + way[1]]?.querySelector("input");
  if (!next) return;
  event.preventDefault();
  next.focus();
  next.select?.();
}

function atEnd(input, way) {
  const place = way < 0 ? 0 : input.value.length;
  const all = input.selectionStart === 0 && input.selectionEnd === input.value.length;
  return all || (input.selectionStart === place && input.selectionEnd === place);
}

// Numbers that can be changed.
export function numbers(root, { label, rows, change }) {
  const id = fresh(), table = node("table", { class: "cells", "data-name": label, "aria-labelledby": id });
  const values = rows.map((row) => [...row]);
  const paint = () => {
    const largest = Math.max(...values.flat().map(Math.abs), 1e-9);
    values.forEach((row, r) => row.forEach((v, c) => {
      table.rows[r].cells[c].style.background = tint(v, largest);
    }));
  };
  const body = node("tbody");
  rows.forEach((row, r) => body.append(node("tr", {}, ...row.map((value, c) => {
    const place = rows.length > 1 ? `row ${r + 1}, column ${c + 1}` : `place ${c + 1}`;
    const input = node("input", { type: "text", inputmode: "decimal", value: said(value), "aria-label": `${label}, ${place}`, autocomplete: "off" });
    input.addEventListener("input", () => {
      const text = input.value.trim().replace("−", "-").replace(",", "."), given = Number(text);
      const wrong = !Number.isFinite(given) || text === "";
      input.toggleAttribute("aria-invalid", wrong);
      if (wrong) return;
      values[r][c] = given;
      paint();
      change?.();
    });
    return node("td", {}, input);
  }))));
  table.append(body);
  table.addEventListener("keydown", (event) => walk(event, table));
  root.append(node("div", { class: "named" }, node("p", { id, class: "name" }, label), node("div", { class: "scroll" }, table)));
  paint();
  return {
    table,
    get values() { return values.map((row) => [...row]); },
    set values(rows) {
      rows.forEach((row, r) => row.forEach((v, c) => {
        values[r][c] = v;
        const input = table.rows[r].cells[c].querySelector("input");
        input.value = said(v);
        input.removeAttribute("aria-invalid");
      }));
      paint();
    },
  };
}

// Numbers that are shown; `mark` gives a class for a cell, `press` makes them buttons.
export function cells(root, { label, press = null }) {
  const id = fresh(), body = node("tbody");
  const table = node("table", { class: "cells shown", "data-name": label, "aria-labelledby": id }, body);
  root.append(node("div", { class: "named" }, node("p", { id, class: "name" }, label), node("div", { class: "scroll" }, table)));
  let before = "";
  return {
    table,
    draw(rows, { mark = () => "", digits = 2, plain = false } = {}) {
      const shape = rows.map((row) => row.length).join();
      if (shape !== before) {
        body.replaceChildren(...rows.map((row, r) => node("tr", {}, ...row.map((_, c) => {
          if (!press) return node("td");
          const inside = node("button", { type: "button" });
          inside.addEventListener("click", () => press(r, c));
          return node("td", {}, inside);
        }))));
        before = shape;
      }
      const largest = Math.max(...rows.flat().filter(Number.isFinite).map(Math.abs), 1e-9);
      rows.forEach((row, r) => row.forEach((value, c) => {
        const cell = body.rows[r].cells[c], inside = press ? cell.firstChild : cell;
        inside.textContent = value === null ? "" : said(value, digits);
        cell.className = mark(r, c);
        cell.style.background = plain || value === null ? "" : tint(value, largest);
        if (press) inside.setAttribute("aria-label", `row ${r + 1}, column ${c + 1}: ${said(value, digits)}`);
      }));
    },
  };
}

// ------------------------------------------------------------------- pictures

const BYTES = { int16: Int16Array, uint8: Uint8Array, float32: Float32Array, float64: Float64Array, int8: Int8Array };

// From what Python packed to a tensor.
export function unpack({ shape, type, base64, low = 0, step = 1 }) {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  const values = new BYTES[type](bytes.buffer), data = Float64Array.from(values);
  if (low !== 0 || step !== 1) for (let i = 0; i < data.length; i++) data[i] = low + step * data[i];
  return { shape, data };
}

// Grey from low to high; `signed` shows what is below 0 in one colour, above in another.
export function picture(root, { label, wide = false, press = null }) {
  const canvas = node("canvas", { role: "img", "aria-label": label, width: 1, height: 1 });
  const over = node("svg:svg", { class: "over", "aria-hidden": "true", preserveAspectRatio: "none" });
  const frame = node("div", { class: "frame" }, canvas, over), caption = node("figcaption", {}, label);
  root.append(node("figure", { class: wide ? "picture wide" : "picture" }, frame, caption));
  if (press) canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    press(((event.clientY - box.top) / box.height) * canvas.height, ((event.clientX - box.left) / box.width) * canvas.width);
  });
  let pixels = null;
  return {
    canvas, over, caption,
    draw(image, low, high, { signed = false, aspect = 1, words = null } = {}) {
      const [rows, columns] = image.shape.slice(-2), context = canvas.getContext("2d");
      if (!pixels || canvas.width !== columns || canvas.height !== rows) {
        canvas.width = columns;
        canvas.height = rows;
        pixels = context.createImageData(columns, rows);
        pixels.data.fill(255);
        canvas.classList.toggle("coarse", columns < 160);
        over.setAttribute("viewBox", `0 0 ${columns} ${rows}`);
      }
      frame.style.aspectRatio = `${columns} / ${rows * aspect}`;
      const { data } = image, out = pixels.data, factor = 255 / (high - low || 1);
      for (let i = 0, o = 0; i < rows * columns; i++, o += 4) {
        const grey = (data[i] - low) * factor;
        if (!signed) out[o] = out[o + 1] = out[o + 2] = grey;
        else { // around 0: blue below, orange above, as bright as it is far
          const share = Math.min(Math.abs(data[i]) / high, 1), up = data[i] > 0;
          out[o] = share * (up ? 255 : 60);
          out[o + 1] = share * (up ? 165 : 150);
          out[o + 2] = share * (up ? 60 : 255);
        }
      }
      context.putImageData(pixels, 0, 0);
      if (words) canvas.setAttribute("aria-label", `${label}: ${words}`);
    },
    mark(...shapes) { over.replaceChildren(...shapes); },
  };
}

export const box = (x, y, width, height, kind = "mark") =>
  node("svg:rect", { x, y, width, height, class: kind, "vector-effect": "non-scaling-stroke" });

export function extent(image) {
  let low = Infinity, high = -Infinity;
  for (const v of image.data) {
    if (v < low) low = v;
    if (v > high) high = v;
  }
  return [low, high];
}

// ---------------------------------------------------------------------- plots

const nice = (low, high, wanted = 5) => {
  const rough = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((m) => m * power >= rough) * power;
  const ticks = [];
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) ticks.push(Math.abs(v) < step / 1e6 ? 0 : v);
  return ticks;
};

// Series: {name, points: [[x, y]], kind: "line" | "dots" | "bars" | "steps" | "thin"}.
export function plot(root, { label, x, y, across = "", up = "", log = false, ticks = null, height = 260 }) {
  const width = 460, left = 46, bottom = height - 34, right = width - 10, top = 10;
  const svg = node("svg:svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, class: "plot" });
  const legend = node("ul", { class: "legend" });
  root.append(node("figure", { class: "chart" }, node("figcaption", {}, label), svg, legend));
  let range = { x, y };
  const scale = (v) => (log ? Math.log10(v) : v);
  const px = (v) => left + ((scale(v) - scale(range.x[0])) / (scale(range.x[1]) - scale(range.x[0]))) * (right - left);
  const py = (v) => bottom - ((v - range.y[0]) / (range.y[1] - range.y[0])) * (bottom - top);
  const held = (v) => Math.min(Math.max(v, -1e4), 1e4).toFixed(1);
  const text = (words, at, extra) => node("svg:text", { x: at[0], y: at[1], ...extra }, words);
  const clip = fresh();
  function axes() {
    const parts = [node("svg:clipPath", { id: clip }, node("svg:rect", { x: left, y: top - 4, width: right - left, height: bottom - top + 8 }))];
    for (const v of nice(...range.y)) parts.push(
      node("svg:line", { x1: left, x2: right, y1: py(v), y2: py(v), class: v === 0 ? "zero" : "rule" }),
      text(said(v), [left - 6, py(v) + 4], { "text-anchor": "end" }));
    for (const v of ticks ?? nice(...range.x)) parts.push(
      node("svg:line", { x1: px(v), x2: px(v), y1: top, y2: bottom, class: v === 0 ? "zero" : "rule" }),
      text(said(v), [px(v), bottom + 15], { "text-anchor": "middle" }));
    parts.push(text(across, [(left + right) / 2, height - 3], { "text-anchor": "middle", class: "axis" }));
    if (up) parts.push(text(up, [0, 0], { "text-anchor": "middle", class: "axis", transform: `translate(11 ${(top + bottom) / 2}) rotate(-90)` }));
    return parts;
  }
  function drawn({ points, kind = "line" }, colour) {
    const good = points.filter(([a, b]) => Number.isFinite(a) && Number.isFinite(b));
    if (kind === "dots") return good.map(([a, b]) => node("svg:circle", { cx: held(px(a)), cy: held(py(b)), r: 3.5, class: `dot c${colour}` }));
    if (kind === "bars") {
      const gap = points.length > 1 ? Math.abs(px(points[1][0]) - px(points[0][0])) : 20, wide = Math.max(gap * 0.86, 0.6);
      return good.map(([a, b]) => node("svg:rect", { x: held(px(a) - wide / 2), width: wide.toFixed(2), y: held(Math.min(py(b), py(0))), height: Math.max(Math.abs(py(b) - py(0)), 0).toFixed(1), class: `bar c${colour}` }));
    }
    let path = "";
    good.forEach(([a, b], i) => {
      if (kind === "steps" && i) path += `H${held(px(a))}`;
      path += `${i ? "L" : "M"}${held(px(a))} ${held(py(b))}`;
    });
    return [node("svg:path", { d: path, class: `${kind === "thin" ? "thin" : "line"} c${colour}` })];
  }
  return {
    svg,
    draw(series, { x = range.x, y = range.y, words = null } = {}) {
      range = { x, y };
      const inside = node("svg:g", { "clip-path": `url(#${clip})` }, ...series.flatMap((s, i) => drawn(s, s.colour ?? i)));
      svg.replaceChildren(...axes(), inside);
      legend.replaceChildren(...series.filter((s) => s.name).map((s) =>
        node("li", { class: `c${s.colour ?? series.indexOf(s)}` }, s.name)));
      svg.setAttribute("aria-label", words ? `${label}. ${words}` : label);
    },
  };
}

// --------------------------------------------------------------------- motion

// Play steps 0 to count() - 1 of a slider, one after another.
export function player(root, bar, { change, ms = 350 }) {
  let timer = null;
  const stop = () => { clearInterval(timer); timer = null; press.textContent = "Play"; };
  const press = button(root, "Play", () => {
    if (timer) return stop();
    press.textContent = "Stop";
    if (bar.value >= Number(bar.input.max)) bar.value = Number(bar.input.min);
    timer = setInterval(() => {
      if (bar.value >= Number(bar.input.max)) return stop();
      bar.value = bar.value + Number(bar.input.step);
      change();
    }, ms);
  });
  bar.input.addEventListener("input", () => timer && stop());
  return press;
}

export function start(views) {
  const data = JSON.parse(document.getElementById("data").textContent);
  for (const root of document.querySelectorAll("[data-view]")) views[root.dataset.view](root, data);
  document.documentElement.dataset.ready = "yes";
}
