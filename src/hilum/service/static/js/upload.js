// Sending a folder, a zip or a volume, dropped or picked, with progress.

import { api, send } from "./api.js";
import { complain, h, say } from "./dom.js";
import { size } from "./words.js";

const AT_ONCE = 4;
const TRIES = 3;
const WHOLE = /\.(zip|nii|nii\.gz|mha)$/i;
const JUNK = /^(\.|thumbs\.db$|desktop\.ini$)/i;

export function uploader(done) {
  const bar = h("progress", { max: 1, value: 0, hidden: true });
  const said = h("p", { className: "quiet" }, "A folder of DICOM, a zip, NIfTI or MetaImage.");
  const files = h("input", { type: "file", multiple: true, hidden: true, id: "files" });
  const folder = h("input", { type: "file", hidden: true, id: "folder" });
  folder.webkitdirectory = true;
  const place = h(
    "section",
    { id: "drop", "aria-label": "Send studies" },
    h("p", {}, "Drop a study here, or "),
    h("button", { type: "button", onclick: () => folder.click() }, "choose a folder"),
    h("button", { type: "button", onclick: () => files.click() }, "choose files"),
    files,
    folder,
    said,
    bar,
  );
  let busy = false;

  async function take(list) {
    if (busy) return say("An upload is running. Wait for its end.", true);
    busy = true;
    bar.hidden = false;
    try {
      await sendAll(list, (share, text) => {
        bar.value = share;
        said.textContent = text;
      });
      said.textContent = "Sent.";
      done();
    } catch (error) {
      said.textContent = error.message;
      complain(error);
    } finally {
      busy = false;
      bar.hidden = true;
      files.value = folder.value = "";
    }
  }

  for (const input of [files, folder]) {
    input.addEventListener("change", () => input.files.length && take([...input.files]));
  }
  const over = (on) => (event) => {
    event.preventDefault();
    place.classList.toggle("over", on);
  };
  place.addEventListener("dragenter", over(true));
  place.addEventListener("dragover", over(true));
  place.addEventListener("dragleave", over(false));
  place.addEventListener("drop", async (event) => {
    over(false)(event);
    const entries = [...event.dataTransfer.items]
      .map((item) => item.webkitGetAsEntry?.())
      .filter(Boolean);
    const found = entries.length
      ? (await Promise.all(entries.map(walk))).flat()
      : [...event.dataTransfer.files];
    take(found);
  });
  return place;
}

// List the files under a dropped entry; a folder gives its entries by and by.
async function walk(entry) {
  if (entry.isFile) return [await new Promise((ok, no) => entry.file(ok, no))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((ok, no) => reader.readEntries(ok, no));
    if (!some.length) return (await Promise.all(found.map(walk))).flat();
    found.push(...some);
  }
}

async function sendAll(list, progress) {
  const files = list.filter((file) => file.size && !JUNK.test(file.name));
  if (!files.length) throw new Error("There are no files in it.");
  const whole = files.filter((file) => WHOLE.test(file.name));
  const slices = files.filter((file) => !WHOLE.test(file.name));
  const total = files.reduce((sum, file) => sum + file.size, 0);
  const sent = new Map();
  const tell = (key) => (bytes) => {
    sent.set(key, bytes);
    const now = [...sent.values()].reduce((a, b) => a + b, 0);
    progress(Math.min(1, now / total), `${size(now)} of ${size(total)}`);
  };
  for (const file of whole) await send("POST", "/studies", file, tell(file));
  if (slices.length) await sendSlices(slices, tell);
}

async function sendSlices(files, tell) {
  const upload = (await api.beginUpload()).id;
  let next = 0;
  let skipped = 0;
  const worker = async () => {
    while (next < files.length) {
      const number = next++;
      const path = `/uploads/${upload}/files/${number}`;
      try {
        await persist(() => send("PUT", path, files[number], tell(number)));
      } catch (error) {
        if (error.status !== 415) throw error;
        skipped += 1; // a text or a picture beside the slices
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    if (skipped === files.length) throw new Error("There is no DICOM file in it.");
    await api.finishUpload(upload);
  } catch (error) {
    api.dropUpload(upload).catch(() => {});
    throw error;
  }
  if (skipped) say(`${skipped} files that are no DICOM were left out.`);
}

// A broken line or a busy service is worth another try.
async function persist(action) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await action();
    } catch (error) {
      if (attempt === TRIES || ![0, 429, 503].includes(error.status)) throw error;
      await new Promise((ok) => setTimeout(ok, 1000 * attempt));
    }
  }
}
