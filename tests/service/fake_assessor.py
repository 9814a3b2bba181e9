"""A worker's task for tests: it takes the time it is told and does what it is told.

The study is a folder with a text file of commands: `sleep S`, `crash`, `fail TEXT`,
`bug`, `memory GB`, `full` (no room on the disk, once).
"""

import errno
import json
import os
import time
from pathlib import Path

from hilum.errors import InputError


def assess(order, say):
    source, results = Path(order.source), Path(order.results)
    files = [source] if source.is_file() else sorted(source.rglob("*"))
    text = "\n".join(path.read_text() for path in files if path.is_file())
    results.mkdir(exist_ok=True)
    with (results / "runs.log").open("a") as log:
        log.write("begin\n")
    say({"stage": "read"})
    for line in text.splitlines():
        _obey(*line.partition(" ")[::2], results)
        say({"stage": "nodules"})
    say(
        {
            "about": {
                "study_uid": "1.2.3",
                "series_uid": "1.2.3.4",
                "in_scope": True,
                "probability": 0.25,
                "nodules": 1,
                "patient": "ab" * 8,
                "acquired": "20200131",
            }
        }
    )
    part = results / "part"
    part.write_text(json.dumps({"study": len(text)}))
    part.replace(results / "assessment.json")
    with (results / "runs.log").open("a") as log:
        log.write("end\n")


def _obey(word, rest, results):
    if word == "sleep":
        time.sleep(float(rest))
    elif word == "crash":
        os.kill(os.getpid(), 9)
    elif word == "fail":
        raise InputError(rest)
    elif word == "bug":
        raise ZeroDivisionError
    elif word == "memory":
        held = bytearray(int(float(rest) * 1e9))
        held[::4096] = b"x" * len(held[::4096])
        time.sleep(20)
    elif word == "full" and not (results / "once").exists():
        (results / "once").touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
