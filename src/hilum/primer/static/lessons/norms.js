import { batch_norm, batch_norm_training, from_rows, histogram, mapped, reshaped, to_rows } from "../ops.js";
import { cells, choice, group, numbers, picture, plot, publish, result, said, slider, timed, unpack } from "../widgets.js";

export const views = {
  batch(root, data) {
    const controls = group(root, "controls"), change = timed(update);
    const gamma = slider(controls, { label: "γ", min: -2, max: 3, step: 0.1, value: 1, change });
    const beta = slider(controls, { label: "β", min: -3, max: 3, step: 0.1, value: 0, change });
    const figures = group(root, "figures");
    const before = numbers(group(figures, "part"), { label: "Diameter (mm) and mean HU of six nodules", rows: data.nodules, change });
    const after = cells(group(figures, "part"), { label: "Normalised" });
    const lines = group(root, "results"), mean = result(lines, "Mean of the batch"), variance = result(lines, "Variance of the batch");
    function update() {
      const found = batch_norm_training(from_rows(before.values), [[0, 0], [1, 1]], gamma.value, beta.value);
      after.draw(to_rows(found.y));
      mean.set(found.mean.map((v) => said(v, 2)).join(" mm, ") + " HU");
      variance.set(found.variance.map((v) => said(v, 1)).join(" mm², ") + " HU²");
      publish("batch", to_rows(found.y));
    }
    change();
  },

  moving(root, data) {
    const batches = to_rows(unpack(data.batches)), controls = group(root, "controls"), change = timed(update);
    const momentum = slider(controls, { label: "Momentum", min: 0, max: 0.995, step: 0.005, value: 0.99, change });
    const count = slider(controls, { label: "Batches", min: 10, max: batches.length, step: 10, value: 100, change });
    const figures = group(root, "figures");
    const chart = plot(figures, { label: "Mean of each batch, and what is remembered", x: [0, 100], y: [-0.5, 5], across: "batch" });
    const spread = plot(figures, { label: "Variance", x: [0, 100], y: [0, 10], across: "batch" });
    const lines = group(root, "results"), left = result(lines, "Left of the start"), now = result(lines, "Remembered mean and variance (true: 3 and 4)");
    function update() {
      const m = momentum.value, n = count.value;
      let mean = 0, variance = 1;
      const kept = batches.slice(0, n).map(([a, b], i) => {
        mean = m * mean + (1 - m) * a;
        variance = m * variance + (1 - m) * b;
        return [i + 1, mean, variance];
      });
      chart.draw([
        { name: "of the batch", points: batches.slice(0, n).map((b, i) => [i + 1, b[0]]), kind: "dots", colour: 6 },
        { name: "remembered", points: kept.map((k) => [k[0], k[1]]), colour: 1 },
      ], { x: [0, n] });
      spread.draw([
        { name: "of the batch", points: batches.slice(0, n).map((b, i) => [i + 1, b[1]]), kind: "dots", colour: 6 },
        { name: "remembered", points: kept.map((k) => [k[0], k[2]]), colour: 1 },
      ], { x: [0, n] });
      left.set(`${said(100 * m ** n, 1)} %`);
      now.set(`${said(mean)} and ${said(variance)}`);
      publish("moving", { mean, variance });
    }
    change();
  },

  scanner(root, data) {
    const cut = unpack(data.cut), flat = reshaped(cut, [cut.data.length, 1]), controls = group(root, "controls"), change = timed(update);
    const error = slider(controls, { label: "Error of the scanner", min: -400, max: 400, step: 10, value: 200, unit: " HU", change });
    const figures = group(root, "figures");
    const own = picture(figures, { label: "Normalised by its own statistics" }), then = picture(figures, { label: "Normalised by what is remembered" });
    const chart = plot(figures, { label: "Histogram of what the next layer gets, in thousands", x: [-2, 4], y: [0, 3], across: "normalised" });
    const lines = group(root, "results"), means = result(lines, "Mean: own, remembered");
    const known = batch_norm_training(flat, [[0], [1]]);
    function update() {
      const shifted = mapped(flat, (v) => v + error.value);
      const a = batch_norm_training(shifted, [[0], [1]]).y, b = batch_norm(shifted, known.mean, known.variance);
      own.draw(reshaped(a, cut.shape), -1.2, 2.2);
      then.draw(reshaped(b, cut.shape), -1.2, 2.2);
      const bars = (v) => [...histogram(v.data, -2, 4, 48)].map((n, i) => [-2 + (i + 0.5) / 8, n / 1000]);
      chart.draw([{ name: "own", points: bars(a), kind: "steps" }, { name: "remembered", points: bars(b), kind: "steps" }],
        { y: [0, Math.max(...bars(a).map((p) => p[1]), ...bars(b).map((p) => p[1])) * 1.05] });
      const mean = (v) => v.data.reduce((s, x) => s + x, 0) / v.data.length;
      means.set(`${said(mean(a))}, ${said(mean(b))}`);
      publish("scanner", { own: mean(a), remembered: mean(b) });
    }
    change();
  },

  loss(root, data) {
    const controls = group(root, "controls"), change = timed(update), named = { relu: "ReLU", sigmoid: "sigmoid" };
    const runs = [...new Set(data.curves.map((c) => `${c.activation} ${c.rate}`))];
    const run = choice(controls, { label: "Run", options: runs.map((r) => [r, `${named[r.split(" ")[0]]}, learning rate ${r.split(" ")[1]}`]), value: runs[0], change });
    const figures = group(root, "figures");
    const chart = plot(figures, { label: "Training loss", x: [0, 200], y: [0, 1.05], across: "step" });
    const rates = plot(figures, { label: "Steps to a loss of 0.3", x: [0.0008, 0.4], y: [0, 300], across: "learning rate", log: true, ticks: data.rates.rates });
    const ends = result(group(root, "results"), "Loss at the end: without, with");
    rates.draw(Object.entries(data.rates.steps).flatMap(([name, steps], i) => {
      const points = steps.map((s, k) => [data.rates.rates[k], s]).filter((p) => p[1] !== null);
      return [{ name: points.length ? name : `${name}: never`, points, colour: i }, { points, kind: "dots", colour: i }];
    }));
    function update() {
      const found = data.curves.filter((c) => `${c.activation} ${c.rate}` === run.value);
      chart.draw(found.map((c) => ({
        name: c.batch_norm ? "with batch normalisation" : "without",
        points: c.loss.map((v, i) => [(i + 0.5) * data.steps_each, v]), colour: c.batch_norm ? 1 : 0,
      })));
      ends.set(found.map((c) => said(c.loss.at(-1))).join(", "));
      publish("loss", found.map((c) => c.loss.at(-1)));
    }
    change();
  },
};
