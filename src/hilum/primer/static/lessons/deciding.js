import { calibration_error, dense, from_rows, log_loss, recalibrate, reliability, softmax } from "../ops.js";
import { button, cells, group, numbers, plot, publish, result, said, slider, timed, unpack } from "../widgets.js";

export const views = {
  scores(root, data) {
    const controls = group(root, "controls"), change = timed(update);
    const temperature = slider(controls, { label: "Temperature", min: 0.1, max: 10, step: 0.1, value: 1, change });
    const figures = group(root, "figures"), left = group(figures, "part"), right = group(figures, "part");
    const inputs = numbers(left, { label: "Features", rows: data.inputs, change });
    const kernel = numbers(left, { label: `Weights: one column each for ${data.classes.join(", ")}`, rows: data.kernel, change });
    const bias = numbers(left, { label: "Bias", rows: data.bias, change });
    const logits = cells(right, { label: "Scores (logits)" }), shares = cells(right, { label: "After softmax" });
    const chart = plot(figures, { label: "Probabilities", x: [-0.5, 2.5], y: [0, 1], ticks: [] });
    const total = result(group(root, "results"), "Sum");
    function update() {
      const scores = [...dense(from_rows(inputs.values), from_rows(kernel.values), { data: bias.values[0] }).data];
      const p = softmax(scores, temperature.value);
      logits.draw([scores]);
      shares.draw([p], { digits: 3 });
      chart.draw(p.map((v, i) => ({ name: `${data.classes[i]} ${said(100 * v, 1)} %`, points: [[i - 0.35, v], [i + 0.35, v]], kind: "line" }))
        .concat(p.map((v, i) => ({ points: [[i, v]], kind: "bars", colour: i }))), { words: p.map((v, i) => `${data.classes[i]} ${said(v)}`).join(", ") });
      total.set(said(p.reduce((a, b) => a + b, 0), 6));
      publish("scores", { scores, p });
    }
    change();
  },

  reliability(root, data) {
    const given = [...unpack(data.said).data], truth = [...unpack(data.truth).data];
    const controls = group(root, "controls"), change = timed(update);
    const slope = slider(controls, { label: "Slope", min: 0.1, max: 2, step: 0.05, value: 1, change });
    const offset = slider(controls, { label: "Offset", min: -2, max: 2, step: 0.05, value: 0, change });
    const bins = slider(controls, { label: "Bins", min: 4, max: 20, value: 10, change });
    button(group(controls, "buttons"), "Show the true bend", () => { [slope.value, offset.value] = data.best; change(); });
    const figures = group(root, "figures");
    const chart = plot(figures, { label: "What was said, and how often it came true", x: [0, 1], y: [0, 1], across: "said", up: "came true", height: 380 });
    const counts = plot(figures, { label: "How often it says so", x: [0, 1], y: [0, 600], across: "said" });
    const lines = group(root, "results"), loss = result(lines, "Log loss"), gap = result(lines, "Calibration error");
    function update() {
      const p = recalibrate(given, slope.value, offset.value), n = bins.value;
      const [said_, came, count] = reliability(p, truth, n), points = said_.map((v, i) => [v, came[i]]);
      const worth = log_loss(p, truth), error = calibration_error(p, truth, n);
      chart.draw([
        { name: "true probabilities", points: [[0, 0], [1, 1]], kind: "thin", colour: 6 },
        { points: points.filter((v) => !Number.isNaN(v[0])), colour: 0 },
        { name: "what it says", points, kind: "dots", colour: 0 },
      ], { words: `Calibration error ${said(error)}` });
      counts.draw([{ points: count.map((v, i) => [(i + 0.5) / n, v]), kind: "bars" }], { y: [0, Math.max(...count) * 1.05] });
      loss.set(said(worth, 4));
      gap.set(said(error, 4));
      publish("reliability", { log_loss: worth, error });
    }
    change();
  },
};
