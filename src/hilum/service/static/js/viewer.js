// A CT in three planes, with lungs, nodules and circles around findings.
//
// Points outside of this module are DICOM patient coordinates (LPS, mm). NiiVue has
// RAS, so x and y change their sign here and nowhere else. The patient's right is on
// the left of the picture, as radiologists have it.

import { Niivue, SLICE_TYPE } from "../vendor/niivue.js";
import { view } from "./api.js";
import { h } from "./dom.js";

export const WINDOWS = [
  { name: "Lung", level: -600, width: 1500 },
  { name: "Soft tissue", level: 40, width: 400 },
  { name: "Bone", level: 400, width: 1800 },
  { name: "Nodule", level: -200, width: 900 },
];

export const PLANES = [
  { name: "All", type: SLICE_TYPE.MULTIPLANAR, layout: true },
  { name: "Axial", type: SLICE_TYPE.AXIAL },
  { name: "Coronal", type: SLICE_TYPE.CORONAL },
  { name: "Sagittal", type: SLICE_TYPE.SAGITTAL },
];

// Three planes, the axial one largest: beside the others, or above them when narrow.
const WIDE = [
  { sliceType: SLICE_TYPE.AXIAL, position: [0, 0, 0.6, 1] },
  { sliceType: SLICE_TYPE.CORONAL, position: [0.6, 0, 0.4, 0.5] },
  { sliceType: SLICE_TYPE.SAGITTAL, position: [0.6, 0.5, 0.4, 0.5] },
];
const NARROW = [
  { sliceType: SLICE_TYPE.AXIAL, position: [0, 0, 1, 0.62] },
  { sliceType: SLICE_TYPE.CORONAL, position: [0, 0.62, 0.5, 0.38] },
  { sliceType: SLICE_TYPE.SAGITTAL, position: [0.5, 0.62, 0.5, 0.38] },
];
const NARROW_BELOW = 1.1;
const LUNGS = { R: [0, 70, 70], G: [0, 170, 130], B: [0, 230, 230], A: [0, 64, 64], I: [0, 1, 2] };
const LUNG_OPACITY = 0.2;
const NODULE_OPACITY = 0.55;
const COLOURS = { found: "#ffb347", accepted: "#6fd08c", rejected: "#ff6b6b", added: "#7cc4ff" };
const CROSS = "rgba(124, 196, 216, 0.75)";
const GAP = 14;
const flip = ([x, y, z]) => [-x, -y, z];

export class Viewer {
  constructor(label) {
    this.canvas = h("canvas", { tabIndex: 0, "aria-label": label });
    this.circles = h("canvas", { className: "circles", "aria-hidden": "true" });
    this.where = h("output", { className: "where mono" });
    this.node = h("div", { className: "viewer" }, this.canvas, this.circles, this.where);
    this.marks = [];
    this.chosen = null;
    this.overlays = true;
    this.plane = 0;
    this.onMove = () => {};
    this.nv = new Niivue({
      isRadiologicalConvention: true,
      sagittalNoseLeft: true,
      multiplanarShowRender: 0,
      backColor: [0, 0, 0, 1],
      crosshairWidth: 0, // ours is thin whatever the zoom, and open in its middle
      dragAndDropEnabled: false,
      isResizeCanvas: true,
      loadingText: "loading the images",
      isNearestInterpolation: false,
      show3Dcrosshair: false,
      isColorbar: false,
    });
    this.nv.onLocationChange = (at) => {
      this.say(at);
      this.draw();
      this.onMove(this.position());
    };
  }

  async load(study, { small = false, overlays = true } = {}) {
    await this.nv.attachToCanvas(this.canvas);
    const preset = WINDOWS[0];
    const list = [
      {
        url: view(study, small ? "small" : "ct"),
        colormap: "gray",
        cal_min: preset.level - preset.width / 2,
        cal_max: preset.level + preset.width / 2,
        trustCalMinMax: true,
      },
    ];
    if (overlays) {
      list.push({ url: view(study, "lungs"), opacity: LUNG_OPACITY });
      list.push({ url: view(study, "nodules"), opacity: NODULE_OPACITY });
    }
    await this.nv.loadVolumes(list);
    if (overlays) {
      this.nv.volumes[1].setColormapLabel(LUNGS);
      this.nv.volumes[2].setColormapLabel(noduleColours(this.nv.volumes[2]));
    }
    this.planes(0);
    this.window(0);
    // circles follow every change of the picture: size, zoom, plane
    const drawScene = this.nv.drawScene.bind(this.nv);
    this.nv.drawScene = (...all) => {
      const said = drawScene(...all);
      this.draw();
      return said;
    };
    this.watcher = new ResizeObserver(() => this.arrange());
    this.watcher.observe(this.node);
    this.nv.drawScene();
  }

