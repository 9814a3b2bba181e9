import { reads_from, receptive_field } from "../ops.js";
import { box, choice, extent, group, node, picture, plot, publish, result, said, slider, timed, unpack } from "../widgets.js";

const LUNG = [-1350, 150];
const cut = (x, n) => ({ shape: x.shape.slice(-2), data: x.data.subarray(n * x.shape.at(-1) * x.shape.at(-2), (n + 1) * x.shape.at(-1) * x.shape.at(-2)) });

function outline(mask) { // the pixels of a slice at whose edge the mask ends
  const [rows, columns] = mask.shape, on = (r, c) => r >= 0 && c >= 0 && r < rows && c < columns && mask.data[r * columns + c] > 0.5;
  const lines = [];
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) {
      if (!on(r, c)) continue;
      const add = (x1, y1, x2, y2) => lines.push(node("svg:line", { x1, y1, x2, y2, class: "mark other" }));
      if (!on(r - 1, c)) add(c, r, c + 1, r);
      if (!on(r + 1, c)) add(c, r + 1, c + 1, r + 1);
      if (!on(r, c - 1)) add(c, r, c, r + 1);
      if (!on(r, c + 1)) add(c + 1, r, c + 1, r + 1);
    }
  return lines;
}

export const views = {
  maps(root, data) {
    const patch = unpack(data.patch), mask = unpack(data.mask), size = patch.shape[0];
    const layers = data.maps.map((m) => ({ ...m, values: unpack(m.values) }));
    const controls = group(root, "controls"), change = timed(update);
    const names = layers.map((m, i) => [String(i), `${i + 1}: ${m.values.shape.slice(1).join("×")}, ${m.values.shape[0]} maps`]);
    const layer = choice(controls, { label: "Layer", options: names, value: "0", change: fresh });
    const slice = slider(controls, { label: "Slice", min: 1, max: 16, value: 8, change });
    const row = slider(controls, { label: "Row", min: 1, max: 16, value: 8, change });
    const column = slider(controls, { label: "Column", min: 1, max: 16, value: 8, change });
    const figures = group(root, "figures");
    const before = picture(figures, { label: "The patch, with the nodule's outline and the receptive field" });
    const big = picture(figures, { label: "The chosen map", press: (r, c) => { row.value = Math.floor(r) + 1; column.value = Math.floor(c) + 1; change(); } });
    const tiny = group(root, "tiny"), lines = group(root, "results");
    const value = result(lines, "Value here"), reach = result(lines, "Receptive field"), silent = result(lines, "Maps that are 0 everywhere");
    let chosen = 0, buttons = [];
    function fresh() {
      const { values } = layers[Number(layer.value)], n = values.shape[1];
      for (const bar of [slice, row, column]) {
        const share = (bar.value - 0.5) / Number(bar.input.max);
        bar.limit(1, n);
        bar.value = Math.min(Math.floor(share * n) + 1, n);
      }
      chosen = 0;
      buttons = Array.from({ length: values.shape[0] }, (_, i) => {
        const canvas = node("canvas", { width: n, height: n, "aria-hidden": "true" });
        const press = node("button", { type: "button", "aria-label": `map ${i + 1}` }, canvas);
        press.addEventListener("click", () => { chosen = i; change(); });
        return press;
      });
      tiny.replaceChildren(...buttons);
      change();
    }
    function update() {
      const index = Number(layer.value), { values } = layers[index], n = values.shape[1], each = n ** 3;
      const map = (i) => ({ shape: [n, n, n], data: values.data.subarray(i * each, (i + 1) * each) });
      let quiet = 0;
      buttons.forEach((press, i) => {
        const canvas = press.firstChild, context = canvas.getContext("2d"), pixels = context.createImageData(n, n);
        const part = cut(map(i), slice.value - 1), most = Math.max(...map(i).data, 1e-9);
        if (most < 1e-6) quiet++;
        part.data.forEach((v, k) => { pixels.data.set([255 * v / most, 255 * v / most, 255 * v / most, 255], 4 * k); });
        context.putImageData(pixels, 0, 0);
        press.setAttribute("aria-pressed", String(i === chosen));
      });
      const shown = cut(map(chosen), slice.value - 1);
      big.draw(shown, 0, Math.max(...map(chosen).data, 1e-9));
      big.caption.textContent = `Map ${chosen + 1} of layer ${index + 1}`;
      big.mark(box(column.value - 1, row.value - 1, 1, 1));
      const way = layers.slice(0, index + 1).map((m) => [m.kernel, m.stride]);
      const [z, r, c] = [slice, row, column].map((bar) => reads_from(way, size, bar.value - 1));
      const middle = Math.min(Math.max(Math.round((z[0] + z[1]) / 2), 0), size - 1);
      before.draw(cut(patch, middle), ...LUNG, { words: `slice ${middle + 1} of ${size}` });
      before.caption.textContent = `Slice ${middle + 1} of ${size} of the patch, the nodule's outline, and the receptive field`;
      before.mark(...outline(cut(mask, middle)), box(c[0], r[0], c[1] - c[0] + 1, r[1] - r[0] + 1));
      const here = shown.data[(row.value - 1) * n + column.value - 1], [field, step] = receptive_field(way);
      value.set(here);
      reach.set(`${field} × ${field} × ${field} mm, one number every ${step} mm${field > size ? ": more than the patch" : ""}`);
      silent.set(`${quiet} of ${values.shape[0]}`);
      publish("maps", { here, field, step, rows: r });
    }
    fresh();
  },

  heat(root, data) {
    const patch = unpack(data.patch), mask = unpack(data.mask), heat = { cam: unpack(data.cam), occlusion: unpack(data.occlusion) };
    const controls = group(root, "controls"), change = timed(update);
    const kind = choice(controls, { label: "Show", options: [["cam", "Grad-CAM"], ["occlusion", "occlusion"]], value: "occlusion", change });
    const slice = slider(controls, { label: "Slice", min: 1, max: patch.shape[0], value: 17, change });
    const figures = group(root, "figures"), before = picture(figures, { label: "The patch" }), after = picture(figures, { label: "What counts" });
    const most = result(group(root, "results"), "Largest in the whole patch");
    const names = { cam: "Grad-CAM of the first network", occlusion: "Fall of the expected rating (1 to 5) when hidden" };
    function update() {
      const n = slice.value - 1, values = heat[kind.value], [low, high] = extent(values), reach = Math.max(-low, high, 1e-9);
      before.draw(cut(patch, n), ...LUNG);
      before.mark(...outline(cut(mask, n)));
      after.draw(cut(values, n), -reach, reach, { signed: true });
      after.mark(...outline(cut(mask, n)));
      after.caption.textContent = names[kind.value];
      most.set(kind.value === "cam" ? said(high, 4) : `falls by ${said(high, 3)}, rises by ${said(Math.max(-low, 0), 3)}`);
      publish("heat", { low, high });
    }
    change();
  },

  what_if(root, data) {
    const controls = group(root, "controls"), change = timed(update);
    const words = { density: "its density", size: "its size", smooth: "its sharpness" };
    const kind = choice(controls, { label: "Change", options: Object.entries(words), value: "size", change: fresh });
    const place = group(controls, "part"), figures = group(root, "figures");
    const image = picture(figures, { label: "What the network is shown" });
    const chart = plot(figures, { label: "Probability that radiologists would call it malignant", x: [0, 1], y: [0, 1] });
    const lines = group(root, "results"), risk = result(lines, "Malignancy"), looks = result(lines, "Kind");
    let bar;
    function fresh() {
      const { found, start, label } = data.variants[kind.value];
      place.replaceChildren();
      bar = slider(place, { label, min: 0, max: found.length - 1, value: found.findIndex((f) => f.amount === start), show: (i) => said(found[i].amount), change });
      change();
    }
    function update() {
      const { found, label } = data.variants[kind.value], here = found[bar.value], p = here.malignancy;
      image.draw(unpack(here.image), ...LUNG);
      const xs = found.map((f) => f.amount), pad = (xs.at(-1) - xs[0]) * 0.05;
      chart.draw([
        { points: found.map((f) => [f.amount, f.malignancy.value]), colour: 0 },
        ...found.map((f) => ({ points: [[f.amount, f.malignancy.low], [f.amount, f.malignancy.high]], colour: 0 })),
        { points: [[here.amount, p.value]], kind: "dots", colour: 1 },
      ], { x: [xs[0] - pad, xs.at(-1) + pad], words: `At ${label} ${here.amount}: ${said(p.value)}` });
      risk.set(`${said(100 * p.value, 1)} % (95 %: ${said(100 * p.low, 1)} to ${said(100 * p.high, 1)} %)`);
      looks.set(["ground glass", "part-solid", "solid"][here.kind]);
      publish("what_if", p);
    }
    fresh();
  },
};
