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

const THREE = [
  { sliceType: SLICE_TYPE.AXIAL, position: [0, 0, 0.6, 1] },
  { sliceType: SLICE_TYPE.CORONAL, position: [0.6, 0, 0.4, 0.5] },
  { sliceType: SLICE_TYPE.SAGITTAL, position: [0.6, 0.5, 0.4, 0.5] },
];
const LUNGS = { R: [0, 70, 70], G: [0, 170, 130], B: [0, 230, 230], A: [0, 64, 64], I: [0, 1, 2] };
const LUNG_OPACITY = 0.2;
const NODULE_OPACITY = 0.55;
const COLOURS = { found: "#ffb347", accepted: "#6fd08c", rejected: "#ff6b6b", added: "#7cc4ff" };
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
    this.onMove = () => {};
    this.nv = new Niivue({
      isRadiologicalConvention: true,
      sagittalNoseLeft: true,
      multiplanarShowRender: 0,
      backColor: [0, 0, 0, 1],
      crosshairColor: [0.45, 0.8, 0.9, 0.6],
      crosshairWidth: 1,
      crosshairWidthUnit: "mm",
      crosshairGap: 12,
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
    if (PLANES[index].layout) this.nv.setCustomLayout(THREE);
    else this.nv.clearCustomLayout();
    this.nv.setSliceType(PLANES[index].type);
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
    if (!this.nv.volumes.length || !this.overlays) return;
    const cross = flip(this.position());
    for (const tile of this.nv.screenSlices) {
      if (tile.axCorSag > 2) continue;
      for (const mark of this.marks) drawCircle(pen, tile, mark, cross, mark === this.chosen);
    }
  }

  destroy() {
    this.onMove = () => {};
    this.nv.cleanup?.();
    this.nv.gl?.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

// Where a sphere cuts the plane of a tile, in pixels of the canvas.
function drawCircle(pen, tile, mark, cross, chosen) {
  const center = flip(mark.center);
  const [across, up, along] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 2, 0],
  ][tile.axCorSag];
  const off = center[along] - cross[along];
  const radius = Math.max(mark.diameter / 2, 1);
  if (Math.abs(off) >= radius) return;
  let [left, top, width, height] = tile.leftTopWidthHeight;
  const mirrored = width < 0;
  if (mirrored) [left, width] = [left + width, -width];
  const shareX = (center[across] - tile.leftTopMM[0]) / tile.fovMM[0];
  const shareY = (center[up] - tile.leftTopMM[1]) / tile.fovMM[1];
  const x = left + (mirrored ? 1 - shareX : shareX) * width;
  const y = top + (1 - shareY) * height;
  const pixels = (Math.sqrt(radius ** 2 - off ** 2) * width) / Math.abs(tile.fovMM[0]);
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

// From a point of one scan to that of another: by the boxes around their lungs, and a
// shift that the reader may set. Breathing moves lungs, so this is near, not exact.
export function linkBy(from, to) {
  if (!from || !to) return (point) => point;
  return (point) =>
    point.map((value, axis) => {
      const share = (value - from[0][axis]) / (from[1][axis] - from[0][axis]);
      return to[0][axis] + share * (to[1][axis] - to[0][axis]);
    });
}
