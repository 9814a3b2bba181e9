"""Every command with hostile and absurd arguments: a sentence, never a traceback.

The arguments are made from the parser itself, so a new command or option is tried
without a line here; `BASE` says what a command needs so that it gets far enough.
"""

import argparse
import contextlib
import functools
import importlib
import importlib.util
import os
import threading
from pathlib import Path

import numpy as np
import pytest

import hilum
import hilum.phantom
from hilum import cli
from hilum.errors import InputError
from hilum.formats.atomic import replacing

CODES = {0, 2, 3, 4, 5}

HUGE = "9" * 40
NUMBERS = ("-1", "0", "nan", "inf", "-inf", "1e308", HUGE, "abc", "", "½", "0x10")
WHOLE = ("-1", "0", HUGE, f"-{HUGE}", "1.5", "abc", "", "nan")
WORDS = ("", " ", "-", "é☃\u202e", "x" * 5000, "a\0b", "../..", "1.2.3", "\udcff", "%s")
PLACES = (
    "", "-", "{missing}", "{folder}", "{file}", "{file}/x", "{long}", "{odd}", "nul\0",
    "{link}", "/dev/null", "\udcff", "dicomweb://", "dicomweb://127.0.0.1:1/studies/1",
)  # fmt: skip

BASE = {
    "convert": {"source": "{volume}", "out": "{folder}/ct.mha"},
    "phantom": {"--shape": "2 8 8", "--spacing": "100 40 40", "out": "{folder}/ph"},
    "submission": {"folder": "{folder}", "out": "{folder}/s.csv"},
    "risk plco": {
        "--age": "60", "--education": "3", "--bmi": "25",
        "--cigarettes-per-day": "20", "--years-smoked": "30", "--years-quit": "5",
    },
    "risk lungrads": {"--kind": "solid", "--diameter-mm": "8"},
    "risk fleischner": {"--kind": "solid", "--diameter-mm": "8"},
    "risk vdt": {"--diameter-mm": "6 8", "--days": "90"},
    "risk herder": {"--mayo-probability": "0.2", "--uptake": "none"},
}  # fmt: skip
NEEDS = {"serve": "dbos", "listen": "dbos", "token": "dbos", "train": "keras",
         "export": "keras"}  # fmt: skip
NOT_TRIED = {"doctor"}
"""Takes no argument."""


def leaves(parser, name=()):
    """Go through the commands that run."""
    inner = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not inner:
        yield " ".join(name), parser
    for action in inner:
        for key, command in action.choices.items():
            yield from leaves(command, (*name, key))


