// The operations of hilum.primer.ops, function by function and by the same names, so
// that a page can compute while a slider moves. tests/primer/test_ops_js.py holds
// every function here equal to its NumPy twin.
//
// A tensor is {shape, data}: data is a Float64Array in row order. Convolution and
// pooling take (batch, *spatial, channels) with one to three spatial axes.

export function tensor(shape, data) {
  const size = shape.reduce((a, b) => a * b, 1);
  return { shape: [...shape], data: data ? Float64Array.from(data) : new Float64Array(size) };
}

export function from_rows(rows) {
  return tensor([rows.length, rows[0].length], rows.flat());
}

export function to_rows(x) {
  const [rows, columns] = x.shape.slice(-2);
  return Array.from({ length: rows }, (_, r) => [...x.data.subarray(r * columns, (r + 1) * columns)]);
}

export function reshaped(x, shape) {
  return { shape: [...shape], data: x.data };
}

export function mapped(x, f) {
  const data = new Float64Array(x.data.length);
  for (let i = 0; i < data.length; i++) data[i] = f(x.data[i], i);
  return { shape: x.shape, data };
}

function per_axis(steps, rank) {
  return typeof steps === "number" ? Array(rank).fill(steps) : steps;
}

function refuse(text) {
  throw new RangeError(text);
}

// ---------------------------------------------------------------- convolution

export function same_padding(size, kernel, stride = 1, dilation = 1) {
  const extent = (kernel - 1) * dilation + 1;
  const outputs = Math.ceil(size / stride);
  const total = Math.max((outputs - 1) * stride + extent - size, 0);
  return [Math.floor(total / 2), total - Math.floor(total / 2)];
}

export function output_size(size, kernel, stride = 1, padding = "valid", dilation = 1) {
  if (padding === "same") return Math.ceil(size / stride);
  const extent = (kernel - 1) * dilation + 1;
  if (size < extent) refuse(`A kernel that spans ${extent} voxels does not fit into ${size}.`);
  return Math.floor((size - extent) / stride) + 1;
}

// Three spatial axes for all: what is missing in front has size 1.
function three(values) {
  return [...Array(3 - values.length).fill(1), ...values];
}

export function convolve(x, kernel, bias = null, { stride = 1, padding = "valid", dilation = 1 } = {}) {
  const rank = x.shape.length - 2;
  const spatial = x.shape.slice(1, -1), taps = kernel.shape.slice(0, rank);
  const strides = per_axis(stride, rank), dilations = per_axis(dilation, rank);
  const outs = spatial.map((n, a) => output_size(n, taps[a], strides[a], padding, dilations[a]));
  const before = spatial.map((n, a) =>
    padding === "same" ? same_padding(n, taps[a], strides[a], dilations[a])[0] : 0);
  const [batch, channels, filters] = [x.shape[0], x.shape[rank + 1], kernel.shape[rank + 1]];
  const [D, H, W] = three(spatial), [kd, kh, kw] = three(taps), [od, oh, ow] = three(outs);
  const [sd, sh, sw] = three(strides), [ld, lh, lw] = three(dilations);
  const [pd, ph, pw] = [...Array(3 - rank).fill(0), ...before];
  const y = tensor([batch, ...outs, filters]), out = y.data, data = x.data, taps_data = kernel.data;
  for (let b = 0; b < batch; b++)
    for (let i = 0; i < kd; i++)
      for (let j = 0; j < kh; j++)
        for (let k = 0; k < kw; k++) {
          const first = ((i * kh + j) * kw + k) * channels * filters;
          for (let z = 0; z < od; z++) {
            const zi = z * sd + i * ld - pd;
            if (zi < 0 || zi >= D) continue;
            for (let r = 0; r < oh; r++) {
              const ri = r * sh + j * lh - ph;
              if (ri < 0 || ri >= H) continue;
              const from = ((b * D + zi) * H + ri) * W, to = ((b * od + z) * oh + r) * ow;
              const start = Math.max(Math.ceil((pw - k * lw) / sw), 0);
              const end = Math.min(Math.floor((W - 1 + pw - k * lw) / sw) + 1, ow);
              if (channels * filters === 1) { // one image, one kernel: the quick way
                const weight = taps_data[first], shift = from + k * lw - pw;
                for (let c = start; c < end; c++) out[to + c] += weight * data[shift + c * sw];
                continue;
              }
              for (let c = start; c < end; c++) {
                const source = (from + c * sw + k * lw - pw) * channels, target = (to + c) * filters;
                for (let m = 0; m < channels; m++) {
                  const value = data[source + m], row = first + m * filters;
                  for (let f = 0; f < filters; f++) out[target + f] += value * taps_data[row + f];
                }
              }
            }
          }
        }
  if (bias) for (let i = 0; i < y.data.length; i++) y.data[i] += bias.data[i % filters];
  return y;
}

