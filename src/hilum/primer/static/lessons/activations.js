import * as ops from "../ops.js";
import { button, check, choice, group, node, picture, plot, publish, result, said, slider, timed, unpack } from "../widgets.js";

const NAMES = {
  sigmoid: "sigmoid", tanh: "tanh", relu: "ReLU", leaky_relu: "leaky ReLU", prelu: "parametric ReLU (slope learnt)",
  elu: "ELU", selu: "SELU", softplus: "softplus", hard_tanh: "hard tanh", rrelu: "randomised leaky ReLU (at test time)",
};
const PARAMETER = { leaky_relu: ["Slope below 0", 0, 1, 0.01, 0.01], prelu: ["Slope below 0", -0.5, 1.5, 0.05, 0.25], elu: ["α", 0.1, 3, 0.1, 1], rrelu: ["Divisor a", 1.5, 20, 0.5, 5.5] };
const slope_of = (name) => (name === "prelu" ? (x, p) => ops.prelu_derivatives(x, p)[0] : ops[`${name}_derivative`]);
const range = (low, high, n) => Array.from({ length: n }, (_, i) => low + ((high - low) * i) / (n - 1));

export const views = {
  curve(root, data) {
    const edges = unpack(data.edges), controls = group(root, "controls"), change = timed(update);
    const name = choice(controls, { label: "Activation", options: Object.entries(NAMES), value: "sigmoid", change: fresh });
    const at = slider(controls, { label: "x", min: -6, max: 6, step: 0.1, value: 1, change });
    const gain = slider(controls, { label: "Input scale", min: 0.2, max: 5, step: 0.1, value: 1, unit: "×", change });
    const own = group(controls, "part");
    const figures = group(root, "figures");
    const chart = plot(figures, { label: "Value and slope", x: [-6, 6], y: [-2, 3], across: "x" });
    const image = picture(figures, { label: "The edge filter's answer, activated" });
    const lines = group(root, "results");
    const value = result(lines, "Value"), slope = result(lines, "Slope"), dead = result(lines, "Pixels where the slope is below 0.05");
    const tanh = result(lines, "Largest |tanh(x) − (2σ(2x) − 1)| on the curve");
    let parameter = null;
    function fresh() {
      own.replaceChildren();
      const given = PARAMETER[name.value];
      parameter = given ? slider(own, { label: given[0], min: given[1], max: given[2], step: given[3], value: given[4], change }) : null;
      change();
    }
    function update() {
      const f = ops[name.value], df = slope_of(name.value), p = parameter?.value;
      const xs = range(-6, 6, 241), x = at.value;
      chart.draw([
        { name: NAMES[name.value], points: xs.map((v) => [v, f(v, p)]) },
        { name: "its slope", points: xs.map((v) => [v, df(v, p)]) },
        { points: [[x, f(x, p)]], kind: "dots", colour: 0 },
        { points: [[x, df(x, p)]], kind: "dots", colour: 1 },
      ], { words: `At ${said(x)} the value is ${said(f(x, p))}, the slope ${said(df(x, p))}` });
      value.set(f(x, p));
      slope.set(df(x, p));
      let flat = 0;
      const y = ops.mapped(edges, (v) => {
        if (Math.abs(df(v * gain.value, p)) < 0.05) flat++;
        return f(v * gain.value, p);
      });
      dead.set(`${((100 * flat) / y.data.length).toFixed(1)} %`);
      image.draw(y, -2, 2, { signed: true });
      tanh.set(Math.max(...xs.map((v) => Math.abs(ops.tanh(v) - (2 * ops.sigmoid(2 * v) - 1)))).toExponential(1).replace("-", "−"));
      publish("curve", { x, value: f(x, p), slope: df(x, p), curve: xs.map((v) => f(v, p)), slopes: xs.map((v) => df(v, p)) });
    }
    fresh();
  },

  deep(root, data) {
    const kernels = unpack(data.kernels), batch = unpack(data.batch), units = kernels.shape[1];
    const controls = group(root, "controls"), change = timed(update);
    const depth = slider(controls, { label: "Layers", min: 2, max: 30, value: 20, change });
    const scale = slider(controls, { label: "Scale of weights", min: 0.5, max: 2, step: 0.05, value: 1, unit: "×", change });
    const figures = group(root, "figures");
    const norms = plot(figures, { label: "Gradient at the input of each layer, powers of ten", x: [1, 20], y: [-16, 4], across: "layer", up: "log₁₀" });
    const spread = plot(figures, { label: "Spread of the outputs of each layer", x: [1, 20], y: [0, 2], across: "layer" });
    const lines = group(root, "results");
    const kinds = { sigmoid: 1, tanh: 1, relu: 2, elu: 1.55, selu: 1 };
    const outs = Object.fromEntries(Object.keys(kinds).map((k) => [k, result(lines, `${NAMES[k]}: first layer's gradient over the last's`)]));
    function update() {
      const n = depth.value, found = {};
      const part = { shape: [n, units, units], data: kernels.data.slice(0, n * units * units) };
      for (const [kind, suits] of Object.entries(kinds)) {
        const factor = Math.sqrt(suits / units) * scale.value;
        found[kind] = ops.gradient_by_depth(batch, ops.mapped(part, (v) => v * factor), ops[kind], ops[`${kind}_derivative`]);
        outs[kind].set((found[kind][1][0] / found[kind][1][n - 1]).toExponential(1).replace("-", "−"));
      }
      const series = (which, f) => Object.entries(found).map(([kind, v]) => ({ name: NAMES[kind], points: v[which].map((value, i) => [i + 1, f(value)]) }));
      norms.draw(series(1, (v) => Math.log10(Math.max(v, 1e-30))), { x: [1, n] });
      spread.draw(series(0, (v) => v), { x: [1, n] });
      publish("deep", found);
    }
    change();
  },

  chance(root, data) {
    const uniform = unpack(data.uniform).data, normal = unpack(data.normal).data;
    const controls = group(root, "controls"), change = timed(update);
    const kinds = { rrelu: "randomised leaky ReLU, U(l, u)", noisy_relu: "noisy ReLU", noisy_activation: "noisy hard tanh" };
    const kind = choice(controls, { label: "Activation", options: Object.entries(kinds), value: "rrelu", change });
    const lower = slider(controls, { label: "l", min: 1, max: 10, step: 0.5, value: 3, change });
    const upper = slider(controls, { label: "u", min: 1, max: 20, step: 0.5, value: 8, change });
    const noise = slider(controls, { label: "Noise", min: 0, max: 2, step: 0.1, value: 1, unit: "×", change });
    const training = check(controls, { label: "Training: draw (else test time)", value: true, change });
    const chart = plot(group(root, "figures"), { label: "Draws and what is used at test time", x: [-4, 4], y: [-2, 3], across: "x" });
    const lines = group(root, "results");
    const slope = result(lines, "At x = −2: mean of the draws"), test = result(lines, "At x = −2: at test time");
    function one(x, i) {
      if (kind.value === "rrelu") return ops.rrelu(x, lower.value + (Math.max(upper.value, lower.value) - lower.value) * uniform[i]);
      if (kind.value === "noisy_relu") return ops.noisy_relu(x, noise.value * normal[i]);
      return ops.noisy_activation(x, noise.value * Math.abs(normal[i]));
    }
    function quiet(x) {
      if (kind.value === "rrelu") return ops.rrelu(x, (lower.value + Math.max(upper.value, lower.value)) / 2);
      if (kind.value === "noisy_relu") return ops.noisy_relu(x, 0);
      return ops.noisy_activation(x, noise.value * Math.sqrt(2 / Math.PI));
    }
    function update() {
      const xs = range(-4, 4, uniform.length), dots = xs.map((x, i) => [x, one(x, i)]);
      const leaky = kind.value === "rrelu";
      lower.input.disabled = upper.input.disabled = !leaky;
      noise.input.disabled = leaky;
      chart.draw([
        ...(training.value ? [{ name: "training: one draw each", points: dots, kind: "dots", colour: 1 }] : []),
        { name: "at test time", points: xs.map((x) => [x, quiet(x)]), colour: 0 },
      ]);
      const mean = xs.reduce((s, _, i) => s + one(-2, i), 0) / xs.length;
      slope.set(mean);
      test.set(quiet(-2));
      publish("chance", { mean, test: quiet(-2) });
    }
    change();
  },

  measured(root, data) {
    const chart = plot(group(root, "figures"), { label: "AUC on patients left out, with its 95 % interval", x: [0.55, 1], y: [-0.5, 8.5], across: "AUC", height: 300 });
    const rows = data.activations;
    chart.draw(rows.flatMap((r, i) => [
      { points: [[r.low, 8 - i], [r.high, 8 - i]], colour: i },
      { points: [[r.auc, 8 - i]], kind: "dots", colour: i },
    ]), { words: rows.map((r) => `${r.name} ${r.auc}`).join(", ") });
    for (const text of [...chart.svg.querySelectorAll("text[text-anchor=end]")]) text.remove();
    const table = node("table", { class: "plain" });
    const line = (kind, values) => node("tr", {}, ...values.map((v, i) => node(kind, { class: i ? "number" : null, scope: kind === "th" ? "col" : null }, v)));
    table.append(node("thead", {}, line("th", ["Activation", "AUC", "95 %", "loss, training", "loss, left out", "epochs to 0.4", "s an epoch"])));
    const body = node("tbody");
    rows.forEach((r, i) => {
      const row = line("td", [r.name, r.auc.toFixed(3), `${r.low.toFixed(3)}–${r.high.toFixed(3)}`, r.training.toFixed(3), r.left_out.toFixed(3), r.epochs ?? "never", r.seconds.toFixed(2)]);
      row.cells[0].className = `c${i}`;
      body.append(row);
    });
    table.append(body);
    root.append(node("div", { class: "scroll" }, table));
  },
};
