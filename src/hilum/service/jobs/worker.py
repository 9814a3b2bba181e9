"""The process that reads one study: it may crash, and nothing else does.

It is told what to do by one line of JSON on stdin and says how far it is by lines of
JSON on stdout. When stdin closes, whoever started it is gone, and it stops at once,
so that a study is never worked on twice at a time.

    {"stage": "lungs"}        a stage begins
    {"about": {...}}          what was learned; see `Job`
    {"error": "...", "kind": "input" | "bug" | "system"}
    {"done": true}
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from hilum.errors import HilumError, InputError
from hilum.findings import Record

ORPHANED = 75
"""Exit code of a worker whose service is gone (EX_TEMPFAIL)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Record):
    """What a worker is to do.

    Attributes:
        assessor: "module:function"; the function takes this order and `say`.
        source: The study: a folder or a file.
        results: Folder for the documents; what is there already is not done again.
        views: Folder for what the viewer loads.
        formats: Documents to write.
        secret: Key of the digest of the patient, in hexadecimal digits.
        nice: How far to step back for others.
    """

    assessor: str
    source: str
    results: str
    views: str
    formats: tuple[str, ...]
    secret: str
    nice: int = 0


Say = Callable[[dict[str, Any]], None]
Assessor = Callable[[Order, Say], None]


def main() -> int:
    """Do what stdin says; 0 when it was done."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not stand between the lines

    def say(message: dict[str, Any]) -> None:
        out.write(json.dumps(message) + "\n")

    order = Order.from_json(json.loads(sys.stdin.readline()))
    threading.Thread(target=_stop_with, args=(sys.stdin,), daemon=True).start()
    _step_back(order.nice)
    message = run(order, say)
    say(message)
    return 0 if "done" in message else 1


def run(order: Order, say: Say) -> dict[str, Any]:
    """Run the assessor, and give the last line: done, or what went wrong.

    Args:
        order: What to do.
        say: Told of every stage.
    """
    module, _, name = order.assessor.partition(":")
    try:
        assessor: Assessor = getattr(import_module(module), name)
        assessor(order, say)
    except HilumError as error:
        cause = error.__cause__
        kind = "system" if isinstance(cause, OSError) and cause.errno else "input"
        if not isinstance(error, InputError):
            kind = "system"
        return {"error": str(error), "kind": kind}
    except OSError as error:
        return {"error": error.strerror or type(error).__name__, "kind": "system"}
    except MemoryError:
        return {"error": "The study needs more memory than there is.", "kind": "bug"}
    except Exception as error:  # noqa: BLE001  the border of the process
        traceback.print_exc()
        text = f"The study could not be read ({type(error).__name__})."
        return {"error": text, "kind": "bug"}
    return {"done": True}


def _stop_with(pipe: IO[str]) -> None:
    """Wait for the end of the pipe, which is the end of whoever holds it."""
    pipe.read()
    os._exit(ORPHANED)


def _step_back(nice: int) -> None:
    """Let the page go first, and be the first to go when memory runs out."""
    os.nice(nice)
    score = Path("/proc/self/oom_score_adj")
    if score.exists():
        score.write_text("800")


if __name__ == "__main__":
    sys.exit(main())
