import { froc, log_loss, noisy_or } from "../ops.js";
import { box, cells, check, group, node, numbers, picture, plot, publish, result, said, slider, timed, unpack } from "../widgets.js";

export const views = {
  candidates(root, data) {
    const front = unpack(data.front), controls = group(root, "controls"), change = timed(update), [z, , x] = data.spacing;
    const bar = slider(controls, { label: "Threshold", min: 0, max: 1, step: 0.01, value: 0.3, change });
    const image = picture(group(root, "figures"), { label: "The chest from the front, averaged as an X-ray would", wide: true });
    const lines = group(root, "results"), many = result(lines, "Marks"), right = result(lines, "Nodules found");
    const sorted = [...front.data].sort((a, b) => a - b), share = (p) => sorted[Math.floor(p * (sorted.length - 1))];
    image.draw(front, share(0.02), share(0.98), { aspect: z / x });
    function update() {
      const kept = data.marks.filter((m) => m.score >= bar.value), ring = (at, kind, r = 5) =>
        node("svg:ellipse", { cx: at[1] + 0.5, cy: at[0] + 0.5, rx: r / x, ry: r / z, class: `mark ${kind}`, "vector-effect": "non-scaling-stroke" });
      const found = (truth) => kept.some((m) => m.hit && Math.hypot((m.at[0] - truth.at[0]) * z, (m.at[1] - truth.at[1]) * x) <= truth.mm / 2);
      const missed = data.truths.filter((t) => !found(t));
      image.mark(...kept.map((m) => ring(m.at, m.hit || m.again || !data.nodules ? "" : "wrong", 7)), ...missed.map((t) => ring(t.at, "other", Math.max(t.mm / 2, 4))));
      const hits = kept.filter((m) => m.hit).length, wrong = kept.filter((m) => !m.hit && !m.again).length;
      many.set(data.nodules ? `${kept.length}: ${hits} on nodules, ${wrong} elsewhere${kept.length > hits + wrong ? `, ${kept.length - hits - wrong} on a nodule again` : ""}` : `${kept.length}; the truth of this scan is not known`);
      right.set(data.nodules ? `${hits} of ${data.nodules}` : "not known");
      publish("candidates", { kept: kept.length, hits, wrong });
    }
    change();
  },

  froc(root, data) {
    const judged = data.marks.filter((m) => !m.again), controls = group(root, "controls"), change = timed(update);
    if (!data.nodules) {
      root.replaceChildren(node("p", {}, "The truth of this scan is not known, so its detector cannot be judged on it. Leave out --ct to see the curve of the synthetic chest."));
      return;
    }
    const bar = slider(controls, { label: "Marks that count", min: 1, max: judged.length, value: Math.min(10, judged.length), change });
    const chart = plot(group(root, "figures"), { label: "FROC of this scan", x: [0, 20], y: [0, 1.02], across: "false marks a scan", up: "sensitivity" });
    const lines = group(root, "results"), here = result(lines, "Threshold"), both = result(lines, "Sensitivity, false marks");
    const [threshold, found, wrong] = froc(judged.map((m) => m.score), judged.map((m) => m.hit), data.nodules, 1);
    function update() {
      const n = bar.value - 1;
      chart.draw([
        { points: [[0, 0], ...found.map((f, i) => [wrong[i], f])], colour: 0 },
        { points: [[wrong[n], found[n]]], kind: "dots", colour: 1 },
      ], { words: `${said(found[n])} at ${wrong[n]} false marks` });
      here.set(threshold[n]);
      both.set(`${said(found[n])}, ${said(wrong[n])}`);
      publish("froc", { threshold: threshold[n], sensitivity: found[n], wrong: wrong[n] });
    }
    change();
  },

  risk(root, data) {
    const controls = group(root, "controls"), change = timed(update);
    const leak = slider(controls, { label: "Leak", min: 0, max: 0.5, step: 0.01, value: 0.01, change });
    const top = slider(controls, { label: "Nodules that count", min: 0, max: Math.min(8, Math.max(data.rated.length, 1)), value: 5, change });
    const rows = data.rated.length ? data.rated.slice(0, 8).map((r) => r.map((v) => Math.round(v * 1000) / 1000)) : [[0.5, 1]];
    const figures = group(root, "figures");
    const pairs = numbers(group(figures, "part"), { label: "Malignancy and detection score of each nodule", rows, change });
    const chart = plot(figures, { label: "Probability of cancer as nodules are added", x: [0, 8], y: [0, 1], across: "nodules that count" });
    const lines = group(root, "results"), risk = result(lines, "Probability of cancer"), sum = result(lines, "Adding them up instead");
    function update() {
      const causes = pairs.values.map(([m, s]) => Math.min(Math.max(m * s, 0), 1)).sort((a, b) => b - a);
      const upto = (n) => noisy_or(causes.slice(0, n), leak.value);
      chart.draw([
        { points: [0, ...causes.map((_, i) => i + 1)].map((n) => [n, upto(n)]), colour: 0 },
        { points: [[top.value, upto(top.value)]], kind: "dots", colour: 1 },
      ]);
      risk.set(`${said(100 * upto(top.value), 1)} %`);
      const total = causes.slice(0, top.value).reduce((a, b) => a + b, leak.value);
      sum.set(`${said(100 * total, 1)} %${total > 1 ? ": no probability" : ""}`);
      publish("risk", { causes, risk: upto(top.value) });
    }
    change();
  },

  loss(root) {
    const controls = group(root, "controls"), change = timed(update);
    const bar = slider(controls, { label: "You say", min: 0.005, max: 0.995, step: 0.005, value: 0.9, show: (v) => `${said(100 * v, 1)} %`, change });
    const chart = plot(group(root, "figures"), { label: "Log loss of one patient", x: [0, 1], y: [0, 5.5], across: "probability of cancer that was said" });
    const lines = group(root, "results"), right = result(lines, "If it was cancer"), wrong = result(lines, "If it was not");
    const xs = Array.from({ length: 199 }, (_, i) => (i + 1) / 200);
    function update() {
      const p = bar.value, yes = log_loss([p], [1]), no = log_loss([p], [0]);
      chart.draw([
        { name: "it was cancer", points: xs.map((v) => [v, log_loss([v], [1])]), colour: 1 },
        { name: "it was not", points: xs.map((v) => [v, log_loss([v], [0])]), colour: 0 },
        { points: [[p, yes]], kind: "dots", colour: 1 }, { points: [[p, no]], kind: "dots", colour: 0 },
      ]);
      right.set(yes);
      wrong.set(no);
      publish("loss", { yes, no });
    }
    change();
  },
};
