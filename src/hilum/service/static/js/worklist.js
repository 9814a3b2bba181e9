// The list of studies: what came of each, how far the others are.

import { api } from "./api.js";
import { complain, h, show } from "./dom.js";
import { uploader } from "./upload.js";
import * as words from "./words.js";

const POLL_MS = 1500;
const ACTIVE = new Set(["queued", "running", "delivering"]);
const FILTERS = ["all", "active", "done", "failed"];
let filter = "all";
let query = "";

export function worklist(main, session) {
  const mayWrite = session.role === "write";
  const rows = h("tbody");
  const count = h("span", { className: "quiet" });
  const search = h("input", {
    type: "search",
    id: "search",
    placeholder: "Search (/)",
    value: query,
    "aria-label": "Search",
    autocomplete: "off",
    oninput: (event) => {
      query = event.target.value;
      draw();
    },
  });
  const choices = FILTERS.map((name) =>
    h(
      "button",
      {
        type: "button",
        "aria-pressed": String(name === filter),
        onclick: (event) => {
          filter = name;
          for (const other of choices) other.setAttribute("aria-pressed", "false");
          event.currentTarget.setAttribute("aria-pressed", "true");
          draw();
        },
      },
      name,
    ),
  );
  const heads = ["Status", "Verdict", "Scanned", "Series", "Patient", "Arrived", ""];
  const table = h(
    "table",
    { id: "worklist" },
    h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text)))),
    rows,
  );
  let studies = [];
  let stopped = false;
  let timer = 0;

  async function refresh() {
    clearTimeout(timer);
    try {
      studies = await api.studies();
      if (!stopped) draw();
    } catch (error) {
      if (!stopped) complain(error);
    }
    if (!stopped) timer = setTimeout(refresh, POLL_MS);
  }

  function draw() {
    const wanted = studies.filter((study) => matches(study) && inFilter(study));
    count.textContent = `${wanted.length} of ${studies.length}`;
    const focused = document.activeElement?.closest?.("tr")?.dataset.id;
    show(
      rows,
      wanted.map((study) => row(study, mayWrite, refresh)),
    );
    if (!wanted.length) {
      const text = studies.length ? "Nothing matches." : "No studies yet.";
      show(rows, h("tr", {}, h("td", { colSpan: 7, className: "quiet" }, text)));
    }
    if (focused) rows.querySelector(`tr[data-id="${focused}"] a`)?.focus();
  }

  function keys(event) {
    if (event.target.matches("input, select, textarea") && event.key !== "Escape") return;
    const links = [...rows.querySelectorAll("a.open")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "/") search.focus();
    else if (event.key === "Escape") search.blur();
    else if (event.key === "ArrowDown") links[Math.min(at + 1, links.length - 1)]?.focus();
    else if (event.key === "ArrowUp") links[Math.max(at - 1, 0)]?.focus();
    else return;
    event.preventDefault();
  }

  document.addEventListener("keydown", keys);
  show(
    main,
    mayWrite ? uploader(refresh) : null,
    h(
      "nav",
      { className: "tools", "aria-label": "Studies" },
      search,
      h("div", { className: "choices" }, choices),
      count,
      h("a", { href: "/api/annotations.csv", download: "annotations.csv" }, "Export annotations"),
      h("a", { href: "/primer/" }, "How a network sees a CT"),
    ),
    h("div", { className: "scroll" }, table),
  );
  refresh();
  return () => {
    stopped = true;
    clearTimeout(timer);
    document.removeEventListener("keydown", keys);
  };
}

function matches(study) {
  const text = [
    study.id,
    study.state,
    words.verdict(study),
    words.date(study.acquired),
    study.description ?? "",
    words.patient(study.patient),
    study.error ?? "",
  ].join(" ");
  return query
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.toLowerCase().includes(word));
}

function inFilter(study) {
  if (filter === "active") return ACTIVE.has(study.state);
  if (filter === "failed") return ["failed", "cancelled"].includes(study.state);
  return filter === "all" || study.state === filter;
}

function row(study, mayWrite, refresh) {
  const act = (text, action) =>
    h(
      "button",
      { type: "button", className: "small", onclick: () => action().then(refresh, complain) },
      text,
    );
  const actions = [];
  if (mayWrite && ACTIVE.has(study.state)) actions.push(act("Stop", () => api.cancel(study.id)));
  if (mayWrite && ["failed", "cancelled"].includes(study.state)) {
    actions.push(act("Try again", () => api.retry(study.id)));
  }
  if (mayWrite && !ACTIVE.has(study.state)) {
    const remove = async () => {
      if (confirm("Remove this study with its documents?")) await api.remove(study.id);
    };
    actions.push(act("Remove", remove));
  }
  return h(
    "tr",
    { data: { id: study.id, state: study.state } },
    h("td", {}, status(study)),
    h("td", { className: study.in_scope === false ? "warn" : "" }, words.verdict(study)),
    h("td", {}, words.date(study.acquired)),
    h("td", { className: "long" }, opener(study)),
    h("td", { className: "mono" }, words.patient(study.patient)),
    h("td", {}, words.moment(study.created_s)),
    h("td", { className: "actions" }, actions),
  );
}

function opener(study) {
  const text = study.description || `study ${study.id.slice(0, 8)}`;
  return h("a", { className: "open", href: `#/study/${study.id}` }, text);
}

function status(study) {
  const mark = h("span", { className: `state ${study.state}` }, study.state);
  if (!ACTIVE.has(study.state)) {
    return study.error ? [mark, h("p", { className: "error" }, study.error)] : [mark];
  }
  const text = [words.stage(study.stage), words.left(study.left_s)].filter(Boolean).join(", ");
  return [
    mark,
    h("progress", { max: 1, value: study.progress, "aria-label": "Progress" }),
    h("p", { className: study.error ? "error" : "quiet" }, study.error ?? text),
  ];
}