  // The cross, as a world point.
  position() {
    return flip([...this.nv.frac2mm(this.nv.scene.crosshairPos)].slice(0, 3));
  }

  // The voxel under the cross, (slice, row, column) of the CT that is shown.
  voxel() {
    const image = this.nv.volumes[0];
    const [x, y, z] = this.nv.frac2vox(this.nv.scene.crosshairPos);
    const [, nx, ny] = image.dimsRAS;
    return [z, ny - 1 - y, nx - 1 - x].map(Math.round);
  }

  goTo(point) {
    this.nv.scene.crosshairPos = this.nv.mm2frac(flip(point));
    this.nv.createOnLocationChange();
    this.nv.drawScene();
  }

  step(slices) {
    this.nv.moveCrosshairInVox(0, 0, slices);
  }

  window(index) {
    const { level, width } = WINDOWS[index];
    const image = this.nv.volumes[0];
    if (!image) return;
    [image.cal_min, image.cal_max] = [level - width / 2, level + width / 2];
    this.nv.updateGLVolume();
  }

  planes(index) {
    this.plane = index;
    this.arrange();
    this.nv.setSliceType(PLANES[index].type);
  }

  arrange() {
    const { clientWidth, clientHeight } = this.node;
    const narrow = clientWidth < NARROW_BELOW * clientHeight;
    if (PLANES[this.plane].layout) this.nv.setCustomLayout(narrow ? NARROW : WIDE);
    else this.nv.clearCustomLayout();
  }

  showOverlays(on) {
    this.overlays = on;
    if (this.nv.volumes.length > 1) {
      this.nv.setOpacity(1, on ? LUNG_OPACITY : 0);
      this.nv.setOpacity(2, on ? NODULE_OPACITY : 0);
    }
    this.draw();
  }

  // Circles: [{ center, diameter, kind, label }].
  setMarks(marks, chosen = null) {
    this.marks = marks;
    this.chosen = chosen;
    this.draw();
  }

  say(at) {
    const hu = at.values?.[0]?.value;
    const [x, y, z] = this.position();
    const place = `${x.toFixed(1)}, ${y.toFixed(1)}, ${z.toFixed(1)} mm`;
    this.where.textContent = `${place}   ${hu === undefined ? "" : `${Math.round(hu)} HU`}`;
  }

  draw() {
    const { width, height } = this.canvas;
    if (this.circles.width !== width) this.circles.width = width;
    if (this.circles.height !== height) this.circles.height = height;
    const pen = this.circles.getContext("2d");
    pen.clearRect(0, 0, width, height);
    if (!this.nv.volumes.length) return;
    const cross = flip(this.position());
    for (const tile of this.nv.screenSlices) {
      if (tile.axCorSag > 2) continue;
      drawCross(pen, tile, cross);
      if (!this.overlays) continue;
      for (const mark of this.marks) drawCircle(pen, tile, mark, cross, mark === this.chosen);
    }
  }

  destroy() {
    this.onMove = () => {};
    this.watcher?.disconnect();
    this.nv.cleanup?.();
    this.nv.gl?.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

// Which axes a tile shows across and up, and along which it is cut.
const AXES = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 2, 0],
];

