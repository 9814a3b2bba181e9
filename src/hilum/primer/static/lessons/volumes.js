import { SOBEL, convolution_cost, convolve, mapped, output_size, reshaped, tensor } from "../ops.js";
import { choice, check, counted, group, node, picture, publish, result, said, slider, timed, unpack } from "../widgets.js";

const LUNG = [-1350, 150];

export const views = {
  cost(root) {
    const controls = group(root, "controls"), change = timed(update);
    const rank = choice(controls, { label: "Axes", options: [["2", "2D: row, column"], ["3", "3D: slice, row, column"]], value: "3", change });
    const size = slider(controls, { label: "Input size", min: 8, max: 512, step: 8, value: 64, change });
    const channels = slider(controls, { label: "Channels in", min: 1, max: 128, value: 16, change });
    const filters = slider(controls, { label: "Filters", min: 1, max: 128, value: 32, change });
    const kernel = slider(controls, { label: "Kernel", min: 1, max: 7, value: 3, change });
    const stride = slider(controls, { label: "Stride", min: 1, max: 4, value: 1, change });
    const lines = group(root, "results");
    const shape = result(lines, "Output"), memory = result(lines, "Memory of the output, float32");
    const table = node("table", { class: "plain" }), body = node("tbody");
    table.append(node("thead", {}, node("tr", {}, ...["Layer", "Parameters", "Multiply-adds", "share"].map((h, i) => node("th", { scope: "col", class: i ? "number" : null }, h)))), body);
    root.append(node("div", { class: "scroll" }, table));
    function update() {
      const n = Number(rank.value), k = kernel.value, s = stride.value, m = channels.value, f = filters.value;
      const outs = (step) => Array(n).fill(output_size(size.value, k, step, "same"));
      const full = convolution_cost(outs(s), Array(n).fill(k), m, f);
      const half = convolution_cost(outs(2 * s), Array(n).fill(k), m, f);
      const rows = [["This layer", full], ["with twice the stride", half]];
      if (n === 3) { // (1, k, k), then (k, 1, 1)
        const flat = convolution_cost(outs(s), [1, k, k], m, f), tall = convolution_cost(outs(s), [k, 1, 1], f, f);
        rows.push([`1×${k}×${k}, then ${k}×1×1`, [flat[0] + tall[0], flat[1] + tall[1]]]);
        rows.push(["the same in 2D, slice by slice", convolution_cost(outs(s), [1, k, k], m, f)]);
      }
      const deep = convolution_cost(outs(s), Array(n).fill(1), m, f);
      rows.push(["a kernel of 1: channels alone", deep]);
      shape.set([...outs(s), f].map(counted).join(" × "));
      const bytes = 4 * f * outs(s).reduce((a, b) => a * b, 1);
      memory.set(bytes < 1e9 ? `${said(bytes / 1e6, 1)} MB` : `${said(bytes / 1e9, 2)} GB`);
      body.replaceChildren(...rows.map(([name, [parameters, work]]) => node("tr", {}, node("td", {}, name),
        ...[counted(parameters), counted(work), `${said((100 * work) / full[1], 1)}\u00a0%`].map((t) => node("td", { class: "number" }, t)))));
      publish("cost", { outputs: outs(s), parameters: full[0], work: full[1] });
    }
    change();
  },

  mix(root, data) {
    const cube = unpack(data.cube), controls = group(root, "controls"), change = timed(update), n = cube.shape[0];
    const names = ["edge across", "edge down", "average"];
    const weights = names.map((name, i) => slider(controls, { label: `× ${name}`, min: -2, max: 2, step: 0.1, value: [1, 1, -0.5][i], change }));
    const figures = group(root, "figures small"), maps = names.map((label) => picture(figures, { label }));
    const mixed = picture(group(root, "figures"), { label: "Mixed by the 1 × 1 filter" });
    const kernels = [SOBEL, SOBEL.map((_, c) => SOBEL.map((row) => row[c])), SOBEL.map((row) => row.map(() => 1 / 9))];
    const kernel = tensor([3, 3, 1, 3]);
    for (let i = 0; i < 9; i++) kernels.forEach((k, f) => { kernel.data[i * 3 + f] = k[Math.floor(i / 3)][i % 3]; });
    const middle = tensor([1, n, n, 1], cube.data.slice((n / 2) * n * n, (n / 2 + 1) * n * n).map((v) => (v + 850) / 1000)); // lung is 0, as the padding is
    const stack = convolve(middle, kernel, null, { padding: "same" });
    maps.forEach((map, f) => map.draw({ shape: [n, n], data: stack.data.filter((_, i) => i % 3 === f) }, -1, f < 2 ? 2 : 1, { signed: true }));
    function update() {
      const y = convolve(stack, tensor([1, 1, 3, 1], weights.map((w) => w.value)));
      mixed.draw(reshaped(y, [n, n]), -3, 3, { signed: true });
      publish("mix", reshaped(y, [n, n]));
    }
    change();
  },

  solid(root, data) {
    const cube = unpack(data.cube), n = cube.shape[0], controls = group(root, "controls");
    const blob = (size) => Array.from({ length: size }, (_, i) => (i === (size - 1) / 2 ? 1 : -1 / (size - 1)));
    const kinds = {
      "blob (the middle less its neighbours)": [tensor([3, 3, 3, 1, 1], blob(27)), tensor([1, 3, 3, 1, 1], blob(9))],
      "average of 3": [tensor([3, 3, 3, 1, 1], Array(27).fill(1 / 27)), tensor([1, 3, 3, 1, 1], Array(9).fill(1 / 9))],
      "edge to the head": [tensor([3, 1, 1, 1, 1], [-1, 0, 1]), tensor([1, 1, 1, 1, 1], [0])],
      "wide blob (of 7, less its surroundings)": wide(),
    };
    function wide() { // a ball of radius 2.5 against the rest of 7 x 7 x 7, or a disc
      const make = (deep) => {
        const from = deep ? -3 : 0, to = deep ? 3 : 0, inside = [];
        for (let z = from; z <= to; z++) for (let r = -3; r <= 3; r++) for (let c = -3; c <= 3; c++) inside.push(z * z + r * r + c * c <= 6.25);
        const many = inside.filter(Boolean).length;
        return tensor([deep ? 7 : 1, 7, 7, 1, 1], inside.map((on) => (on ? 1 / many : -1 / (inside.length - many))));
      };
      return [make(true), make(false)];
    }
    const kind = choice(controls, { label: "Filter", options: Object.keys(kinds), value: "wide blob (of 7, less its surroundings)", change: fresh });
    const slice = slider(controls, { label: "Slice", min: 1, max: n, value: n / 2, change: timed(update) });
    const figures = group(root, "figures");
    const before = picture(figures, { label: "The slice, 1 mm" }), flat = picture(figures, { label: "Filtered in 2D" }), solid = picture(figures, { label: "Filtered in 3D" });
    const lines = group(root, "results"), work = result(lines, "Multiply-adds, 2D and 3D"), most = result(lines, "Largest answer in this slice, 2D and 3D");
    const image = mapped(reshaped(cube, [1, n, n, n, 1]), (v) => v + 850); // lung is 0, as the padding is
    let answers;
    function fresh() {
      answers = kinds[kind.value].map((kernel) => convolve(image, kernel, null, { padding: "same" }));
      timed(update)();
    }
    function update() {
      const from = (slice.value - 1) * n * n, cut = (x) => ({ shape: [n, n], data: x.data.subarray(from, from + n * n) });
      const [three, two] = answers.map(cut);
      before.draw(cut(cube), ...LUNG);
      const signed = kind.value !== "average of 3", range = signed ? [-500, 500] : [0, 950];
      flat.draw(two, ...range, { signed });
      solid.draw(three, ...range, { signed });
      const costs = kinds[kind.value].map((k) => convolution_cost([n, n, n], k.shape.slice(0, 3), 1, 1)[1]);
      work.set(`${counted(costs[1])}, ${counted(costs[0])}`);
      most.set(`${said(Math.max(...two.data), 0)}, ${said(Math.max(...three.data), 0)}`);
      publish("solid", { slice: slice.value, most: [Math.max(...two.data), Math.max(...three.data)] });
    }
    fresh();
  },
};
