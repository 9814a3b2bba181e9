"""What containers leave: files of both versions of control groups, made up."""

import math

import pytest

from hilum import _cgroup, _cores, doctor
from hilum._cgroup import cores_allowed, memory_left_bytes, memory_limit_bytes
from hilum.batch import running

GB = 10**9


@pytest.fixture
def groups(tmp_path):
    """Write files of groups; give the root, and what /proc/self/cgroup says."""

    def made(mine, **files):
        for name, text in files.items():
            path = tmp_path / "cgroup" / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        (tmp_path / "mine").write_text(mine + "\n")
        return tmp_path / "cgroup", tmp_path / "mine"

    return made


def test_a_container_of_version_2_sees_its_own_group_as_the_root(groups):
    root = groups("0::/", **{
        "cpu.max": "150000 100000",
        "memory.max": str(4 * GB),
        "memory.current": str(3 * GB),
        "memory.stat": f"anon 5\ninactive_file {GB}\nactive_file 7",
    })  # fmt: skip
    assert cores_allowed(*root) == 1.5
    assert memory_limit_bytes(*root) == 4 * GB
    assert memory_left_bytes(*root) == 2 * GB  # 4 - (3 - 1)


def test_a_limit_of_a_group_holds_for_those_in_it(groups):
    root = groups("0::/a/b", **{
        "a__cpu.max": "200000 100000",
        "a__b__cpu.max": "max 100000",
        "a__memory.max": str(2 * GB),
        "a__memory.current": str(GB // 2),
        "a__b__memory.max": str(3 * GB),
        "a__b__memory.current": "0",
    })  # fmt: skip
    assert cores_allowed(*root) == 2
    assert memory_limit_bytes(*root) == 2 * GB
    assert memory_left_bytes(*root) == 1.5 * GB


def test_version_1_has_other_names_and_may_give_paths_of_the_machine(groups):
    mine = "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n1:name=systemd:/"
    root = groups(mine, **{
        "cpu,cpuacct__cpu.cfs_quota_us": "300000",
        "cpu,cpuacct__cpu.cfs_period_us": "100000",
        "memory__memory.limit_in_bytes": str(GB),
        "memory__memory.usage_in_bytes": str(GB // 4),
        "memory__memory.stat": "inactive_file 0\ntotal_inactive_file 0",
    })  # fmt: skip
    assert cores_allowed(*root) == 3
    assert memory_limit_bytes(*root) == GB
    assert memory_left_bytes(*root) == 0.75 * GB


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"cpu.max": "max 100000", "memory.max": "max"},
        {"cpu.max": "", "memory.max": "words"},
        {"cpu.max": "0 0"},
        {"cpu__cpu.cfs_quota_us": "-1", "cpu__cpu.cfs_period_us": "100000"},
    ],
)
def test_without_a_limit_there_is_none(groups, files):
    root = groups("0::/\n1:cpu:/", **files)
    assert cores_allowed(*root) == math.inf
    assert memory_limit_bytes(*root) == math.inf
    assert memory_left_bytes(*root) == math.inf


def test_a_system_without_groups_has_no_limit(tmp_path):
    nowhere = (tmp_path / "no", tmp_path / "none")
    assert cores_allowed(*nowhere) == memory_left_bytes(*nowhere) == math.inf


@pytest.mark.parametrize(
    ("quota", "cores"), [(0.25, 1), (1.5, 2), (2, 2), (math.inf, 8)]
)
def test_cores_are_counted_as_the_container_has_them(monkeypatch, quota, cores):
    monkeypatch.setattr(
        _cores.os, "sched_getaffinity", lambda _: range(8), raising=False
    )
    monkeypatch.setattr(_cores, "_quota", lambda: quota)
    assert _cores.count_cores() == cores


def test_doctor_and_batch_count_the_memory_of_the_container(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "memory_limit_bytes", lambda: 1.5 * GB)
    monkeypatch.setattr(running, "memory_left_bytes", lambda: 0.5 * GB)
    assert doctor._total_gb() == 1.5
    machine = tmp_path / "meminfo"
    machine.write_text("MemTotal: 9 kB\nMemAvailable:   64000000 kB\n")
    assert running._free_gb(machine) == 0.5
    assert running._free_gb(tmp_path / "absent") == 0.5
    monkeypatch.setattr(running, "memory_left_bytes", lambda: math.inf)
    assert running._free_gb(machine) == pytest.approx(65.536)


def test_the_quota_is_read_from_the_system():
    _cores._quota.cache_clear()
    assert _cores._quota() == _cgroup.cores_allowed()
