import { blur, edges, equalise, histogram, hu_window, reshaped } from "../ops.js";
import { button, check, choice, extent, group, node, picture, plot, publish, result, said, slider, timed, unpack } from "../widgets.js";

const LUNG = [-1350, 150];
const WINDOWS = { lung: [-600, 1500], "soft tissue": [40, 400], bone: [500, 2000], "all of it": [1000, 4096] };
const apart = (a, b) => {
  let most = 0;
  for (let i = 0; i < a.data.length; i++) most = Math.max(most, Math.abs(a.data[i] - b.data[i]));
  return most;
};

export const views = {
  tags(root, data) {
    const table = node("table", { class: "plain" }), head = ["Tag", "Keyword", "Here", "What it is"];
    table.append(node("thead", {}, node("tr", {}, ...head.map((h) => node("th", { scope: "col" }, h)))));
    table.append(node("tbody", {}, ...data.tags.map((row) => node("tr", {}, ...row.map((text) => node("td", {}, text))))));
    root.append(node("div", { class: "scroll" }, table));
    const controls = group(root, "controls"), change = timed(update);
    const stored = slider(controls, { label: "Stored number", min: 0, max: 4095, value: 1064, change });
    const slope = slider(controls, { label: "Slope", min: 0.5, max: 2, step: 0.1, value: 1, change });
    const intercept = slider(controls, { label: "Intercept", min: -2048, max: 0, step: 8, value: -1024, change });
    const lines = group(root, "results");
    const hu = result(lines, "HU"), what = result(lines, "That is");
    const tissues = [[-950, "air"], [-500, "lung"], [-150, "lung and tissue mixed"], [-20, "fat"], [20, "water"], [90, "soft tissue or blood"], [300, "calcium or contrast"], [3100, "bone"], [Infinity, "metal, or a wrong slope"]];
    function update() {
      const value = slope.value * stored.value + intercept.value;
      hu.set(`${said(slope.value)} · ${stored.value} ${said(intercept.value).replace("−", "− ")} = ${said(value, 1)}`);
      what.set(tissues.find(([top]) => value < top)[1]);
      publish("tags", { hu: value });
    }
    change();
  },

  window(root, data) {
    const slice = unpack(data.slice), controls = group(root, "controls"), change = timed(update);
    const named = choice(controls, { label: "Window", options: Object.keys(WINDOWS), value: "lung", change: () => { [level.value, width.value] = WINDOWS[named.value]; change(); } });
    const level = slider(controls, { label: "Level", min: -1000, max: 1500, step: 10, value: -600, unit: " HU", change });
    const width = slider(controls, { label: "Width", min: 1, max: 4096, step: 1, value: 1500, unit: " HU", change });
    const figures = group(root, "figures");
    const image = picture(figures, { label: "The slice through the window", wide: true, press: (r, c) => { at = [Math.floor(r), Math.floor(c)]; change(); } });
    const chart = plot(figures, { label: "How many pixels have each value, in thousands", x: [-1100, 1300], y: [0, 10], across: "HU" });
    const lines = group(root, "results");
    const black = result(lines, "Black, white"), here = result(lines, "Pixel");
    const bins = 96, counts = histogram(slice.data, -1100, 1300, bins);
    let at = slice.shape.map((n) => Math.floor(n / 2));
    function update() {
      const low = level.value - width.value / 2, high = level.value + width.value / 2;
      image.draw(slice, low, high, { words: `from ${said(low)} to ${said(high)} HU` });
      image.mark(node("svg:circle", { cx: at[1] + 0.5, cy: at[0] + 0.5, r: slice.shape[0] / 60, class: "mark", "vector-effect": "non-scaling-stroke" }));
      const most = Math.max(...counts.slice(4)) / 1000;
      chart.draw([
        { name: "pixels", points: [...counts].map((n, i) => [-1100 + (i + 0.5) * (2400 / bins), n / 1000]), kind: "bars" },
        { name: "grey on the screen", points: [[-1100, hu_window(-1100, level.value, width.value) * most], [low, 0], [high, most], [1300, hu_window(1300, level.value, width.value) * most]] },
      ], { y: [0, most * 1.1] });
      let dark = 0, bright = 0;
      for (const v of slice.data) {
        if (v <= low) dark++;
        else if (v >= high) bright++;
      }
      const share = (n) => `${said((100 * n) / slice.data.length, 1)} %`;
      black.set(`${share(dark)}, ${share(bright)}`);
      const hu = slice.data[at[0] * slice.shape[1] + at[1]], grey = hu_window(hu, level.value, width.value);
      here.set(`row ${at[0]}, column ${at[1]}: ${said(hu)} HU, grey ${said(255 * grey, 0)} of 255`);
      publish("window", { low, high, dark: dark / slice.data.length, bright: bright / slice.data.length, grey, counts: [...counts] });
    }
    change();
  },

  planes(root, data) {
    const controls = group(root, "controls"), change = timed(update);
    const square = check(controls, { label: "Draw every voxel as a square", change });
    const figures = group(root, "figures"), [z, y, x] = data.planes.spacing;
    const kinds = { axial: y / x, coronal: z / x, sagittal: z / y };
    const views_ = Object.keys(kinds).map((name) => [picture(figures, { label: name[0].toUpperCase() + name.slice(1) }), unpack(data.planes[name]), kinds[name]]);
    const lines = group(root, "results"), size = result(lines, "Height of the coronal plane");
    function update() {
      for (const [image, values, aspect] of views_) image.draw(values, ...LUNG, { aspect: square.value ? 1 : aspect });
      const slices = unpack(data.planes.coronal).shape[0];
      size.set(square.value ? `${slices} slices, taken for ${said((slices * x) / 10, 1)} cm` : `${slices} slices of ${said(z)} mm = ${said((slices * z) / 10, 1)} cm`);
      publish("planes", { square: square.value, height_mm: slices * (square.value ? x : z) });
    }
    change();
  },

  threshold(root, data) {
    const slice = unpack(data.slice), controls = group(root, "controls"), change = timed(update);
    const bar = slider(controls, { label: "Threshold", min: -1000, max: 600, step: 10, value: -400, unit: " HU", change });
    const figures = group(root, "figures"), image = picture(figures, { label: "The slice" }), mask = picture(figures, { label: "Denser than the threshold" });
    const area = result(group(root, "results"), "Area");
    const marked = { shape: slice.shape, data: new Float64Array(slice.data.length) };
    image.draw(slice, ...LUNG);
    function update() {
      const limit = bar.value;
      let count = 0;
      for (let i = 0; i < marked.data.length; i++) {
        const on = slice.data[i] > limit;
        marked.data[i] = on ? 1 : 0;
        if (on) count++;
      }
      mask.draw(marked, 0, 1);
      area.set(`${said((count * data.pixel_mm[0] * data.pixel_mm[1]) / 100, 1)} cm², ${said((100 * count) / marked.data.length, 1)} % of the slice`);
      publish("threshold", { count });
    }
    change();
  },

  equalise(root, data) {
    const grey = unpack(data.grey), change = timed(update), controls = group(root, "controls");
    const gamma = slider(controls, { label: "Darken first (γ)", min: 0.3, max: 3, step: 0.1, value: 1, change });
    const figures = group(root, "figures");
    const before = picture(figures, { label: "Grey values" }), ours = picture(figures, { label: "Equalised, ours" });
    const theirs = data.opencv ? picture(figures, { label: `Equalised, OpenCV ${data.opencv.version}` }) : null;
    const chart = plot(figures, { label: "Histogram", x: [0, 256], y: [0, 1500], across: "grey" });
    const lines = group(root, "results"), used = result(lines, "Greys used"), apart_ = result(lines, "Largest difference to OpenCV");
    function update() {
      const g = gamma.value;
      const x = g === 1 ? grey : { shape: grey.shape, data: grey.data.map((v) => Math.round(255 * (v / 255) ** g)) };
      const y = equalise(x);
      before.draw(x, 0, 255);
      ours.draw(y, 0, 255);
      const bars = (v) => [...histogram(v.data, 0, 256, 64)].map((n, i) => [i * 4 + 2, n]);
      const most = Math.max(...bars(x).map((p) => p[1])) * 1.05;
      chart.draw([{ name: "before", points: bars(x), kind: "steps" }, { name: "after", points: bars(y), kind: "steps" }], { y: [0, most] });
      used.set(`${new Set(x.data).size} before, ${new Set(y.data).size} after`);
      if (!theirs) apart_.set("OpenCV was not installed when this page was made");
      else {
        const other = unpack(data.opencv.equalised);
        theirs.draw(other, 0, 255);
        apart_.set(g === 1 ? `${said(apart(y, other))} of 255` : "compared at γ = 1 alone");
      }
      publish("equalise", y);
    }
    change();
  },

  smooth(root, data) {
    const grey = unpack(data.grey), change = timed(update), controls = group(root, "controls");
    const sigma = slider(controls, { label: "Width of the bell", min: 0, max: data.sigmas.length - 1, value: 2, show: (i) => `σ ${data.sigmas[i]} px`, change });
    const figures = group(root, "figures four");
    const ours = picture(figures, { label: "Blurred, ours" });
    const theirs = data.opencv ? picture(figures, { label: `Blurred, OpenCV ${data.opencv.version}` }) : null;
    const steep = picture(figures, { label: "Edges, ours" });
    const steeper = data.opencv ? picture(figures, { label: `Edges, OpenCV ${data.opencv.version}` }) : null;
    const lines = group(root, "results"), noise = result(lines, "Largest steepness after the blur"), apart_ = result(lines, "Largest difference to OpenCV");
    const gradient = edges(grey);
    steep.draw(gradient, 0, 600);
    if (steeper) steeper.draw(unpack(data.opencv.edges), 0, 600);
    function update() {
      const s = data.sigmas[sigma.value], y = blur(grey, s);
      ours.draw(y, 0, 255);
      noise.set(said(extent(edges(y))[1], 1));
      if (theirs) {
        const other = unpack(data.opencv.blurred[String(s)]);
        theirs.draw(other, 0, 255);
        apart_.set(`blur ${apart(y, other).toExponential(0).replace("-", "−")}, edges ${apart(gradient, unpack(data.opencv.edges)).toExponential(0).replace("-", "−")}, of 255`);
      } else apart_.set("OpenCV was not installed when this page was made");
      publish("smooth", { sigma: s });
      publish("smooth_values", y);
    }
    change();
  },
};