export function transposed_size(size, kernel, { stride = 1, padding = "valid", dilation = 1, output_padding = null } = {}) {
  const extent = (kernel - 1) * dilation + 1;
  if (padding === "same") {
    if (output_padding === null) return size * stride;
    return (size - 1) * stride + (extent % 2) + output_padding;
  }
  return (size - 1) * stride + extent + (output_padding ?? Math.max(stride - extent, 0));
}

// The kernel is (*spatial, filters, channels), as convolve's read backwards.
export function convolve_transposed(x, kernel, bias = null, options = {}) {
  const { stride = 1, dilation = 1 } = options;
  const rank = x.shape.length - 2;
  const spatial = x.shape.slice(1, -1), taps = kernel.shape.slice(0, rank);
  const strides = per_axis(stride, rank), dilations = per_axis(dilation, rank);
  const wanted = spatial.map((n, a) =>
    transposed_size(n, taps[a], { ...options, stride: strides[a], dilation: dilations[a] }));
  const covered = spatial.map((n, a) => (n - 1) * strides[a] + (taps[a] - 1) * dilations[a] + 1);
  const cut = covered.map((n, a) => Math.floor(Math.max(n - wanted[a], 0) / 2));
  const [batch, channels, filters] = [x.shape[0], x.shape[rank + 1], kernel.shape[rank]];
  const [D, H, W] = three(spatial), [kd, kh, kw] = three(taps), [od, oh, ow] = three(wanted);
  const [sd, sh, sw] = three(strides), [ld, lh, lw] = three(dilations);
  const [cd, ch, cw] = [...Array(3 - rank).fill(0), ...cut];
  const y = tensor([batch, ...wanted, filters]);
  for (let b = 0; b < batch; b++)
    for (let z = 0; z < D; z++)
      for (let r = 0; r < H; r++)
        for (let c = 0; c < W; c++)
          for (let i = 0; i < kd; i++)
            for (let j = 0; j < kh; j++)
              for (let k = 0; k < kw; k++) {
                const [zo, ro, co] = [z * sd + i * ld - cd, r * sh + j * lh - ch, c * sw + k * lw - cw];
                if (zo < 0 || zo >= od || ro < 0 || ro >= oh || co < 0 || co >= ow) continue;
                const source = (((b * D + z) * H + r) * W + c) * channels;
                const target = (((b * od + zo) * oh + ro) * ow + co) * filters;
                const first = ((i * kh + j) * kw + k) * filters * channels;
                for (let f = 0; f < filters; f++)
                  for (let m = 0; m < channels; m++)
                    y.data[target + f] += x.data[source + m] * kernel.data[first + f * channels + m];
              }
  if (bias) for (let i = 0; i < y.data.length; i++) y.data[i] += bias.data[i % filters];
  return y;
}

export function slide(x, kernel, { flip = true } = {}) {
  const weights = flip ? [...kernel] : [...kernel].reverse();
  const y = new Float64Array(x.length + weights.length - 1);
  weights.forEach((weight, k) => x.forEach((value, i) => { y[k + i] += weight * value; }));
  return y;
}

// -------------------------------------------------------------------- pooling

