// One study: the images, the findings, the facts of the report, a prior beside it.

import { api, document_ } from "./api.js";
import { complain, h, say, show } from "./dom.js";
import { Findings } from "./findings.js";
import * as words from "./words.js";

const POLL_MS = 1500;
const HELP = [
  ["n, p", "next, previous finding"],
  ["a, r", "accept, reject"],
  ["+, −", "larger, smaller"],
  ["1 to 4", "windows"],
  ["x, c, s, 0", "axial, coronal, sagittal, all"],
  ["↑, ↓", "next, previous slice"],
  ["o", "overlays on, off"],
  ["Esc", "back to the list"],
];

export function studyPage(main, session, id, options) {
  let stopped = false;
  let timer = 0;
  let leave = () => {};

  async function start() {
    try {
      const study = await api.study(id);
      if (stopped) return;
      if (study.state === "done" || study.state === "delivering" || study.probability !== null) {
        leave = await open(main, session, study, options);
        if (stopped) leave();
      } else {
        wait(main, study);
        if (!["failed", "cancelled", "expired"].includes(study.state)) {
          timer = setTimeout(start, POLL_MS);
        }
      }
    } catch (error) {
      show(main, h("p", { className: "error" }, error.message), h("a", { href: "#/" }, "Back"));
    }
  }

  start();
  return () => {
    stopped = true;
    clearTimeout(timer);
    leave();
  };
}

function wait(main, study) {
  const text = study.error ?? [words.stage(study.stage), words.left(study.left_s)].join(", ");
  show(
    main,
    h(
      "section",
      { className: "waiting" },
      h("h1", {}, study.state),
      h("progress", { max: 1, value: study.progress }),
      h("p", { className: study.error ? "error" : "" }, text),
      h("a", { href: "#/" }, "Back to the list"),
    ),
  );
}

