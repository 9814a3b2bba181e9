import { convolution_cost, dense_cost } from "../ops.js";
import { button, check, choice, counted, group, node, plot, publish, result, said, slider, timed } from "../widgets.js";

const chosen = { plan: null };
const cell = (text, number = true) => node("td", { class: number ? "number" : null }, text);
const head = (titles) => node("thead", {}, node("tr", {}, ...titles.map((t, i) => node("th", { scope: "col", class: i ? "number" : null }, t))));

export const views = {
  layers(root, data) {
    const controls = group(root, "controls"), change = timed(update);
    const count = slider(controls, { label: "Convolutions", min: 1, max: 4, value: 3, change });
    const filters = [16, 32, 64, 64].map((value, i) => slider(controls, { label: `Filters of layer ${i + 1}`, min: 4, max: 64, step: 4, value, change }));
    const activation = choice(controls, { label: "Activation", options: data.activations, value: "relu", change });
    const norm = check(controls, { label: "Batch normalisation", value: true, change });
    const units = slider(controls, { label: "Units", min: 4, max: 128, step: 4, value: 64, change });
    const table = node("table", { class: "plain" }), body = node("tbody");
    table.append(head(["Layer", "Output", "Parameters", "Multiply-adds"]), body);
    root.append(node("div", { class: "scroll" }, table));
    const lines = group(root, "results"), total = result(lines, "Parameters"), work = result(lines, "Multiply-adds for one image");
    function update() {
      const used = filters.slice(0, count.value).map((bar) => bar.value), learnt = activation.value === "prelu";
      filters.forEach((bar, i) => { bar.input.disabled = i >= count.value; });
      const rows = [["HU window", [data.edge, data.edge, 1], 0, 0]];
      let n = data.edge, channels = 1;
      for (const f of used) {
        const [parameters, adds] = convolution_cost([n, n], [3, 3], channels, f);
        rows.push([`convolution 3 × 3, ${activation.value}`, [n, n, f], parameters + (learnt ? f : 0), adds]);
        n = Math.ceil(n / 2);
        channels = f;
        rows.push(["max-pooling by 2", [n, n, f], 0, 0]);
        if (norm.value) rows.push(["batch normalisation", [n, n, f], 4 * f, 0]);
      }
      rows.push(["pyramid, 1 + 4 bins", [5 * channels], 0, 0]);
      const hidden = dense_cost(5 * channels, units.value), last = dense_cost(units.value, 2);
      rows.push([`fully connected, ${activation.value}`, [units.value], hidden[0] + (learnt ? units.value : 0), hidden[1]]);
      rows.push(["fully connected, softmax", [2], ...last]);
      body.replaceChildren(...rows.map(([name, shape, parameters, adds]) => node("tr", {}, cell(name, false), cell(shape.join(" × ")), cell(parameters ? counted(parameters) : "–"), cell(adds ? counted(adds) : "–"))));
      const sum = (k) => rows.reduce((s, row) => s + row[k], 0);
      total.set(counted(sum(2)));
      work.set(counted(sum(3)));
      chosen.plan = { filters: used, activation: activation.value, batch_norm: norm.value, units: units.value };
      publish("layers", { ...chosen.plan, parameters: sum(2), work: sum(3) });
    }
    change();
  },

  train(root, data) {
    if (!data.served) {
      root.append(node("p", {}, "This page was written to a folder, and a page alone cannot train. Start ", node("code", {}, "hilum primer 11"), " to train here."));
      return;
    }
    const controls = group(root, "controls");
    const source = choice(controls, { label: "Nodules", options: [["synthetic", "synthetic"], ["nodules", "real (--nodules FOLDER)"]], value: "synthetic" });
    const rates = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03];
    const rate = slider(controls, { label: "Learning rate", min: 0, max: 5, value: 2, show: (i) => String(rates[i]) });
    const epochs = slider(controls, { label: "Epochs at most", min: 1, max: 200, value: 30 });
    const buttons = group(root, "buttons"), go = button(buttons, "Train", start), halt = button(buttons, "Stop", stop);
    halt.disabled = true;
    const state = result(group(root, "results"), "State");
    state.set("nothing trained yet");
    const figures = group(root, "figures");
    const losses = plot(figures, { label: "Loss: of those left out, and (thin) in training", x: [0, 30], y: [0, 1], across: "epoch" });
    const shares = plot(figures, { label: "Share right, of those left out", x: [0, 30], y: [0.4, 1], across: "epoch" });
    losses.draw([]);
    shares.draw([]);
    const table = node("table", { class: "plain" }), body = node("tbody");
    table.append(head(["Run", "Activation", "Filters", "Loss, training", "Loss, left out", "Right, left out", "Seconds", "Keep"]), body);
    root.append(node("div", { class: "scroll" }, table));
    let timer = null, current = null;
    const ask = async (path, body = null) => {
      const answer = await fetch(path, body === null ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
      const tree = await answer.json();
      if (!answer.ok) throw new Error(tree.error ?? tree.detail);
      return tree;
    };
    async function start() {
      try {
        const plan = { ...chosen.plan, rate: rates[rate.value], epochs: epochs.value, data: source.value, limit_s: data.limit_s };
        current = (await ask("api/train", plan)).id;
        go.disabled = true;
        halt.disabled = false;
        state.set("starting");
        timer = setInterval(poll, 500);
        poll();
      } catch (error) { state.set(error.message); }
    }
    async function stop() {
      halt.disabled = true;
      try { await ask(`api/train/${current}/stop`, {}); } catch (error) { state.set(error.message); }
    }
    async function poll() {
      let tree;
      try { tree = await ask("api/train"); } catch (error) { state.set(`${error.message} Is the primer still running?`); clearInterval(timer); return; }
      const here = tree.runs.find((r) => r.id === current);
      if (here && here.state !== "training") {
        clearInterval(timer);
        go.disabled = false;
        halt.disabled = true;
      }
      show(tree.runs, here);
    }
    function show(runs, here) {
      const points = (run, name) => run.log.map((row, i) => [i + 1, row[name]]), longest = Math.max(...runs.map((r) => r.log.length), 5);
      const high = Math.min(Math.max(...runs.flatMap((r) => r.log.flatMap((row) => [row.val_loss, row.loss])), 0.7), 3);
      losses.draw(runs.flatMap((r) => [
        { name: `${r.id + 1}: ${r.plan.activation}`, points: points(r, "val_loss"), colour: r.id % 9 },
        { points: points(r, "loss"), kind: "thin", colour: r.id % 9 },
      ]), { x: [1, longest], y: [0, high * 1.05] });
      shares.draw(runs.map((r) => ({ name: `${r.id + 1}: ${r.plan.activation}`, points: points(r, "val_accuracy"), colour: r.id % 9 })), { x: [1, longest] });
      body.replaceChildren(...runs.map((r) => {
        const last = r.log.at(-1) ?? {}, keep = r.keras ? node("a", { href: `api/train/${r.id}/model.keras`, download: `primer-${r.id}.keras` }, ".keras") : "–";
        return node("tr", {}, cell(String(r.id + 1), false), cell(r.plan.activation), cell(r.plan.filters.join(", ")),
          ...[last.loss, last.val_loss, last.val_accuracy].map((v) => cell(v === undefined ? "–" : said(v))), cell(last.seconds === undefined ? "–" : said(last.seconds, 1)), node("td", { class: "number" }, keep));
      }));
      if (here) state.set(here.state === "failed" ? `failed: ${here.why}` : here.state === "training" ? `training, epoch ${here.log.length} of ${here.plan.epochs}` : `${here.state}, ${here.log.length} epochs`);
      publish("train", runs);
    }
  },
};