// Where a point (RAS) is on a tile, and the tile itself, in pixels of the canvas.
function placed(tile, point) {
  const [across, up] = AXES[tile.axCorSag];
  let [left, top, width, height] = tile.leftTopWidthHeight;
  const mirrored = width < 0;
  if (mirrored) [left, width] = [left + width, -width];
  const shareX = (point[across] - tile.leftTopMM[0]) / tile.fovMM[0];
  const shareY = (point[up] - tile.leftTopMM[1]) / tile.fovMM[1];
  return {
    x: left + (mirrored ? 1 - shareX : shareX) * width,
    y: top + (1 - shareY) * height,
    pixelsPerMm: width / Math.abs(tile.fovMM[0]),
    box: [left, top, left + width, top + height],
  };
}

function drawCross(pen, tile, cross) {
  const { x, y, box } = placed(tile, cross);
  const ratio = globalThis.devicePixelRatio || 1;
  const gap = GAP * ratio;
  pen.strokeStyle = CROSS;
  pen.lineWidth = ratio;
  pen.beginPath();
  for (const [x1, y1, x2, y2] of [
    [box[0], y, x - gap, y],
    [x + gap, y, box[2], y],
    [x, box[1], x, y - gap],
    [x, y + gap, x, box[3]],
  ]) {
    if (x2 < x1 || y2 < y1) continue;
    pen.moveTo(x1, y1);
    pen.lineTo(x2, y2);
  }
  pen.stroke();
}

// Where a sphere cuts the plane of a tile.
function drawCircle(pen, tile, mark, cross, chosen) {
  const center = flip(mark.center);
  const along = AXES[tile.axCorSag][2];
  const off = center[along] - cross[along];
  const radius = Math.max(mark.diameter / 2, 1);
  if (Math.abs(off) >= radius) return;
  const { x, y, pixelsPerMm } = placed(tile, center);
  const pixels = Math.sqrt(radius ** 2 - off ** 2) * pixelsPerMm;
  const ratio = globalThis.devicePixelRatio || 1;
  pen.lineWidth = (chosen ? 2.5 : 1.5) * ratio;
  pen.strokeStyle = COLOURS[mark.kind];
  pen.fillStyle = COLOURS[mark.kind];
  pen.beginPath();
  pen.arc(x, y, pixels + 3 * ratio, 0, 2 * Math.PI);
  pen.stroke();
  pen.font = `${12 * ratio}px system-ui, sans-serif`;
  pen.fillText(mark.label, x + pixels + 6 * ratio, y - pixels);
}

// The table has to end with the last label: NiiVue paints label 0 in a longer one.
function noduleColours(image) {
  const last = Math.max(1, image.global_max);
  const all = (value) => [0, ...Array(last).fill(value)];
  return { R: all(255), G: all(179), B: all(71), A: all(255), I: [...Array(last + 1).keys()] };
}

// From a point of one scan to that of another by the registration of the two: shifts
// on a lattice, in proportion between its points, the nearest one outside of it.
export function linkThrough({ origin_mm, step_mm, shape, shifts_mm }) {
  const counts = [...shape].reverse(); // along x, y, z
  return (point) => {
    const at = point.map((value, axis) => {
      const place = (value - origin_mm[axis]) / step_mm[axis];
      return Math.min(Math.max(place, 0), counts[axis] - 1);
    });
    const low = at.map((place, axis) => Math.min(Math.floor(place), Math.max(counts[axis] - 2, 0)));
    const moved = [...point];
    for (let corner = 0; corner < 8; corner += 1) {
      const up = [corner & 1, (corner >> 1) & 1, corner >> 2];
      const weight = at.reduce((w, place, axis) => w * (up[axis] ? place - low[axis] : 1 - (place - low[axis])), 1);
      if (weight === 0) continue;
      const [i, j, k] = low.map((value, axis) => value + up[axis]);
      const start = 3 * ((k * counts[1] + j) * counts[0] + i);
      for (let axis = 0; axis < 3; axis += 1) moved[axis] += weight * shifts_mm[start + axis];
    }
    return moved;
  };
}

// The same until the two are registered, or where they cannot be: by the boxes around
// their lungs. Breathing moves lungs, so this is near, not exact.
export function linkBy(from, to) {
  if (!from || !to) return (point) => point;
  return (point) =>
    point.map((value, axis) => {
      const share = (value - from[0][axis]) / (from[1][axis] - from[0][axis]);
      return to[0][axis] + share * (to[1][axis] - to[0][axis]);
    });
}