async function open(main, session, study, options) {
  const { Viewer, WINDOWS, PLANES, linkBy, linkThrough } = await import("./viewer.js");
  const current = new Viewer("Images of the study");
  const stage = h("div", { className: "stage" }, current.node);
  let prior = null;
  let link = (point) => point;
  let linked = true;
  let bound = ""; // how the two go in step, in a word, for those who look into it

  const findings = new Findings(study.id, session, {
    goTo: (point) => current.goTo(point),
    position: () => current.position(),
    changed: (marks, chosen) => current.setMarks(marks, chosen),
  });

  const follow = (point) => linked && prior && prior.goTo(link(point));
  current.onMove = follow;
  const both = (action) => [current, prior].filter(Boolean).forEach(action);
  const pressed = (buttons, index) =>
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(i === index)));
  const choice = (list, act) => {
    const buttons = list.map((item, index) =>
      h(
        "button",
        { type: "button", "aria-pressed": String(index === 0), onclick: () => pick(index) },
        item.name,
      ),
    );
    const pick = (index) => {
      both((viewer) => act(viewer, index));
      pressed(buttons, index);
    };
    return { buttons, pick };
  };
  const windows = choice(WINDOWS, (viewer, index) => viewer.window(index));
  const planes = choice(PLANES, (viewer, index) => viewer.planes(index));
  const overlay = h(
    "button",
    { type: "button", "aria-pressed": "true", onclick: () => setOverlays(!current.overlays) },
    "Overlays",
  );
  const setOverlays = (on) => {
    both((viewer) => viewer.showOverlays(on));
    overlay.setAttribute("aria-pressed", String(on));
  };
  const chooser = h("select", { "aria-label": "Other study of the patient", disabled: true, onchange: () => choosePrior() });
  const linker = h(
    "button",
    {
      type: "button",
      hidden: true,
      "aria-pressed": "true",
      title: "Unlink, bring the prior to the same place, then link again",
      onclick: () => toggleLink(),
    },
    "In step",
  );

  function toggleLink() {
    linked = !linked;
    linker.setAttribute("aria-pressed", String(linked));
    if (!linked) return;
    const meant = prior.position();
    const now = link(current.position());
    const shift = meant.map((value, axis) => value - now[axis]);
    const before = link;
    link = (point) => before(point).map((value, axis) => value + shift[axis]);
  }

  async function choosePrior() {
    prior?.node.remove();
    prior?.destroy();
    prior = null;
    linker.hidden = true;
    stage.classList.toggle("two", Boolean(chooser.value));
    if (!chooser.value) return;
    const viewer = new Viewer("Images of the prior study");
    viewer.node.append(h("p", { className: "which" }, chooser.selectedOptions[0].textContent));
    stage.append(viewer.node);
    try {
      const found = await api.findings(chooser.value);
      await viewer.load(chooser.value, { small });
      link = linkBy(data.lungs_mm, found.lungs_mm);
      viewer.setMarks(
        found.nodules.map((n) => ({ center: n.center_mm, diameter: n.diameter_mm, kind: "found", label: String(n.number) })),
      );
      prior = viewer;
      linker.hidden = false;
      follow(current.position());
      alignWith(viewer, chooser.value);
    } catch (error) {
      complain(error);
    }
  }

  // In step by the boxes of the lungs at once, and by the registration when it is there.
  async function alignWith(viewer, id) {
    const remark = h("p", { className: "step", role: "status" });
    viewer.node.append(remark);
    const tell = (how, text) => {
      bound = how;
      remark.textContent = text;
    };
    tell("boxes", "in step by the size of the lungs; being aligned");
    for (;;) {
      try {
        const map = await api.alignment(study.id, id);
        if (prior !== viewer) return;
        if (!map.trusted) return tell("poor", `in step by the size of the lungs only. ${map.why}`);
        link = linkThrough(map);
        tell("aligned", `in step by registration, within about ${words.millimetres(map.doubt_mm)}`);
        return follow(current.position());
      } catch (error) {
        if (prior !== viewer) return;
        if (error.status !== 503) return tell("poor", `in step by the size of the lungs only. ${error.message}`);
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
        if (prior !== viewer) return;
      }
    }
  }

  const small = options.has("small") || (navigator.deviceMemory ?? 8) < 4;
  const resolution = h(
    "a",
    { href: `#/study/${study.id}${small ? "" : "?small"}`, className: "button" },
    small ? "Full resolution" : "Half resolution",
  );
  const facts = h("section", { className: "facts", "aria-label": "Report" });
  show(
    main,
    h(
      "div",
      { className: "study" },
      h(
        "div",
        { className: "pictures" },
        h(
          "nav",
          { className: "tools", "aria-label": "Viewer" },
          h("a", { href: "#/", className: "button" }, "← List"),
          h("div", { className: "choices", id: "windows" }, windows.buttons),
          h("div", { className: "choices", id: "planes" }, planes.buttons),
          overlay,
          resolution,
          chooser,
          linker,
        ),
        stage,
      ),
      h("aside", {}, facts, findings.node, help()),
    ),
  );

  const [result, documents, priors, data] = await Promise.all([
    api.result(study.id),
    api.documents(study.id),
    api.priors(study.id),
    findings.load(),
  ]);
  drawFacts(facts, study, result, documents, data.guidelines);
  if (priors.length) {
    chooser.disabled = false;
    show(
      chooser,
      h("option", { value: "" }, "compare with"),
      priors.map((other) => h("option", { value: other.id }, `${words.date(other.acquired)} ${other.description ?? ""}`)),
    );
  } else show(chooser, h("option", { value: "" }, "no other study"));

  try {
    await current.load(study.id, { small });
    if (findings.items.length) findings.choose(0);
    else if (data.lungs_mm) current.goTo(data.lungs_mm[0].map((v, i) => (v + data.lungs_mm[1][i]) / 2));
    stage.dataset.ready = "true";
  } catch (error) {
    say(`The images cannot be shown: ${error.message}`, true);
  }
  // for those who look into it, tests included
  globalThis.hilum = { viewer: current, prior: () => prior, bound: () => bound, findings };

  const keys = {
    n: () => findings.next(1),
    p: () => findings.next(-1),
    a: () => findings.judge("accepted"),
    r: () => findings.judge("rejected"),
    "+": () => findings.scale(true),
    "=": () => findings.scale(true),
    "-": () => findings.scale(false),
    1: () => windows.pick(0),
    2: () => windows.pick(1),
    3: () => windows.pick(2),
    4: () => windows.pick(3),
    0: () => planes.pick(0),
    x: () => planes.pick(1),
    c: () => planes.pick(2),
    s: () => planes.pick(3),
    o: () => setOverlays(!current.overlays),
    ArrowUp: () => current.step(1),
    ArrowDown: () => current.step(-1),
    Escape: () => (location.hash = "#/"),
  };
  const onKey = (event) => {
    if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation(); // NiiVue has keys of its own
    act();
  };
  document.addEventListener("keydown", onKey, true);
  return () => {
    document.removeEventListener("keydown", onKey, true);
    current.destroy();
    prior?.destroy();
    prior = null; // whoever waits for its alignment gives up
    delete globalThis.hilum;
  };
}

