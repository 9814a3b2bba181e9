"""Settings files: round trip, help for typos, and refused values."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from hilum.errors import InputError
from hilum.settings import fill, read_settings, to_table


@dataclass(frozen=True)
class Inner:
    depth: int = 3


@dataclass(frozen=True)
class Stage:
    leak: float = 0.01
    top: int = 5
    name: str = "x"
    fast: bool = False
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    levels: tuple[int, ...] = (1,)
    weights: Path | None = None
    inner: Inner = Inner()


def test_typo_gets_the_nearest_name():
    with pytest.raises(InputError, match=r"`laek` in \[patient\]. Did you mean `leak`"):
        fill(Stage, {"laek": 0.1}, table="patient")
    with pytest.raises(InputError, match=r"Settings of \[patient\]: leak, top"):
        fill(Stage, {"zzz": 0.1}, table="patient")


def test_values_take_the_type_of_their_field():
    stage = fill(
        Stage,
        {
            "leak": 1,
            "spacing_mm": [1, 2, 3],
            "levels": [1, 2, 3, 4],
            "weights": "a/b.keras",
            "inner": {"depth": 7},
        },
        table="t",
    )
    assert stage.leak == 1.0
    assert isinstance(stage.leak, float)
    assert stage.spacing_mm == (1.0, 2.0, 3.0)
    assert stage.levels == (1, 2, 3, 4)
    assert stage.weights == Path("a/b.keras")
    assert stage.inner == Inner(7)


def test_table_and_dataclass_are_inverse():
    stage = Stage(leak=0.5, weights=Path("w.keras"), levels=(3, 2), inner=Inner(9))
    assert fill(Stage, to_table(stage), table="t") == stage
    assert "weights" not in to_table(Stage())
    with pytest.raises(InputError, match="Expected a settings dataclass; got int"):
        to_table(3)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("leak", "much", "must be float; got 'much'"),
        ("top", 1.5, "must be int; got 1.5"),
        ("top", True, "must be int; got True"),
        ("fast", 1, "must be bool; got 1"),
        ("spacing_mm", [1, 2], "needs 3 values"),
        ("spacing_mm", 1.5, "must be a list of values"),
        ("inner", {"dept": 1}, "Did you mean `depth`"),
    ],
)
def test_wrong_values_are_named(key, value, message):
    with pytest.raises(InputError, match=message):
        fill(Stage, {key: value}, table="t")


def test_files(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text("[patient]\nleak = 0.2\n")
    assert read_settings(path) == {"patient": {"leak": 0.2}}
    path.write_text("leak = 0.2\n")
    with pytest.raises(InputError, match="stands outside a table"):
        read_settings(path)
    path.write_text("leak = = 2")
    with pytest.raises(InputError, match="Expected a TOML file"):
        read_settings(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="Cannot read settings file"):
        read_settings(path)
    with pytest.raises(InputError, match="Cannot read settings file"):
        read_settings(tmp_path / "absent.toml")
