import { convolve, filter_image, from_rows, reshaped, tensor, to_rows } from "../ops.js";
import { button, cells, choice, extent, group, numbers, picture, player, publish, result, said, slider, timed, unpack } from "../widgets.js";

const as_image = (x) => reshaped(x, [1, ...x.shape, 1]);
const as_kernel = (x) => reshaped(x, [...x.shape, 1, 1]);
const flat = (x) => reshaped(x, x.shape.slice(1, 3));

export const views = {
  sheet(root, data) {
    const change = timed(update);
    let at = 0;
    const controls = group(root, "controls");
    const place = slider(controls, { label: "Cell of the result", min: 1, max: 25, value: 1, change: () => { at = place.value - 1; change(); } });
    player(group(controls, "buttons"), place, { change: () => { at = place.value - 1; change(); } });
    const figures = group(root, "figures");
    const matrix = numbers(group(figures, "part"), { label: "Matrix", rows: data.matrix, change });
    const kernel = numbers(group(figures, "part"), { label: "Filter", rows: data.edge, change });
    const shown = cells(group(figures, "part"), { label: "Result", press: (r, c) => { at = r * 5 + c; place.value = at + 1; change(); } });
    const sum = result(group(root, "results"), "Sum of products");
    function update() {
      const x = from_rows(matrix.values), k = from_rows(kernel.values);
      const y = to_rows(flat(convolve(as_image(x), as_kernel(k))));
      const row = Math.floor(at / 5), column = at % 5;
      [...matrix.table.rows].forEach((line, r) => [...line.cells].forEach((cell, c) =>
        cell.classList.toggle("read", r >= row && r < row + 3 && c >= column && c < column + 3)));
      shown.draw(y, { mark: (r, c) => (r === row && c === column ? "on" : "") });
      const parts = k.data.length ? [...k.data].map((w, i) => `${said(x.data[(row + Math.floor(i / 3)) * 7 + column + (i % 3)])}·${said(w)}`) : [];
      sum.set(`${parts.join(" + ")} = ${said(y[row][column])}`);
      publish("sheet", y);
    }
    change();
  },

  letter(root, data) {
    const image = from_rows(data.letter), random = unpack(data.random), change = timed(update);
    const controls = group(root, "controls");
    const number = slider(controls, { label: "Random filter", min: 1, max: 40, value: 1, change: () => { kernel.values = drawn(); change(); } });
    const drawn = () => to_rows({ shape: [3, 3], data: random.data.subarray((number.value - 1) * 9, number.value * 9) });
    const figures = group(root, "figures");
    const before = picture(figures, { label: "The letter A" });
    const kernel = numbers(group(figures, "part"), { label: "Filter", rows: drawn(), change });
    const after = picture(figures, { label: "What the filter answers" });
    before.draw(image, 0, 1);
    function update() {
      const y = flat(convolve(as_image(image), as_kernel(from_rows(kernel.values)), null, { padding: "same" }));
      const largest = Math.max(...y.data.map(Math.abs), 1e-9);
      after.draw(y, -largest, largest, { signed: true, words: `from ${said(Math.min(...y.data))} to ${said(Math.max(...y.data))}` });
      publish("letter", to_rows(y));
    }
    change();
  },

  slice(root, data) {
    const slice = unpack(data.slice), change = timed(update);
    const controls = group(root, "controls");
    const filter = choice(controls, { label: "Filter", options: Object.keys(data.filters), value: "edge across", change: fresh });
    const level = slider(controls, { label: "Window level", min: -1000, max: 400, step: 10, value: -600, unit: " HU", change: timed(window_) });
    const width = slider(controls, { label: "Window width", min: 50, max: 3000, step: 50, value: 1500, unit: " HU", change: timed(window_) });
    const gain = slider(controls, { label: "Strength", min: 0.1, max: 3, step: 0.1, value: 1, unit: "×", change });
    const figures = group(root, "figures");
    const before = picture(figures, { label: "The slice" }), after = picture(figures, { label: "Filtered" });
    const place = group(root, "part");
    const range = result(group(root, "results"), "Values of the result");
    let kernel;
    function fresh() {
      place.replaceChildren();
      kernel = numbers(place, { label: "Filter", rows: data.filters[filter.value], change });
      change();
    }
    function window_() {
      before.draw(slice, level.value - width.value / 2, level.value + width.value / 2);
      paint();
    }
    let y, k;
    function update() {
      k = from_rows(kernel.values.map((row) => row.map((v) => v * gain.value)));
      y = filter_image(slice, k);
      const [low, high] = extent(y);
      range.set(`${said(low, 1)} to ${said(high, 1)}`);
      publish("slice", { low, high, kernel: to_rows(k) });
      publish("slice_values", y);
      paint();
    }
    function paint() {
      const total = k.data.reduce((a, b) => a + b, 0), keeps = total > 0.05 && Math.min(...k.data) >= -1.001 && !filter.value.startsWith("learned");
      if (keeps) after.draw(y, level.value - width.value / 2, level.value + width.value / 2, { words: "grey values as in the window" });
      else after.draw(y, -width.value, width.value, { signed: true, words: "blue below 0, orange above" });
    }
    fresh();
    window_();
  },
};
