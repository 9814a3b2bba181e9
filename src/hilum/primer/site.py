"""All pages of the primer: which CT they are shown on, made when asked for, or all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from hilum.errors import InputError
from hilum.formats.atomic import replacing, writing
from hilum.primer.lessons import LESSONS, Data, Lesson, find_lesson
from hilum.primer.pages import render_index, render_lesson
from hilum.primer.patient import own_scene, patient_data
from hilum.primer.scene import Scene, phantom_scene
from hilum.sources import read_ct

BUILDERS = {"patient": patient_data}
"""What needs the stages, and so cannot be computed by the lessons themselves."""


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
        self._locks = {name: Lock() for name in self.names()}

    def page(self, name: str) -> str | None:
        """Give a page by its file's name; None when there is none such."""
        if name not in self.names():
            return None
        with self._locks[name]:
            if name not in self._made:
                self._made[name] = self._make(name)
            return self._made[name]

    def names(self) -> list[str]:
        """List the files' names, the index first."""
        return ["index.html", *(lesson.file for lesson in LESSONS)]

    def _make(self, name: str) -> str:
        label = "a synthetic chest" if self._scene is None else self._scene.label
        if name == "index.html":
            return render_index(LESSONS, label=label)
        lesson = next(one for one in LESSONS if one.file == name)
        return render_lesson(
            lesson,
            self._data(lesson),
            lessons=LESSONS,
            label=label if lesson.needs_scan else "",
            served=self._served,
        )

    def _data(self, lesson: Lesson) -> Data:
        if not lesson.needs_scan:
            return lesson.data(None)
        scene = self._scene or phantom_scene()
        return BUILDERS.get(lesson.key, lesson.data)(scene)


def scene_of(ct: str | Path | None) -> Scene | None:
    """Read a CT of one's own and find the nodule to show; None without one.

    Args:
        ct: A DICOM folder, file or zip, or a NIfTI, MetaImage or npz file.

    Raises:
        InputError: It cannot be read, or nothing in it looks like a nodule.
    """
    return None if ct is None else own_scene(read_ct(ct))


def export_site(
    out: str | Path, *, lesson: str | None = None, ct: str | Path | None = None
) -> list[str]:
    """Write the pages into a folder; they need no server.

    Args:
        out: The folder; made when it is not there.
        lesson: Number or name of the only one to write; None for all.
        ct: A CT of one's own to show them on; None for the synthetic chest.

    Returns:
        Names of the files.

    Raises:
        InputError: There is no such lesson, the CT cannot be read, or the folder
            cannot be written.
    """
    wanted = None if lesson is None else find_lesson(lesson).file
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise InputError(
            f"`{folder.name}` is a file; the pages need a folder. Give another name."
        )
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    site = Site(scene_of(ct))
    names = site.names() if wanted is None else [wanted]
    write_pages(site, names, folder)
    return names


def write_pages(site: Site, names: Sequence[str], folder: Path) -> None:
    """Write pages into a folder, each whole or not at all.

    Args:
        site: Makes them.
        names: Which, in this order.
        folder: Exists.

    Raises:
        InputError: The folder cannot be written to.
    """
    for name in names:
        text = (site.page(name) or "").encode()
        with writing(folder / name), replacing(folder / name) as file:
            file.write(text)
