"""Chromium and JavaScript for the tests of the primer."""

import json
import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
STATIC = Path(__file__).parents[2] / "src" / "hilum" / "primer" / "static"


def miss(reason):
    """Skip, but never in CI: there it has to be."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI=true")
    pytest.skip(reason)


def executable():
    """Find Chromium, or skip."""
    if find_spec("playwright") is None:
        miss("playwright is not installed")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        miss("no Chromium on the PATH")
    return found


def run_ops(cases):
    """Call functions of ops.js, in Node where it is, else in Chromium.

    Args:
        cases: [name, arguments, each] of every call; with `each` the first argument
            is a tensor, on every element of which a function of numbers is called.
    """
    body = """
    const plain = (v) => v instanceof Float64Array ? [...v]
      : Array.isArray(v) ? v.map(plain)
      : v && v.data ? {shape: v.shape, data: [...v.data]}
      : v && typeof v === "object"
      ? Object.fromEntries(Object.entries(v).map(([k, w]) => [k, plain(w)])) : v;
    const wake = (v) => v && v.shape ? ops.tensor(v.shape, v.data) : v;
    const call = ([name, args, each]) => {
      const [first, ...rest] = args.map(wake);
      if (name === "gradient_by_depth")  // takes functions, which JSON cannot hold
        return plain(
          ops[name](first, rest[0], ops[rest[1]], ops[rest[1] + "_derivative"]));
      return plain(each ? ops.mapped(first, (v) => ops[name](v, ...rest))
        : ops[name](first, ...rest));
    };
    """
    if shutil.which("node"):
        script = f"""
        const ops = await import({json.dumps((STATIC / "ops.js").as_uri())});
        {body}
        let text = "";
        for await (const part of process.stdin) text += part;
        process.stdout.write(JSON.stringify(JSON.parse(text).map(call)));
        """
        done = subprocess.run(
            ["node", "--no-warnings", "--input-type=module", "-e", script],
            input=json.dumps(cases), capture_output=True, text=True, check=True,
        )  # fmt: skip
        return json.loads(done.stdout)
    path = executable()
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  may be absent

    source = (STATIC / "ops.js").read_text()
    code = f"""async (cases) => {{
      const blob = new Blob([{json.dumps(source)}], {{type: "text/javascript"}});
      const ops = await import(URL.createObjectURL(blob));
      {body}
      return cases.map(call);
    }}"""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path, args=list(ARGUMENTS)
        )
        found = chromium.new_page().evaluate(code, cases)
        chromium.close()
    return found
