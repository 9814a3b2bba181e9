// What the algorithm found, and what the reader says of it.

import { api } from "./api.js";
import { complain, h, say, show } from "./dom.js";
import * as words from "./words.js";

const NEW_MM = 6;
const STEP = 1.1;

export class Findings {
  constructor(study, session, hooks) {
    this.study = study;
    this.reader = session.name;
    this.mayWrite = session.role === "write";
    this.hooks = hooks; // goTo(point), position(), changed(marks, chosen)
    this.list = h("ol", { id: "findings" });
    this.node = h(
      "section",
      { className: "findings", "aria-label": "Findings" },
      h("h2", {}, "Findings"),
      this.list,
      this.mayWrite
        ? h("button", { type: "button", id: "add", onclick: () => this.add() }, "Add at the cross")
        : null,
    );
    this.items = [];
    this.chosen = 0;
  }

  async load() {
    this.data = await api.findings(this.study);
    this.gather();
    return this.data;
  }

  // One line for each nodule, with the reader's own opinion, and one for each added.
  gather() {
    const own = (a) => a.reader === this.reader;
    const of = (number) => this.data.annotations.filter((a) => a.nodule === number);
    this.items = this.data.nodules.map((nodule) => {
      const mine = of(nodule.number).find(own) ?? null;
      const others = of(nodule.number).filter((a) => !own(a));
      return {
        key: `nodule ${nodule.number}`,
        label: String(nodule.number),
        nodule,
        mine,
        others,
        kind: mine?.verdict ?? "found",
        center: mine?.center_mm ?? nodule.center_mm,
        diameter: mine?.diameter_mm ?? nodule.diameter_mm,
      };
    });
    const added = this.data.annotations.filter((a) => a.nodule === null);
    added.forEach((annotation, index) => {
      this.items.push({
        key: annotation.id,
        label: `+${index + 1}`,
        nodule: null,
        mine: own(annotation) ? annotation : null,
        others: own(annotation) ? [] : [annotation],
        kind: "added",
        center: annotation.center_mm,
        diameter: annotation.diameter_mm,
      });
    });
    this.chosen = Math.max(0, Math.min(this.chosen, this.items.length - 1));
    this.draw();
  }

  draw() {
    show(
      this.list,
      this.items.map((item, index) => this.line(item, index)),
    );
    if (!this.items.length) show(this.list, h("li", { className: "quiet" }, "No nodules were found."));
    const marks = this.items.map(({ center, diameter, kind, label }) => ({ center, diameter, kind, label }));
    this.hooks.changed(marks, marks[this.chosen] ?? null);
  }

  line(item, index) {
    const nodule = item.nodule;
    const facts = nodule
      ? [
          words.millimetres(nodule.diameter_mm),
          nodule.type,
          nodule.place,
          nodule.malignancy === null ? null : `malignancy ${words.percent(nodule.malignancy)}`,
          words.category(nodule.lung_rads),
        ]
      : [words.millimetres(item.diameter), `by ${(item.mine ?? item.others[0]).reader}`];
    const said = item.others.map((a) => `${a.reader}: ${a.verdict}`).join(", ");
    return h(
      "li",
      { data: { kind: item.kind, key: item.key }, className: index === this.chosen ? "chosen" : "" },
      h(
        "button",
        { type: "button", className: "go", onclick: () => this.choose(index) },
        h("span", { className: `badge ${item.kind}` }, item.label),
        h("span", {}, facts.filter(Boolean).join(", ")),
      ),
      said ? h("p", { className: "quiet" }, said) : null,
      index === this.chosen && nodule?.lung_rads?.rule ? rules(nodule.lung_rads) : null,
      this.mayWrite && index === this.chosen ? this.controls(item) : null,
    );
  }

