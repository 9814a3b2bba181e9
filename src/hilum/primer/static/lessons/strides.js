import { convolve_transposed, output_size, same_padding, tensor, to_rows, transposed_size, reshaped } from "../ops.js";
import { cells, check, choice, extent, group, picture, player, publish, result, said, slider, timed, unpack } from "../widgets.js";

export const views = {
  grid(root) {
    const controls = group(root, "controls"), change = timed(update);
    const way = choice(controls, { label: "Direction", options: [["forward", "convolution: reads"], ["back", "transposed: writes"]], value: "forward", change });
    const padding = choice(controls, { label: "Padding", options: ["valid", "same"], value: "same", change });
    const size = slider(controls, { label: "Input size", min: 2, max: 10, value: 6, change });
    const kernel = slider(controls, { label: "Kernel", min: 1, max: 5, value: 3, change });
    const stride = slider(controls, { label: "Stride", min: 1, max: 4, value: 2, change });
    const dilation = slider(controls, { label: "Dilation", min: 1, max: 3, value: 1, change });
    const place = slider(controls, { label: "Place", min: 1, max: 9, value: 1, change });
    player(group(controls, "buttons"), place, { change, ms: 500 });
    const figures = group(root, "figures");
    const input = cells(group(figures, "part"), { label: "Input, with its padding" });
    const output = cells(group(figures, "part"), { label: "Output" });
    const formula = result(group(root, "results"), "Output size");
    function update() {
      const [n, k, s, d] = [size.value, kernel.value, stride.value, dilation.value];
      const extent = (k - 1) * d + 1, mode = padding.value, back = way.value === "back";
      if (!back && mode === "valid" && n < extent) {
        input.draw([[null]], { plain: true });
        output.draw([[null]], { plain: true });
        formula.set(`none: a kernel that spans ${extent} does not fit into ${n}`);
        publish("grid", { outputs: 0 });
        return;
      }
      const outputs = back ? transposed_size(n, k, { stride: s, dilation: d, padding: mode }) : output_size(n, k, s, mode, d);
      const steps = back ? n : outputs;
      place.limit(1, steps * steps);
      const at = place.value - 1, row = Math.floor(at / steps), column = at % steps;
      const taps = (start) => Array.from({ length: k }, (_, i) => start + i * d);
      let before = 0, whole = n;
      if (back) { // the written square, less the border that "same" cuts off
        const covered = (n - 1) * s + extent, cut = Math.floor(Math.max(covered - outputs, 0) / 2);
        const rows = new Set(taps(row * s - cut)), columns = new Set(taps(column * s - cut));
        input.draw(Array.from({ length: n }, () => Array(n).fill(null)), { plain: true, mark: (r, c) => (r === row && c === column ? "on" : "") });
        output.draw(Array.from({ length: outputs }, () => Array(outputs).fill(null)), { plain: true, mark: (r, c) => (rows.has(r) && columns.has(c) ? "read" : "") });
      } else {
        const sides = mode === "same" ? same_padding(n, k, s, d) : [0, 0];
        [before] = sides;
        whole = n + sides[0] + sides[1];
        const rows = new Set(taps(row * s)), columns = new Set(taps(column * s));
        const inside = (i) => i >= before && i < before + n;
        input.draw(Array.from({ length: whole }, (_, r) => Array.from({ length: whole }, (_, c) => (inside(r) && inside(c) ? null : 0))),
          { plain: true, mark: (r, c) => `${rows.has(r) && columns.has(c) ? "read" : ""} ${inside(r) && inside(c) ? "" : "off"}` });
        output.draw(Array.from({ length: outputs }, () => Array(outputs).fill(null)), { plain: true, mark: (r, c) => (r === row && c === column ? "on" : "") });
      }
      const text = back
        ? mode === "same" ? `${n} · ${s} = ${outputs}` : `(${n} − 1) · ${s} + ${extent}${s > extent ? ` + ${s - extent}` : ""} = ${outputs}`
        : mode === "same" ? `⌈${n} / ${s}⌉ = ${outputs}` : `⌊(${n} − ${extent}) / ${s}⌋ + 1 = ${outputs}`;
      formula.set(`${text}${d > 1 ? `, the kernel spans (${k} − 1) · ${d} + 1 = ${extent}` : ""}`);
      publish("grid", { outputs, before, whole });
    }
    change();
  },

  board(root, data) {
    const cut = unpack(data.cut), controls = group(root, "controls"), change = timed(update);
    const kernel = slider(controls, { label: "Kernel", min: 1, max: 6, value: 3, change });
    const stride = slider(controls, { label: "Stride", min: 1, max: 4, value: 2, change });
    const even = check(controls, { label: "Divide by the number of copies", change });
    const figures = group(root, "figures");
    const counts = cells(group(figures, "part dense"), { label: "Copies that each output cell gets" });
    const image = picture(figures, { label: "The CT, thinned out and brought back" });
    const said_ = result(group(root, "results"), "Copies inside");
    function update() {
      const k = kernel.value, s = stride.value, options = { stride: s, padding: "same" };
      const ones = tensor([k, k, 1, 1], Array(k * k).fill(1));
      const copies = convolve_transposed(tensor([1, 7, 7, 1], Array(49).fill(1)), ones, null, options);
      const rows = to_rows(reshaped(copies, copies.shape.slice(1, 3)));
      counts.draw(rows, { digits: 0 });
      const inner = rows.slice(k, -k).flatMap((row) => row.slice(k, -k)), kinds = [...new Set(inner)].sort((a, b) => a - b);
      said_.set(kinds.length > 1 ? `${kinds.join(", ")}: a chessboard` : `${kinds.join()} everywhere: even`);
      const n = Math.ceil(cut.shape[0] / s), few = tensor([1, n, n, 1]);
      for (let r = 0; r < n; r++) for (let c = 0; c < n; c++) few.data[r * n + c] = (cut.data[r * s * cut.shape[1] + c * s] + 1350) / 1500;
      const y = convolve_transposed(few, ones, null, options);
      if (even.value) {
        const times = convolve_transposed(tensor(few.shape, few.data.map(() => 1)), ones, null, options);
        y.data.forEach((v, i) => { y.data[i] = times.data[i] ? v / times.data[i] : 0; });
      }
      const most = even.value ? 1 : Math.max(...inner, 1);
      image.draw(reshaped(y, y.shape.slice(1, 3)), 0, most);
      publish("board", { copies: rows, image: [extent(y)[0], extent(y)[1]] });
    }
    change();
  },
};