function drawFacts(place, study, result, documents, guidelines) {
  const risk = result.cancer_probability;
  const headline =
    risk.value === null
      ? [h("p", { className: "big" }, "no probability"), h("p", { className: "quiet" }, "not given")]
      : [
          h("p", { className: "big", id: "probability" }, words.percent(risk.value)),
          h("p", {}, `probability of lung cancer, ${words.percent(risk.low)} to ${words.percent(risk.high)}`),
        ];
  const scope = result.scope;
  const notices = result.notices.map((notice) => h("li", {}, notice.message));
  show(
    place,
    h("p", { className: "quiet" }, [[words.date(study.acquired), study.description].filter(Boolean).join(" "), `patient ${words.patient(study.patient)}`].join(", ")),
    headline,
    scope.in_scope
      ? h("p", { className: "scope good" }, "in scope")
      : h("p", { className: "scope warn" }, `out of scope: ${scope.reasons.join(" ")}`),
    guidelinesOf(guidelines),
    notices.length
      ? h("details", {}, h("summary", {}, `${notices.length} notice${notices.length === 1 ? "" : "s"}`), h("ul", {}, notices))
      : null,
    h(
      "p",
      { className: "documents" },
      documents.map((item) =>
        h("a", { href: document_(study.id, item.format), target: "_blank", rel: "noopener" }, item.format.toUpperCase()),
      ),
    ),
  );
}

// What guidelines say, and at the same glance what they leave open: never the one alone.
function guidelinesOf(guidelines) {
  if (guidelines === null) {
    return h("p", { className: "quiet" }, "Guidelines are not given, because the scan is out of scope.");
  }
  return guidelines.map((said) =>
    h(
      "section",
      { className: "guideline", "aria-label": said.title },
      h("h2", {}, `${said.title}: ${said.headline}`),
      said.why_not ? h("p", { className: "quiet" }, said.why_not) : null,
      said.possible.length === 1 ? h("p", { className: "open" }, `possible: ${said.possible[0]}`) : null,
      said.possible.length > 1
        ? h("div", { className: "open" }, h("p", { className: "quiet" }, "possible"), h("ul", {}, said.possible.map((text) => h("li", {}, text))))
        : null,
      said.grounds.length
        ? h(
            "details",
            {},
            h("summary", {}, "why"),
            h("dl", {}, said.grounds.map(({ name, text }) => [h("dt", {}, name), h("dd", {}, text)])),
          )
        : null,
    ),
  );
}

function help() {
  return h(
    "details",
    { className: "help" },
    h("summary", {}, "Keys"),
    h("dl", {}, HELP.map(([key, text]) => [h("dt", {}, key), h("dd", {}, text)])),
  );
}
