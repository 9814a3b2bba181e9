"""How soon a page of the primer is there, and how soon it answers a slider.

    python benchmarks/primer.py [--pages FOLDER] [--times 5]

Writes all pages of the synthetic chest, with its slice of 512 x 512 (or takes those of
FOLDER, as `hilum primer --export` wrote them), opens each in headless Chromium, and
moves every slider of it, from the event to the frame that shows what came of it.
Prints, as JSON, for each page the median time until its script has run, and for the
slowest slider the median and the worst time; and the load of the computer meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from chromium import FLAT, NAMES, launched

from hilum.primer.site import export_site

WANTED_LOAD_MS, WANTED_ANSWER_MS = 1000, 50
LOADED = """() => {
  const [page] = performance.getEntriesByType("navigation");
  return page.domContentLoadedEventEnd;
}"""
MOVED = """async (times) => {
  const found = {};
  for (const input of document.querySelectorAll("input[type=range]:not(:disabled)")) {
    const name = `${input.closest("section").id}/${input.dataset.name}`;
    const [low, high] = [Number(input.min), Number(input.max)];
    const step = Number(input.step) || 1;
    found[name] = [];
    for (let i = 0; i < times; i += 1) {
      const part = (i + 0.5) / times;
      await new Promise(requestAnimationFrame);
      const start = performance.now();
      input.value = low + step * Math.round((part * (high - low)) / step);
      input.dispatchEvent(new Event("input", { bubbles: true }));
      const shown = await new Promise((done) => {
        requestAnimationFrame(() => {
          const channel = new MessageChannel();
          channel.port1.onmessage = () => done(performance.now());
          channel.port2.postMessage(0);
        });
      });
      found[name].push(shown - start);
    }
  }
  return found;
}"""


def measure(browser: Any, path: Path, times: int) -> dict[str, Any]:
    """Load one page several times, and move its sliders."""
    loads, moves = [], {}
    for number in range(times):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]", state="attached")
        loads.append(page.evaluate(LOADED))
        if number == times - 1:
            moves = page.evaluate(MOVED, times)
        page.close()
    result: dict[str, Any] = {"load_ms": round(median(loads))}
    if moves:
        slowest = max(moves, key=lambda name: median(moves[name]))
        result["slowest_slider"] = slowest
        result["answer_ms"] = round(median(moves[slowest]), 1)
        result["worst_ms"] = round(max(max(each) for each in moves.values()), 1)
    return result


def main() -> None:
    """Measure every page and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=Path, help="written before")
    parser.add_argument("--times", type=int, default=5)
    args = parser.parse_args()
    if find_spec("playwright") is None or not any(map(shutil.which, NAMES)):
        print("primer: needs Chromium and playwright")
        return
    with tempfile.TemporaryDirectory() as name, launched(*FLAT) as browser:
        folder = args.pages or Path(name)
        if args.pages is None:
            export_site(folder)
        pages = {
            path.stem: measure(browser, path, args.times)
            for path in sorted(folder.glob("[0-9]*.html"))
        }
    figures = {
        "pages": pages,
        "load_ms_at_most": max(page["load_ms"] for page in pages.values()),
        "answer_ms_at_most": max(page.get("answer_ms", 0) for page in pages.values()),
        "wanted_ms": {"load": WANTED_LOAD_MS, "answer": WANTED_ANSWER_MS},
        "processes_that_ran": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
