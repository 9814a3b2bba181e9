"""Names of files, made out of what files tell."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hilum._names import stem_of


@given(st.text() | st.sampled_from(["..", "/", "a/b", "\0", "-", ".a", "x" * 500]))
def test_no_uid_leads_out_of_its_folder(uid):
    path = Path("/folder") / f"{stem_of(uid)}.csv"
    assert path.parent == Path("/folder")
    assert not path.name.startswith(".")
    assert 0 < len(stem_of(uid)) <= 128


@given(st.from_regex(r"[0-9]+(\.[0-9]+){1,8}", fullmatch=True).filter(
    lambda uid: len(uid) <= 64
))  # fmt: skip
def test_uids_of_the_standard_stay_as_they_are(uid):
    assert stem_of(uid) == uid


def test_unlike_uids_have_unlike_names():
    assert stem_of("../a") != stem_of("../b")
