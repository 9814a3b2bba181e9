// Numbers as people read them.

export const percent = (value) =>
  value === null || value === undefined
    ? "–"
    : value < 0.01
      ? "< 1 %"
      : `${Math.round(value * 100)} %`;

export const millimetres = (value) => `${value.toFixed(1)} mm`;

export function size(bytes) {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`;
  if (bytes >= 1e6) return `${Math.round(bytes / 1e6)} MB`;
  return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
}

export const date = (dicom) =>
  dicom && /^\d{8}$/.test(dicom)
    ? `${dicom.slice(0, 4)}-${dicom.slice(4, 6)}-${dicom.slice(6)}`
    : "–";

export function moment(seconds) {
  const when = new Date(seconds * 1000);
  const pad = (n) => String(n).padStart(2, "0");
  const day = `${when.getFullYear()}-${pad(when.getMonth() + 1)}-${pad(when.getDate())}`;
  return `${day} ${pad(when.getHours())}:${pad(when.getMinutes())}`;
}

export function left(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s left`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min left`;
  return `${(seconds / 3600).toFixed(1)} h left`;
}

// A patient is known by a few digits of a keyed digest, never by name.
export const patient = (digest) => (digest ? digest.slice(0, 6).toUpperCase() : "–");

// The category of a nodule, with those that size or kind in doubt leave possible.
export function category(said) {
  if (!said) return null;
  const range = said.possible && said.possible !== said.category ? ` (${said.possible} where size or kind is in doubt)` : "";
  return `Lung-RADS ${said.category}${range}`;
}

const STAGES = {
  start: "starting",
  read: "reading the slices",
  lungs: "finding the lungs",
  scope: "checking the scope",
  nodules: "looking for nodules",
  measure: "measuring",
  malignancy: "judging",
  patient: "summing up",
  write: "writing documents",
  views: "preparing the viewer",
  deliver: "delivering",
};

export const stage = (name) => STAGES[name] ?? name;

export function verdict(study) {
  if (study.in_scope === null) return "";
  const count = `${study.nodules} nodule${study.nodules === 1 ? "" : "s"}`;
  if (study.probability === null) {
    return study.in_scope ? count : `out of scope, ${count}`;
  }
  return `${percent(study.probability)}, ${count}${study.in_scope ? "" : ", out of scope"}`;
}