PARSER = cli._parser()
COMMANDS = {k: v for k, v in leaves(PARSER) if k not in NOT_TRIED}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Make files and folders of all sorts, and a volume that can be read."""
    folder = tmp_path_factory.mktemp("hostile")
    known = {name: folder / name for name in ("missing", "folder", "file", "link")}
    known["folder"].mkdir()
    known["file"].write_bytes(b"\x00\xff,;\n1,2\n")
    known["link"].symlink_to(known["link"])  # to itself
    known["long"] = folder / ("x" * 300)
    known["odd"] = folder / "Mül\u202eler ☃ $(id) 'q'"
    known["odd"].mkdir()
    known["volume"] = folder / "ct.mha"
    hu = np.full((12, 40, 40), -700, np.int16)
    grid = hilum.Grid.axial(hu.shape, spacing_mm=(25.0, 9.0, 9.0))
    hilum.write_volume(hilum.CTVolume(hu, grid, "1.2.3"), known["volume"])
    return {name: str(path) for name, path in known.items()}


@functools.cache
def small_phantom():
    """Make one for all: to make a phantom is slow, and its settings are checked."""
    settings = hilum.PhantomSettings(shape=(2, 8, 8), spacing_mm=(100, 40, 40))
    return hilum.make_phantom(settings)


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch, tmp_path):
    """Let no server begin, and nothing be written beside the tests."""
    monkeypatch.chdir(tmp_path)

    def begin(*_args, **_named):
        raise InputError("It would begin to serve.")

    monkeypatch.setattr(cli, "_parser", lambda: PARSER)  # to make one is slow
    small = small_phantom()
    monkeypatch.setattr(hilum.phantom, "make_phantom", lambda _settings: small)
    doors = ["hilum.primer.server:serve", "hilum.primer.site:export_site"]
    if importlib.util.find_spec("dbos"):
        doors += ["hilum.service.web.serving:serve", "hilum.service.jobs:Jobs"]
    for door in doors:
        module, _, name = door.partition(":")
        monkeypatch.setattr(importlib.import_module(module), name, begin)


def test_nothing_but_what_takes_no_argument_is_left_out():
    names = {name for name, _ in leaves(cli._parser())}
    assert set(BASE) | set(NEEDS) | NOT_TRIED <= names
    assert len(COMMANDS) == len(names) - len(NOT_TRIED)


@pytest.mark.parametrize("command", COMMANDS)
def test_hostile_arguments_end_in_a_sentence(command, places, capsys):
    need = NEEDS.get(command)
    if need and importlib.util.find_spec(need) is None:
        pytest.skip(f"{need} is not installed")
    wrong = []
    for argv in lines_of(command):
        argv = [a.format(**places) if "{" in a else a for a in argv]
        code, said = attempt(argv, capsys)
        if code not in CODES or (code and not said.strip()) or "Traceback" in said:
            shown = [a if len(a) < 80 else f"{a[:80]}..." for a in argv]
            wrong.append(f"{shown!a} -> {code}: {said[-300:]}")
    assert not wrong, "\n".join(wrong)


def attempt(argv, capsys):
    """Run a command; give its exit code, or the name of what it raised."""
    try:
        code = cli.main(argv)
    except SystemExit as stop:
        code = stop.code
    except Exception as error:  # noqa: BLE001  that is what is looked for
        code = f"{type(error).__name__}: {error}"
        with contextlib.suppress(Exception):
            frame = error.__traceback__
            while frame.tb_next:
                frame = frame.tb_next
            code += (
                f" ({Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno})"
            )
    return code, capsys.readouterr().err


def lines_of(command):
    """Make lines with one hostile argument each, the others as the command needs."""
    actions = [
        a
        for a in COMMANDS[command]._actions
        if a.nargs != 0 and a.dest not in ("help", "debug", "quiet")
    ]
    for action in actions:
        for value in values_of(action):
            yield [*command.split(), *words_of(command, actions, {id(action): value})]
    yield [*command.split(), *words_of(command, actions, {}), "--no-such-option"]
    yield [*command.split(), *words_of(command, actions, {}), "one", "too", "many"]
    yield command.split()


def values_of(action):
    if action.choices:
        return ("", "nonsense", "é☃")
    if action.type is Path:
        return PLACES
    return {float: NUMBERS, int: WHOLE}.get(action.type, WORDS)


def words_of(command, actions, hostile):
    """Give the words of a line: hostile, base or whatever fits the type."""
    options, words = [], []
    base = BASE.get(command, {})
    for action in actions:
        flag = action.option_strings[0] if action.option_strings else None
        known = base.get(flag or action.dest)
        count = action.nargs if isinstance(action.nargs, int) else 1
        if id(action) in hostile:
            given = [hostile[id(action)]] * count
        elif known is not None:
            given = known.split(" ")
        elif action.required:
            given = [fitting(action)] * count
        else:
            continue
        if flag is None:
            words += given
        elif count == 1:
            options.append(f"{flag}={given[0]}")
        else:
            options += [flag, *given]
    return [*options, "--", *words]


def fitting(action):
    if action.choices:
        return next(iter(action.choices))
    return {Path: "{missing}", float: "10", int: "1"}.get(action.type, "word")


def test_a_command_that_breaks_is_seen(capsys, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("hilum.dicom.find_studies", broken)
    code, _ = attempt(["find", "x"], capsys)
    assert str(code).startswith("ZeroDivisionError")


@pytest.mark.parametrize("option", ["--card", "--plot"])
def test_what_is_read_is_never_written_over(option, tmp_path, capsys):
    truth = tmp_path / "truth"
    truth.mkdir()
    header = "seriesuid,coordX,coordY,coordZ"
    (truth / "annotations.csv").write_text(f"{header},diameter_mm\n1.2,0,0,0,9\n")
    (truth / "seriesuids.csv").write_text("1.2\n")
    marks = tmp_path / "marks.csv"
    marks.write_text(f"{header},probability\n1.2,0,0,0,0.9\n")
    before = marks.read_bytes()
    (tmp_path / "other.csv").symlink_to(marks)
    words = ["evaluate", "luna16", str(truth), str(marks), "--name", "a"]
    for name in ("marks.csv", "other.csv"):
        assert cli.main([*words, option, str(tmp_path / name)]) == 3
        assert "named twice" in capsys.readouterr().err
        assert marks.read_bytes() == before


def test_a_volume_is_not_replaced_by_its_mask(places, capsys):
    volume = Path(places["volume"])
    before = volume.read_bytes()
    assert cli.main(["segment", str(volume), str(volume)]) == 3
    assert "named twice" in capsys.readouterr().err
    assert volume.read_bytes() == before


def test_a_pipe_is_written_into_and_stays_a_pipe(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with replacing(pipe) as file:
        file.write(b"abc")
    reader.join()
    assert read == [b"abc"]
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with contextlib.suppress(KeyError), replacing(path) as file:
        file.write(b"half")
        raise KeyError
    assert path.read_bytes() == b"old"
    with replacing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