function pool(x, size, stride, padding, largest) {
  const rank = x.shape.length - 2, spatial = x.shape.slice(1, -1);
  const sizes = per_axis(size, rank), strides = per_axis(stride ?? size, rank);
  const outs = spatial.map((n, a) => output_size(n, sizes[a], strides[a], padding));
  const before = spatial.map((n, a) => padding === "same" ? same_padding(n, sizes[a], strides[a])[0] : 0);
  const [batch, channels] = [x.shape[0], x.shape[rank + 1]];
  const [D, H, W] = three(spatial), [kd, kh, kw] = three(sizes), [od, oh, ow] = three(outs);
  const [sd, sh, sw] = three(strides), [pd, ph, pw] = [...Array(3 - rank).fill(0), ...before];
  const y = tensor([batch, ...outs, channels]);
  const data = x.data, out = y.data;
  let at = 0;
  for (let b = 0; b < batch; b++)
    for (let z = 0; z < od; z++)
      for (let r = 0; r < oh; r++)
        for (let c = 0; c < ow; c++) {
          const z0 = Math.max(z * sd - pd, 0), z1 = Math.min(z * sd - pd + kd, D);
          const r0 = Math.max(r * sh - ph, 0), r1 = Math.min(r * sh - ph + kh, H);
          const c0 = Math.max(c * sw - pw, 0), c1 = Math.min(c * sw - pw + kw, W);
          const count = (z1 - z0) * (r1 - r0) * (c1 - c0);
          for (let m = 0; m < channels; m++) {
            let best = -Infinity, sum = 0;
            for (let i = z0; i < z1; i++)
              for (let j = r0; j < r1; j++) {
                const from = ((b * D + i) * H + j) * W;
                for (let k = c0; k < c1; k++) {
                  const value = data[(from + k) * channels + m];
                  if (value > best) best = value;
                  sum += value;
                }
              }
            out[at++] = largest ? best : sum / count;
          }
        }
  return y;
}

export function max_pool(x, size = 2, stride = null, padding = "valid") {
  return pool(x, size, stride, padding, true);
}

export function average_pool(x, size = 2, stride = null, padding = "valid") {
  return pool(x, size, stride, padding, false);
}

export function spatial_pyramid_pool(x, levels = [1, 2, 4], pooling = "max") {
  const rank = x.shape.length - 2, spatial = x.shape.slice(1, -1);
  const [batch, channels] = [x.shape[0], x.shape[rank + 1]];
  const [D, H, W] = three(spatial), out = [];
  for (let b = 0; b < batch; b++)
    for (const n of levels) {
      const bins = three(Array(rank).fill(n));
      const edge = (i, s, parts) => [Math.floor((i * s) / parts), Math.ceil(((i + 1) * s) / parts)];
      for (let z = 0; z < bins[0]; z++)
        for (let r = 0; r < bins[1]; r++)
          for (let c = 0; c < bins[2]; c++) {
            const [z0, z1] = edge(z, D, bins[0]), [r0, r1] = edge(r, H, bins[1]), [c0, c1] = edge(c, W, bins[2]);
            for (let m = 0; m < channels; m++) {
              let best = -Infinity, sum = 0;
              for (let i = z0; i < z1; i++)
                for (let j = r0; j < r1; j++)
                  for (let k = c0; k < c1; k++) {
                    const value = x.data[(((b * D + i) * H + j) * W + k) * channels + m];
                    best = Math.max(best, value);
                    sum += value;
                  }
              out.push(pooling === "max" ? best : sum / ((z1 - z0) * (r1 - r0) * (c1 - c0)));
            }
          }
    }
  return tensor([batch, out.length / batch], out);
}

// ---------------------------------------------------------------- activations

export const SELU_ALPHA = 1.6732632423543772;
export const SELU_SCALE = 1.0507009873554805;

