import { average_pool, from_rows, max_pool, reshaped, spatial_pyramid_pool, to_rows } from "../ops.js";
import { box, cells, choice, group, numbers, picture, plot, publish, result, said, slider, timed, unpack } from "../widgets.js";

const as_image = (x) => reshaped(x, [1, ...x.shape, 1]);
const flat = (x) => reshaped(x, x.shape.slice(1, 3));

function cut(image, row, column, rows, columns) {
  const data = new Float64Array(rows * columns);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) data[r * columns + c] = image.data[(row + r) * image.shape[1] + column + c];
  return { shape: [rows, columns], data };
}

export const views = {
  grid(root, data) {
    const controls = group(root, "controls"), change = timed(update);
    const kind = choice(controls, { label: "Keep", options: [["max", "the largest"], ["average", "the average"]], value: "max", change });
    const size = slider(controls, { label: "Window", min: 1, max: 5, value: 2, change });
    const stride = slider(controls, { label: "Stride", min: 1, max: 4, value: 2, change });
    const figures = group(root, "figures");
    const matrix = numbers(group(figures, "part"), { label: "Input", rows: data.matrix, change });
    const shown = cells(group(figures, "part"), { label: "Pooled" });
    const lines = group(root, "results");
    const kept = result(lines, "Values left"), gone = result(lines, "Discarded");
    function update() {
      const x = from_rows(matrix.values), pool = kind.value === "max" ? max_pool : average_pool;
      const y = to_rows(flat(pool(as_image(x), size.value, stride.value)));
      const best = new Set();
      y.forEach((row, r) => row.forEach((v, c) => {
        for (let i = 0; i < size.value; i++)
          for (let j = 0; j < size.value; j++) {
            const place = (r * stride.value + i) * 8 + c * stride.value + j;
            if (kind.value === "max" && x.data[place] === v) { best.add(place); return; }
          }
      }));
      [...matrix.table.rows].forEach((row, r) => [...row.cells].forEach((cell, c) => cell.classList.toggle("on", best.has(r * 8 + c))));
      shown.draw(y);
      const count = y.flat().length;
      kept.set(`${count} of 64`);
      gone.set(`${said(100 * (1 - count / 64), 1)} %`);
      publish("pooled", y);
    }
    change();
  },

  shift(root, data) {
    const whole = unpack(data.cut), controls = group(root, "controls"), change = timed(update);
    const n = whole.shape[0], inner = n - 16;
    const across = slider(controls, { label: "Shift across", min: -8, max: 8, value: 1, unit: " px", change });
    const down = slider(controls, { label: "Shift down", min: -8, max: 8, value: 0, unit: " px", change });
    const size = slider(controls, { label: "Window", min: 2, max: 16, value: 4, change });
    const small = group(root, "figures");
    const images = ["Image", "Shifted", "Pooled, shifted"].map((label) => picture(small, { label }));
    const chart = plot(small, { label: "Change by the shift, as a share", x: [-0.5, 2.5], y: [0, 1], ticks: [] });
    const lines = group(root, "results");
    const outs = ["image", "average pool", "max pool"].map((name) => result(lines, `Change of the ${name}`));
    function update() {
      const here = cut(whole, 8, 8, inner, inner), there = cut(whole, 8 + down.value, 8 + across.value, inner, inner);
      const pooled = (pool, x) => flat(pool(as_image(x), size.value));
      const change = (a, b) => {
        let top = 0, bottom = 0;
        a.data.forEach((v, i) => { top += (v - b.data[i]) ** 2; bottom += (v + 1000) ** 2; });
        return Math.sqrt(top / bottom);
      };
      const most = pooled(max_pool, there);
      const found = [change(here, there), change(pooled(average_pool, here), pooled(average_pool, there)), change(pooled(max_pool, here), most)];
      [here, there, most].forEach((x, i) => images[i].draw(x, -1350, 150));
      chart.draw(found.map((v, i) => ({ name: ["image", "average pool", "max pool"][i], points: [[i, v]], kind: "bars" })), { y: [0, Math.max(...found, 0.01) * 1.1] });
      found.forEach((v, i) => outs[i].set(`${said(100 * v, 1)} %`));
      publish("shift", found);
    }
    change();
  },

  pyramid(root, data) {
    const whole = unpack(data.cut), controls = group(root, "controls"), change = timed(update), n = whole.shape[0];
    const sizes = ["First size", "Second size"].map((label, i) => slider(controls, { label, min: 8, max: n, value: [24, n][i], unit: " px", change }));
    const kind = choice(controls, { label: "Keep", options: ["max", "average"], value: "max", change });
    const level = choice(controls, { label: "Show bins of", options: [["1", "1 × 1"], ["2", "2 × 2"], ["4", "4 × 4"]], value: "4", change });
    const figures = group(root, "figures");
    const images = ["First", "Second"].map((label) => picture(figures, { label }));
    const chart = plot(figures, { label: "The 21 numbers of each", x: [0.5, 21.5], y: [-1000, 200], across: "bin: 1, then 4, then 16", up: "HU" });
    const length = result(group(root, "results"), "Numbers");
    function update() {
      const found = sizes.map((bar, i) => {
        const size = bar.value, from = Math.floor((n - size) / 2), x = cut(whole, from, from, size, size), parts = Number(level.value);
        images[i].draw(x, -1350, 150);
        const marks = [];
        for (let r = 0; r < parts; r++)
          for (let c = 0; c < parts; c++) {
            const edge = (k) => [Math.floor((k * size) / parts), Math.ceil(((k + 1) * size) / parts)];
            const [top, bottom] = edge(r), [left, right] = edge(c);
            marks.push(box(left, top, right - left, bottom - top));
          }
        images[i].mark(...marks);
        return [...spatial_pyramid_pool(as_image(x), [1, 2, 4], kind.value).data];
      });
      const all = found.flat();
      chart.draw(found.map((v, i) => ({ name: ["first", "second"][i], points: v.map((value, k) => [k + 1, value]) })),
        { y: [Math.min(...all, -100) - 50, Math.max(...all, 100) + 50] });
      length.set(`${found[0].length} and ${found[1].length}`);
      publish("pyramid", found);
    }
    change();
  },
};