  controls(item) {
    const mine = item.mine;
    const verdict = (name, text) =>
      h(
        "button",
        {
          type: "button",
          className: `small ${name}`,
          "aria-pressed": String(item.kind === name),
          onclick: () => this.judge(name),
        },
        text,
      );
    const diameter = h("input", {
      type: "number",
      min: 0.5,
      max: 300,
      step: 0.1,
      value: item.diameter.toFixed(1),
      "aria-label": "Diameter in mm",
      onchange: (event) => this.resize(Number(event.target.value)),
    });
    const rating = h(
      "select",
      {
        "aria-label": "Malignancy, 1 to 5",
        onchange: (event) => this.rate(event.target.value ? Number(event.target.value) : null),
      },
      ["", 1, 2, 3, 4, 5].map((n) =>
        h("option", { value: String(n), selected: (mine?.malignancy ?? "") === n }, n === "" ? "not rated" : String(n)),
      ),
    );
    const own = mine !== null || item.nodule !== null;
    return h(
      "div",
      { className: "controls" },
      item.nodule ? [verdict("accepted", "Accept (a)"), verdict("rejected", "Reject (r)")] : null,
      own ? h("label", {}, diameter, " mm") : null,
      own ? h("label", {}, "suspicion ", rating) : null,
      own ? h("button", { type: "button", className: "small", onclick: () => this.move() }, "Move to the cross") : null,
      mine ? h("button", { type: "button", className: "small", onclick: () => this.withdraw() }, "Undo") : null,
    );
  }

  choose(index, go = true) {
    if (!this.items.length) return;
    this.chosen = (index + this.items.length) % this.items.length;
    this.draw();
    if (go) this.hooks.goTo(this.items[this.chosen].center);
  }

  next(step) {
    this.choose(this.chosen + step);
  }

  judge(verdict) {
    const item = this.items[this.chosen];
    if (item?.nodule) this.save({ verdict });
  }

  resize(diameter_mm) {
    if (diameter_mm >= 0.5 && diameter_mm <= 300) this.save({ diameter_mm });
    else say("A diameter lies in 0.5 to 300 mm.", true);
  }

  scale(larger) {
    const item = this.items[this.chosen];
    if (item) this.resize(Number((item.diameter * (larger ? STEP : 1 / STEP)).toFixed(1)));
  }

  rate(malignancy) {
    this.save({ malignancy });
  }

  move() {
    this.save({ center_mm: this.hooks.position() });
  }

  add() {
    const said = { verdict: "added", center_mm: this.hooks.position(), diameter_mm: NEW_MM };
    this.keep(api.annotate(this.study, said), "Added.", true);
  }

  withdraw() {
    const mine = this.items[this.chosen]?.mine;
    if (mine) this.keep(api.withdraw(this.study, mine.id), "Undone.");
  }

  // Save a change of the chosen finding; sizing or rating a nodule accepts it.
  save(change) {
    if (!this.mayWrite) return;
    const item = this.items[this.chosen];
    if (!item) return;
    const mine = item.mine;
    if (!item.nodule && !mine) return say("This is the finding of another reader.", true);
    const said = {
      nodule: item.nodule?.number ?? null,
      verdict: item.nodule ? (mine?.verdict ?? "accepted") : "added",
      center_mm: item.center,
      diameter_mm: item.diameter,
      malignancy: mine?.malignancy ?? null,
      ...change,
    };
    const answer = item.nodule
      ? api.annotate(this.study, said)
      : api.change(this.study, mine.id, change);
    this.keep(answer, "Saved.");
  }

  async keep(answer, text, last = false) {
    try {
      await answer;
      await this.load();
      if (last) this.choose(this.items.length - 1, false);
      say(text);
    } catch (error) {
      complain(error);
    }
  }
}

// The rule behind a category, and those that size or kind in doubt would let fire.
function rules({ rule, others }) {
  return h(
    "details",
    { className: "rules" },
    h("summary", {}, "Lung-RADS rules"),
    h("ul", {}, [rule, ...others].map((text) => h("li", {}, text))),
  );
}