export function sigmoid(x) {
  const small = Math.exp(-Math.abs(x));
  return (x >= 0 ? 1 : small) / (1 + small);
}
export const sigmoid_derivative = (x) => sigmoid(x) * sigmoid(-x);
export const tanh = (x) => Math.tanh(x);
export const tanh_derivative = (x) => 1 - Math.tanh(x) ** 2;
export const relu = (x) => Math.max(x, 0);
export const relu_derivative = (x) => (x > 0 ? 1 : 0);
export const leaky_relu = (x, slope = 0.01) => prelu(x, slope);
export const leaky_relu_derivative = (x, slope = 0.01) => prelu_derivatives(x, slope)[0];
export const prelu = (x, alpha) => Math.max(x, 0) + alpha * Math.min(x, 0);
export const prelu_derivatives = (x, alpha) => [x > 0 ? 1 : alpha, Math.min(x, 0)];
export const elu = (x, alpha = 1) => (x > 0 ? x : alpha * Math.expm1(x));
export const elu_derivative = (x, alpha = 1) => (x > 0 ? 1 : alpha * Math.exp(x));
export const selu = (x) => SELU_SCALE * elu(x, SELU_ALPHA);
export const selu_derivative = (x) => SELU_SCALE * elu_derivative(x, SELU_ALPHA);
export const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
export const softplus_derivative = (x) => sigmoid(x);
export const hard_tanh = (x) => Math.min(Math.max(x, -1), 1);
export const hard_tanh_derivative = (x) => (Math.abs(x) < 1 ? 1 : 0);
export const rrelu = (x, divisor = 5.5) => (x > 0 ? x : x / divisor);
export const rrelu_derivative = (x, divisor = 5.5) => (x > 0 ? 1 : 1 / divisor);
export const rrelu_expected = (x, lower = 3, upper = 8) =>
  rrelu(x, upper > lower ? (upper - lower) / Math.log(upper / lower) : lower);
export const noisy_relu = (x, noise, stddev = null) =>
  Math.max(0, x + (stddev ?? Math.sqrt(sigmoid(x))) * noise);
export const noisy_relu_derivative = (x, noise, stddev = null) => {
  const s = sigmoid(x), growth = stddev === null ? (Math.sqrt(s) * (1 - s)) / 2 : 0;
  return noisy_relu(x, noise, stddev) > 0 ? 1 + growth * noise : 0;
};
export const noisy_activation = (x, noise, { p = 1, alpha = 1.15, scale = 0.5 } = {}) => {
  const h = hard_tanh(x), sigma = scale * (sigmoid(p * (h - x)) - 0.5) ** 2;
  return alpha * h + (1 - alpha) * x - Math.sign(x) * (Math.sign(1 - alpha) || 1) * sigma * noise;
};

// ------------------------------------------------ dense, softmax, normalisation

export function dense(x, kernel, bias = null) {
  const [inputs, units] = kernel.shape, rows = x.data.length / inputs;
  const y = tensor([...x.shape.slice(0, -1), units]);
  for (let r = 0; r < rows; r++)
    for (let u = 0; u < units; u++) {
      let sum = bias ? bias.data[u] : 0;
      for (let i = 0; i < inputs; i++) sum += x.data[r * inputs + i] * kernel.data[i * units + u];
      y.data[r * units + u] = sum;
    }
  return y;
}

// Of one row of scores.
export function softmax(scores, temperature = 1) {
  if (!(temperature > 0)) refuse(`Temperature must be > 0; got ${temperature}.`);
  const largest = Math.max(...scores);
  const weights = Array.from(scores, (s) => Math.exp((s - largest) / temperature));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / sum);
}

export function hu_window(hu, level_hu = -600, width_hu = 1500) {
  return Math.min(Math.max((hu - level_hu) / width_hu + 0.5, 0), 1);
}

export function batch_norm(x, mean, variance, gamma = 1, beta = 0, epsilon = 1e-3) {
  const channels = x.shape[x.shape.length - 1], of = (v, c) => (typeof v === "number" ? v : v[c]);
  return mapped(x, (value, i) => {
    const c = i % channels;
    return ((value - mean[c]) * of(gamma, c)) / Math.sqrt(variance[c] + epsilon) + of(beta, c);
  });
}

