"""The twins of `ops` in JavaScript, called from tests."""

import json
import shutil
import subprocess
from pathlib import Path

from chromium import FLAT, launched

STATIC = Path(__file__).parents[2] / "src" / "hilum" / "primer" / "static"


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
    source = (STATIC / "ops.js").read_text()
    code = f"""async (cases) => {{
      const blob = new Blob([{json.dumps(source)}], {{type: "text/javascript"}});
      const ops = await import(URL.createObjectURL(blob));
      {body}
      return cases.map(call);
    }}"""
    with launched(*FLAT) as browser:
        return browser.new_page().evaluate(code, cases)
