"""Shipped weights and weights of one's own: found, whole, and those that were named."""

import json

import pytest

from hilum.errors import WeightsError
from hilum.runtime.weights import (
    digest_of,
    find_weights,
    weights_folder,
    write_index,
)


@pytest.fixture
def shipped(tmp_path):
    """Make a folder as the package has it, of one .keras file and one IR."""
    (tmp_path / "outline.xml").write_bytes(b"<net/>")
    (tmp_path / "outline.bin").write_bytes(b"\0" * 64)
    (tmp_path / "rating.keras").write_bytes(b"abc")
    write_index(tmp_path, {"outline": "outline.xml", "rating": "rating.keras"})
    return tmp_path


def test_the_digest_is_sha_256_of_the_bytes(shipped):
    # FIPS 180-2, appendix B.1: SHA-256 of "abc"
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest_of(shipped / "rating.keras") == expected
    index = json.loads((shipped / "index.json").read_text())
    assert index["rating"]["sha256"] == {"rating.keras": expected}
    assert set(index["outline"]["sha256"]) == {"outline.xml", "outline.bin"}


def test_a_name_finds_its_file(shipped):
    assert find_weights("outline", shipped) == shipped / "outline.xml"
    assert find_weights("rating", shipped) == shipped / "rating.keras"


def test_a_path_finds_itself(shipped):
    path = shipped / "rating.keras"
    assert find_weights(path) == path
    assert find_weights(str(path)) == path


def test_the_index_of_the_package_is_whole():
    index = json.loads((weights_folder() / "index.json").read_text())
    assert set(index) == {"malignancy", "nodules", "segmentation"}
    for name in index:
        assert find_weights(name).is_file()
    sizes = [path.stat().st_size for path in weights_folder().iterdir()]
    assert sum(sizes) < 20e6
    named = {part for entry in index.values() for part in entry["sha256"]}
    assert {path.name for path in weights_folder().iterdir()} == named | {"index.json"}


@pytest.mark.parametrize("name", ["calibration", "typical"])
def test_what_lies_beside_weights_is_a_part_of_them(shipped, name):
    path = shipped / f"outline.{name}.json"
    path.write_text("{}")
    write_index(shipped, {"outline": "outline.xml"})
    assert find_weights("outline", shipped).is_file()
    path.write_text("{ }")
    with pytest.raises(WeightsError, match="damaged or was replaced"):
        find_weights("outline", shipped)


def test_an_unknown_name_is_refused_with_the_nearest(shipped):
    with pytest.raises(WeightsError, match="Did you mean `outline`"):
        find_weights("outlines", shipped)


@pytest.mark.parametrize("part", ["outline.xml", "outline.bin"])
def test_one_changed_byte_is_noticed(shipped, part):
    content = bytearray((shipped / part).read_bytes())
    content[3] ^= 1
    (shipped / part).write_bytes(content)
    with pytest.raises(WeightsError, match=r"damaged or was replaced\. Install"):
        find_weights("outline", shipped)


def test_an_absent_part_is_noticed(shipped):
    (shipped / "outline.bin").unlink()
    with pytest.raises(WeightsError, match="no weights"):
        find_weights("outline", shipped)


def test_an_absent_index_is_noticed(tmp_path):
    with pytest.raises(WeightsError, match="Install hilum again"):
        find_weights("outline", tmp_path)


@pytest.mark.parametrize("index", ["[]", "{", '{"outline": {"file": "x.xml"}}'])
def test_a_damaged_index_is_noticed(tmp_path, index):
    (tmp_path / "index.json").write_text(index)
    with pytest.raises(WeightsError, match="Install hilum again"):
        find_weights("outline", tmp_path)


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="Check the path"):
        find_weights(tmp_path / "mine.keras")


def test_another_kind_of_file_is_refused(tmp_path):
    (tmp_path / "mine.h5").write_bytes(b"abc")
    with pytest.raises(WeightsError, match=r"Give a \.keras file"):
        find_weights(tmp_path / "mine.h5")


def test_an_export_is_checked_by_the_note_beside_it(shipped):
    note = {"sha256": {"outline.bin": digest_of(shipped / "outline.bin")}}
    (shipped / "outline.json").write_text(json.dumps(note))
    assert find_weights(shipped / "outline.xml").is_file()
    (shipped / "outline.bin").write_bytes(b"\0" * 63)
    with pytest.raises(WeightsError, match=r"Export `outline\.xml` again"):
        find_weights(shipped / "outline.xml")


def test_a_note_without_digests_is_refused(shipped):
    (shipped / "outline.json").write_text("{}")
    with pytest.raises(WeightsError, match="has no table"):
        find_weights(shipped / "outline.xml")


def test_an_index_of_absent_files_is_not_written(tmp_path):
    with pytest.raises(WeightsError, match="Copy it there first"):
        write_index(tmp_path, {"outline": "outline.xml"})
    assert not (tmp_path / "index.json").exists()