export function batch_norm_training(x, moving, gamma = 1, beta = 0, { momentum = 0.99, epsilon = 1e-3 } = {}) {
  const channels = x.shape[x.shape.length - 1], rows = x.data.length / channels;
  const mean = Array(channels).fill(0), variance = Array(channels).fill(0);
  x.data.forEach((value, i) => { mean[i % channels] += value / rows; });
  x.data.forEach((value, i) => { variance[i % channels] += (value - mean[i % channels]) ** 2 / rows; });
  const kept = (old, now) => now.map((v, c) => momentum * old[c] + (1 - momentum) * v);
  const y = batch_norm(x, mean, variance, gamma, beta, epsilon);
  return { y, mean, variance, moving: [kept(moving[0], mean), kept(moving[1], variance)] };
}

// --------------------------------------------------------------------- images

export function histogram(values, low, high, bins) {
  const counts = new Float64Array(bins), factor = high - low;
  for (let i = 0; i < values.length; i++) {
    const place = Math.floor(((values[i] - low) / factor) * bins);
    counts[Math.min(Math.max(place, 0), bins - 1)]++;
  }
  return counts;
}

function rounded(value) { // half to even, as NumPy does
  const below = Math.floor(value), rest = value - below;
  if (rest !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

export function equalise(grey) {
  const counts = histogram(grey.data, 0, 256, 256);
  const first = counts.find((n) => n > 0);
  if (first === grey.data.length) return mapped(grey, (v) => v);
  const factor = 255 / (grey.data.length - first);
  let sum = 0;
  const table = counts.map((n) => { sum += n; return rounded((sum - first) * factor); });
  return mapped(grey, (v) => table[v]);
}

export function gaussian_kernel(sigma, radius = null) {
  if (!(sigma > 0)) refuse(`The width of a blur must be > 0 pixels; got ${sigma}.`);
  const reach = radius ?? Math.ceil(3 * sigma);
  const weights = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-((i - reach) ** 2) / (2 * sigma ** 2)));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / sum);
}

// Row by row with the border mirrored: the sums of filter_image, in a quick order.
export function filter_image(image, kernel) {
  const [rows, columns] = image.shape, [kh, kw] = kernel.shape;
  const y = tensor(image.shape), half = Math.floor(kw / 2), width = columns + 2 * half;
  const mirrored = (i, n) => (i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i);
  const padded = new Float64Array(rows * width), out = y.data, data = image.data;
  const place = Int32Array.from({ length: width }, (_, c) => mirrored(c - half, columns));
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < width; c++) padded[r * width + c] = data[r * columns + place[c]];
  for (let r = 0; r < rows; r++)
    for (let j = 0; j < kh; j++) {
      const from = mirrored(r + j - Math.floor(kh / 2), rows) * width;
      for (let k = 0; k < kw; k++) {
        const weight = kernel.data[j * kw + k];
        if (weight === 0) continue;
        for (let c = 0, o = r * columns, i = from + k; c < columns; c++) out[o + c] += weight * padded[i + c];
      }
    }
  return y;
}

export function blur(image, sigma) {
  const weights = gaussian_kernel(sigma), n = weights.length;
  return filter_image(filter_image(image, tensor([1, n], weights)), tensor([n, 1], weights));
}

export const SOBEL = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]];

export function edges(image) {
  const across = filter_image(image, from_rows(SOBEL));
  const down = filter_image(image, from_rows(SOBEL[0].map((_, c) => SOBEL.map((row) => row[c]))));
  return mapped(across, (value, i) => Math.sqrt(value ** 2 + down.data[i] ** 2));
}

