"""All pages of the primer: which CT they are shown on, made when asked for, or all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock

from hilum._names import name_of
from hilum.errors import InputError
from hilum.formats.atomic import writing
from hilum.primer.lessons import LESSONS, Data, Lesson, find_lesson
from hilum.primer.pages import render_index, render_lesson
from hilum.primer.scene import Scene, phantom_scene, scan_scene

Progress = Callable[[str], None]


class Site:
    """The pages of one scene; each is made once, when first asked for."""

    def __init__(self, scene: Scene | None = None, *, served: bool = False):
        """Lay out the pages.

        Args:
            scene: What they are shown on; None for the synthetic chest, which is
                made when the first page needs it.
            served: Whether a server that can train stands behind them.
        """
        self._scene = scene
        self._served = served
        self._made: dict[str, str] = {}
        self._lock = Lock()

    def page(self, name: str) -> str | None:
        """Give a page by its file's name; None when there is none such."""
        with self._lock:
            if name not in self._made:
                text = self._make(name)
                if text is None:
                    return None
                self._made[name] = text
            return self._made[name]

    def names(self) -> list[str]:
        """List the files' names, the index first."""
        return ["index.html", *(lesson.file for lesson in LESSONS)]

    def _make(self, name: str) -> str | None:
        label = "a synthetic chest" if self._scene is None else self._scene.label
        if name == "index.html":
            return render_index(LESSONS, label=label)
        for lesson in LESSONS:
            if lesson.file == name:
                return render_lesson(
                    lesson,
                    self._data(lesson),
                    lessons=LESSONS,
                    label=label if lesson.needs_scan else "",
                    served=self._served,
                )
        return None

    def _data(self, lesson: Lesson) -> Data:
        if not lesson.needs_scan:
            return lesson.data(None)
        return lesson.data(self._scene or phantom_scene())


def export_site(out: str | Path, *, lesson: str | None = None) -> list[str]:
    """Write the pages into a folder; they need no server.

    Args:
        out: The folder; made when it is not there.
        lesson: Number or name of the only one to write; None for all.

    Returns:
        Names of the files.

    Raises:
        InputError: There is no such lesson, or the folder cannot be written.
    """
    site, folder = Site(), Path(out)
    names = site.names() if lesson is None else [find_lesson(lesson).file]
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        text = site.page(name) or ""
        with writing(folder / name):
            (folder / name).write_text(text, encoding="utf-8")
    return names
