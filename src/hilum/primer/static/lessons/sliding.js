import { gaussian_kernel, slide } from "../ops.js";
import { choice, check, cells, group, numbers, player, plot, publish, result, said, slider, timed, unpack } from "../widgets.js";

const steps = (values, shift = 0) => [...values].flatMap((v, i) => [[i + shift - 0.5, v], [i + shift + 0.5, v]]);
const closed = (values, shift) => [[shift - 0.5, 0], ...steps(values, shift), [shift + values.length - 0.5, 0]];

export const views = {
  pulses(root) {
    const controls = group(root, "controls");
    const change = timed(update);
    const first = slider(controls, { label: "Long pulse", min: 1, max: 16, value: 8, change });
    const second = slider(controls, { label: "Short pulse", min: 1, max: 16, value: 8, change });
    const place = slider(controls, { label: "Place", min: 0, max: 14, value: 7, change });
    player(group(controls, "buttons"), place, { change });
    const figures = group(root, "figures");
    const above = plot(figures, { label: "The two pulses and their product", x: [-16.5, 32.5], y: [0, 1.4], across: "place" });
    const below = plot(figures, { label: "The sum at every place", x: [-16.5, 32.5], y: [0, 17], across: "place of the short pulse's last element" });
    const sum = result(group(root, "results"), "Sum at this place");
    function update() {
      const a = Array(first.value).fill(1), b = Array(second.value).fill(1), y = slide(a, b);
      place.limit(0, y.length - 1);
      const at = Math.min(place.value, y.length - 1), shift = at - b.length + 1;
      const product = a.map((v, i) => (i >= shift && i <= at ? v : 0));
      above.draw([
        { name: "long pulse", points: closed(a, 0) },
        { name: "short pulse", points: closed(b.map((v) => v * 1.15), shift) },
        { name: "product", points: product.map((v, i) => [i, v]), kind: "bars", colour: 4 },
      ], { words: `${y[at]} cells overlap` });
      below.draw([
        { points: [...y].map((v, i) => [i, v]) },
        { points: [[at, y[at]]], kind: "dots", colour: 1 },
      ], { words: `It rises to ${Math.max(...y)} and falls again; here ${y[at]}` });
      sum.set(`${said(y[at])} = ${product.filter(Boolean).map(() => "1 × 1").join(" + ") || "0"}`);
      publish("pulses", { y: [...y], at });
    }
    change();
  },

  flips(root) {
    const change = timed(update);
    const presets = {
      "an impulse": [[0, 0, 0, 0, 1, 0, 0, 0, 0], [1, 2, 4]],
      "two impulses": [[0, 1, 0, 0, 0, 0, -1, 0, 0], [1, 2, 4]],
      "a step": [[0, 0, 0, 0, 1, 1, 1, 1, 1], [-1, 0, 1]],
      "a symmetric kernel": [[0, 0, 3, 1, 4, 1, 5, 0, 0], [1, 2, 1]],
    };
    const preset = choice(group(root, "controls"), {
      label: "Start from", options: Object.keys(presets), value: "an impulse",
      change: () => { [signal.values, kernel.values] = presets[preset.value].map((row) => [row]); change(); },
    });
    const signal = numbers(root, { label: "Signal", rows: [presets["an impulse"][0]], change });
    const kernel = numbers(root, { label: "Kernel", rows: [presets["an impulse"][1]], change });
    const flipped = cells(root, { label: "Convolution: with the flip" });
    const straight = cells(root, { label: "Cross-correlation: without, as in networks" });
    const chart = plot(group(root, "figures"), { label: "Both results", x: [-0.5, 10.5], y: [-5, 5], across: "place" });
    const alike = result(group(root, "results"), "Largest difference");
    function update() {
      const [x] = signal.values, [k] = kernel.values;
      const y = [...slide(x, k)], z = [...slide(x, k, { flip: false })];
      const differs = (r, c) => (y[c] !== z[c] ? "on" : "");
      flipped.draw([y], { mark: differs });
      straight.draw([z], { mark: differs });
      const largest = Math.max(...y.concat(z).map(Math.abs), 1);
      const points = (v) => v.map((value, i) => [i, value]);
      chart.draw([{ name: "with the flip", points: points(y) }, { name: "without", points: points(z) }],
        { y: [-largest * 1.1, largest * 1.1] });
      alike.set(Math.max(...y.map((v, i) => Math.abs(v - z[i]))));
      publish("flips", { y, z });
    }
    change();
  },

  profile(root, data) {
    const line = [...unpack(data.profile).data];
    const controls = group(root, "controls"), change = timed(update);
    const kinds = { difference: "difference [−1, 0, 1]", average: "average", bell: "bell" };
    const kind = choice(controls, { label: "Kernel", options: Object.entries(kinds), value: "difference", change });
    const width = slider(controls, { label: "Width", min: 1, max: 10, value: 2, unit: " px", change });
    const figures = group(root, "figures");
    const before = plot(figures, { label: "HU along the line", x: [0, line.length], y: [-1100, 300], across: "pixel", up: "HU" });
    const after = plot(figures, { label: "After the kernel", x: [0, line.length], y: [-1100, 300], across: "pixel" });
    function update() {
      const w = width.value;
      const kernel = kind.value === "difference" ? [-1, ...Array(2 * w - 1).fill(0), 1]
        : kind.value === "average" ? Array(2 * w + 1).fill(1 / (2 * w + 1)) : gaussian_kernel(w / 2, w);
      const half = (kernel.length - 1) / 2;
      const whole = slide(line, kernel, { flip: false });
      const y = [...whole].slice(2 * half, whole.length - 2 * half); // where the kernel lies inside
      before.draw([{ points: line.map((v, i) => [i, v]) }]);
      const range = kind.value === "difference" ? [-1100, 1100] : [-1100, 300];
      after.draw([{ points: y.map((v, i) => [i + half, v]), colour: 1 }], { y: range });
      publish("profile", { kernel: [...kernel], y });
    }
    change();
  },
};