// x and kernels are plain rows; activation and derivative functions of one number.
export function gradient_by_depth(x, kernels, activation, derivative) {
  const [layers, units] = kernels.shape, rows = x.shape[0];
  const kernel = (n) => ({ shape: [units, units], data: kernels.data.subarray(n * units * units, (n + 1) * units * units) });
  const turned = (k) => tensor([units, units], k.data.map((_, i) => k.data[(i % units) * units + Math.floor(i / units)]));
  const kept = [], spreads = [], norms = Array(layers);
  let a = x;
  for (let n = 0; n < layers; n++) {
    const z = dense(a, kernel(n));
    a = mapped(z, (v) => activation(v));
    kept.push(z);
    const mean = a.data.reduce((s, v) => s + v, 0) / a.data.length;
    spreads.push(Math.sqrt(a.data.reduce((s, v) => s + (v - mean) ** 2, 0) / a.data.length));
  }
  let g = mapped(a, () => 1);
  for (let n = layers - 1; n >= 0; n--) {
    g = dense(mapped(g, (v, i) => v * derivative(kept[n].data[i])), turned(kernel(n)));
    norms[n] = Math.sqrt(g.data.reduce((s, v) => s + v * v, 0) / rows);
  }
  return [spreads, norms];
}

// ------------------------------------------------------------ costs, decisions

export function convolution_cost(outputs, kernel, channels, filters) {
  const weights = kernel.reduce((a, b) => a * b, 1) * channels * filters;
  return [weights + filters, outputs.reduce((a, b) => a * b, 1) * weights];
}

export const dense_cost = (inputs, units) => [inputs * units + units, inputs * units];

export function receptive_field(layers) {
  let field = 1, step = 1;
  for (const [kernel, stride] of layers) {
    field += (kernel - 1) * step;
    step *= stride;
  }
  return [field, step];
}

export function reads_from(layers, size, place) {
  const sizes = [size];
  for (const [, stride] of layers) sizes.push(Math.ceil(sizes.at(-1) / stride));
  let first = place, last = place;
  for (let n = layers.length - 1; n >= 0; n--) {
    const [kernel, stride] = layers[n], [before] = same_padding(sizes[n], kernel, stride);
    first = first * stride - before;
    last = last * stride - before + kernel - 1;
  }
  return [first, last];
}

const SUREST = 1e-15;
const kept_off = (p) => Math.min(Math.max(p, SUREST), 1 - SUREST);

export function log_loss(probability, truth) {
  let sum = 0;
  probability.forEach((p, i) => { sum -= Math.log(truth[i] > 0 ? kept_off(p) : 1 - kept_off(p)); });
  return sum / probability.length;
}

export function recalibrate(probability, slope, offset) {
  return Array.from(probability, (given) => {
    const p = kept_off(given);
    return sigmoid(slope * (Math.log(p) - Math.log1p(-p)) + offset);
  });
}

export function reliability(probability, truth, bins = 10) {
  const said = Array(bins).fill(0), came = Array(bins).fill(0), count = Array(bins).fill(0);
  probability.forEach((p, i) => {
    const place = Math.min(Math.floor(p * bins), bins - 1);
    said[place] += p;
    came[place] += truth[i];
    count[place]++;
  });
  const share = (sum, i) => (count[i] ? sum / count[i] : NaN);
  return [said.map(share), came.map(share), count];
}

export function calibration_error(probability, truth, bins = 10) {
  const [said, came, count] = reliability(probability, truth, bins);
  let sum = 0;
  count.forEach((n, i) => { if (n) sum += Math.abs(said[i] - came[i]) * n; });
  return sum / probability.length;
}

export function noisy_or(probability, leak = 0) {
  return 1 - (1 - leak) * probability.reduce((product, p) => product * (1 - p), 1);
}

export function froc(score, is_hit, nodules, scans) {
  const order = score.map((_, i) => i).sort((a, b) => score[b] - score[a] || a - b);
  let hits = 0, wrong = 0;
  const threshold = [], found = [], falsely = [];
  for (const i of order) {
    if (is_hit[i]) hits++;
    else wrong++;
    threshold.push(score[i]);
    found.push(hits / Math.max(nodules, 1));
    falsely.push(wrong / scans);
  }
  return [threshold, found, falsely];
}
