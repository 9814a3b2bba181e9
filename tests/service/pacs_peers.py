"""Programs that talk to the node: DCMTK, and an inbox that keeps what it gets."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from hilum.service.pacs import Inbox, InboxSettings, Node, NodeSettings


def run(*argv: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    done = subprocess.run(
        [str(a) for a in argv], capture_output=True, text=True, timeout=60, check=False
    )
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


class Kept:
    """Keeps the studies that an inbox hands over."""

    def __init__(self, place: Path) -> None:
        self.place, self.studies = place, []
        self.failures = 0
        self.inbox = None
        self._new = threading.Condition()

    def __call__(self, folder: Path) -> None:
        with self._new:
            if self.failures:
                self.failures -= 1
                raise OSError("no room")
            target = self.place / f"study{len(self.studies)}"
            shutil.move(folder, target)
            self.studies.append(target)
            self._new.notify_all()

    def wait(self, count: int = 1, *, quiet: bool = False) -> list[Path]:
        """Wait for studies; unless for `quiet`, they are complete from now on."""
        if self.inbox is not None and not quiet:
            with self.inbox._lock:
                for study in self.inbox._studies.values():
                    study.due_s = 0.0
        with self._new:
            assert self._new.wait_for(lambda: len(self.studies) >= count, timeout=60), (
                f"{len(self.studies)} of {count} studies"
            )
            return list(self.studies)


@contextmanager
def listening(tmp_path: Path, inbox: dict | None = None, **settings):
    """Run a node; give (node, kept, inbox)."""
    place = tmp_path / "kept"
    place.mkdir(exist_ok=True)
    kept = Kept(place)
    options = {"quiet_s": 600, "broken_s": 600, "free_bytes": 0} | (inbox or {})
    arriving = InboxSettings(folder=tmp_path / "arriving", **options)
    with (
        Inbox(arriving, kept) as box,
        Node(NodeSettings(port=0, **settings), box) as node,
    ):
        kept.inbox = box
        yield node, kept, box


def until(truth, *, timeout_s: float = 20.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + timeout_s
    while not truth():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
