"""Ray: on this machine, and on two nodes of which one is killed on the way."""

import json
import os
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
from cohort_runs import STAND_IN, rows_of, works_of
from hypothesis import given
from hypothesis import strategies as st
from stand_in import assessment

import hilum
from hilum import _optional
from hilum.batch import cluster
from hilum.batch.cluster import RayWorker, Station, cores_each, ray_workers
from hilum.batch.hand import GoneError, HandSettings
from hilum.batch.order import Order, Outcome, Scan, row_of
from hilum.errors import InputError, MissingDependencyError

needs_ray = pytest.mark.skipif(
    find_spec("ray") is None and os.environ.get("CI") != "true",
    reason="Ray is not installed: pip install 'hilum[ray]'",
)

DRIVER = """
import sys
from functools import partial
from hilum import batch
from hilum.cli import main
batch.BatchSettings = partial(batch.BatchSettings, assessor=sys.argv[1])
sys.exit(main(["batch", *sys.argv[2:], "--engine", "ray", "--workers", "2",
               "--format", "json"]))
"""

TWO_NODES = """
import sys
import time
from hilum.batch.cluster import ray_workers
from hilum.batch.hand import HandSettings
from hilum.errors import InputError
while True:
    try:
        with ray_workers(HandSettings(), 1, sys.argv[1], most=1):
            import ray
            while ray.cluster_resources().get("CPU", 0) < 2:
                time.sleep(0.2)
        break
    except InputError:  # it answers, and has no node yet
        time.sleep(0.5)
"""


TOKEN = {"RAY_AUTH_TOKEN": "5" * 64}


def drive(table, out, *more):
    command = [sys.executable, "-c", DRIVER, STAND_IN, str(table), str(out), *more]
    env = os.environ | TOKEN
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
    )


def wait_for_two(address):
    """Wait until both nodes have joined the cluster."""
    command = [sys.executable, "-c", TWO_NODES, address]
    env = os.environ | TOKEN
    subprocess.run(command, env=env, capture_output=True, check=True, timeout=240)


def start_node(tmp_path, *options):
    """Start a node of one core in processes of its own."""
    command = [
        sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start",
        "--num-cpus", "1", "--object-store-memory", "80000000", "--block",
        "--disable-usage-stats", *options,
    ]  # fmt: skip
    with (tmp_path / "ray.log").open("ab") as log:
        return subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | TOKEN | {"RAY_AUTH_MODE": "token"},
        )


def kill_node(node):
    """Kill a node and all that it started, at once."""
    import psutil  # noqa: PLC0415  only here

    try:
        tree = psutil.Process(node.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        tree = []
    node.kill()
    for process in tree:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(tree, timeout=20)
    node.wait()


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@needs_ray
@pytest.mark.slow
def test_nothing_is_lost_and_nothing_done_twice_when_a_node_is_killed(cohort, tmp_path):
    pytest.importorskip("psutil", reason="psutil is not installed")
    table, out = cohort(*["slow"] * 24, "bad", "slow"), tmp_path / "out"
    address = f"127.0.0.1:{free_port()}"
    head = ["--head", "--node-ip-address=127.0.0.1", f"--port={address.split(':')[1]}"]
    nodes = [start_node(tmp_path, *head, "--include-dashboard=false")]
    run = None
    try:
        wait_until(lambda: answers(address))
        nodes.append(
            start_node(tmp_path, "--address", address, "--node-ip-address=127.0.0.1")
        )
        wait_for_two(address)
        run = drive(table, out, "--address", address)
        log = table.parent / "log.txt"
        wait_until(lambda: log.exists() and len(workers_of(log)) == 2)
        kill_node(nodes[1])
        said, _ = run.communicate(timeout=240)
        assert run.returncode == 0
        assert json.loads(said)["failed"] == 1  # and nothing of Ray's beside it
    finally:
        for node in nodes[::-1]:
            kill_node(node)
        if run is not None and run.poll() is None:
            run.kill()
            run.wait()
    scans = [row["scan"] for row in rows_of(out / "summary.csv")]
    assert scans == [str(n) for n in range(1, 27) if n != 25]
    assert [row["scan"] for row in rows_of(out / "failures.csv")] == ["25"]
    assert len(list((out / "scans").iterdir())) == 25
    works = works_of(table)
    assert set(works) == {f"slow-{n}" for n in range(1, 27) if n != 25} | {"bad-25"}
    assert len(works) <= 26 + 1  # the scan that the node was killed on


def workers_of(log):
    return {line.split()[2] for line in log.read_text().splitlines()}


def answers(address):
    host, _, port = address.partition(":")
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((host, int(port))) == 0


def wait_until(told, seconds=240):
    end = time.monotonic() + seconds
    while not told():
        assert time.monotonic() < end
        time.sleep(0.1)


ALONE = """
from hilum.batch.cluster import ray_workers
from hilum.batch.hand import HandSettings
with ray_workers(HandSettings(), 1, None, most=1):
    import ray
    print(ray.nodes()[0]["NodeManagerAddress"])
"""


@needs_ray
@pytest.mark.slow
def test_ray_on_this_machine_alone_listens_to_this_machine_alone():
    unset = ("RAY_AUTH_MODE", "RAY_ADDRESS", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER")
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        env={k: v for k, v in os.environ.items() if k not in unset},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.strip() == "127.0.0.1"


def test_an_actor_sends_the_files_of_its_machine(cohort, tmp_path):
    table = cohort("ok", "bad")
    station = Station(HandSettings(assessor=STAND_IN))
    try:
        assert station.ready()[0] == hilum.__version__
        scans = [Scan(name=n, source=str(table.parent / n)) for n in ("ok-1", "bad-2")]
        orders = [
            Order(number=n, scan=scan, out=str(tmp_path / "far" / str(n)))
            for n, scan in enumerate(scans, start=1)
        ]
        outcome, files = station.run(orders[0], orders[1])
        assert outcome.row.series_uid == "1.2.1"
        assert set(files) == {"assessment.json", "candidates.csv"}
        outcome, files = station.run(orders[1], None)
        assert (outcome.failure.kind, files) == ("input", {})
        assert not (tmp_path / "far").exists()
    finally:
        station._hand.close()


class FakeRay:
    """Stands in for Ray: an actor answers at once, with what is given."""

    class exceptions:  # noqa: N801  as Ray has it
        RayError = type("RayError", (Exception,), {})
        RayTaskError = type("RayTaskError", (RayError,), {})

    def __init__(self, *answers):
        self.answers, self.killed = list(answers), 0
        self.run = self.ready = SimpleNamespace(remote=lambda *_: None)

    def remote(self, *_):
        return self

    def options(self, **_):
        return self

    def get(self, _reference, timeout=None):
        del timeout
        answer = self.answers.pop(0)
        return answer() if callable(answer) else answer

    def kill(self, _actor):
        self.killed += 1

    def is_initialized(self):
        return True


def test_who_was_stopped_starts_no_other_actor_and_writes_nothing(
    tmp_path, monkeypatch
):
    order = Order(
        number=1, scan=Scan(name="x", source="/c/x"), out=str(tmp_path / "000001")
    )
    worker = RayWorker(HandSettings())

    def stop_meanwhile():
        worker.close()
        return Outcome(row=row_of(1, assessment(order))), {"assessment.json": b"{}"}

    ray = FakeRay(cluster._installed(), stop_meanwhile)
    monkeypatch.setattr(cluster, "_ray", lambda: ray)
    assert worker.run(order, None).failure.kind == "lost"
    assert worker.run(order, None).failure.kind == "lost"
    assert (ray.killed, list(tmp_path.iterdir())) == (1, [])


def test_a_machine_where_no_worker_comes_up_leaves_its_orders_to_others(
    tmp_path, monkeypatch
):
    def not_started():
        error = FakeRay.exceptions.RayTaskError()
        error.cause = GoneError("A worker could not be started.")
        raise error

    order = Order(number=1, scan=Scan(name="x", source="/c/x"), out=str(tmp_path))
    ray = FakeRay(cluster._installed(), not_started)
    monkeypatch.setattr(cluster, "_ray", lambda: ray)
    with pytest.raises(GoneError, match="could not be started"):
        RayWorker(HandSettings()).run(order, None)
    assert ray.killed == 1


def test_a_machine_with_another_hilum_is_refused(tmp_path, monkeypatch):
    order = Order(number=1, scan=Scan(name="x", source="/c/x"), out=str(tmp_path))
    ray = FakeRay(("0.0.1", "digest"))
    monkeypatch.setattr(cluster, "_ray", lambda: ray)
    with pytest.raises(InputError, match=r"has hilum 0\.0\.1, and this one"):
        RayWorker(HandSettings()).run(order, None)
    assert ray.killed == 1


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(1, 60))
def test_workers_find_room_on_their_machines(nodes, workers):
    # 2 machines of 16: 3 workers with 8, for with 10 (a third of 32) one has no room
    assert cores_each([16, 16], 3) == 8
    each = cores_each(nodes, workers)
    room = sum(node // each for node in nodes)
    assert each == 1 or room >= workers
    assert sum(node // (each + 1) for node in nodes) < workers


def test_without_ray_the_extra_is_named(monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(_optional, "import_module", absent)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    with (
        pytest.raises(MissingDependencyError, match=r"hilum\[ray\]"),
        ray_workers(HandSettings(), 1, None, most=1),
    ):
        pass


@needs_ray
def test_a_cluster_that_is_not_there_is_told():
    for address in ("127.0.0.1:1", "127.0.0.1:99999999"):
        with (
            pytest.raises(InputError, match="no Ray cluster at that address"),
            ray_workers(HandSettings(), 1, address, most=1),
        ):
            pass


@pytest.fixture
def untold(monkeypatch, tmp_path):
    """Nobody chose how Ray tells who may join, and Ray was not imported."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "")  # so that it is taken back afterwards
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    return tmp_path


def test_ray_on_this_machine_has_a_token_of_its_own(untold):
    cluster._take_token(None)
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    assert list(untold.iterdir()) == []  # or each `ray start` would ask for it


def test_a_cluster_is_shown_the_token_of_this_machine(untold):
    cluster._take_token("127.0.0.1:6379")
    assert "RAY_AUTH_MODE" not in os.environ  # there is none
    (untold / ".ray").mkdir()
    (untold / ".ray" / "auth_token").write_text("5" * 64)
    cluster._take_token("127.0.0.1:6379")
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert "RAY_AUTH_TOKEN" not in os.environ


@pytest.mark.parametrize("address", [None, "127.0.0.1:6379"])
def test_what_somebody_chose_for_ray_stays(untold, monkeypatch, address):
    del untold
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "mine")
    cluster._take_token(address)
    assert os.environ["RAY_AUTH_MODE"] == "disabled"
    assert os.environ["RAY_AUTH_TOKEN"] == "mine"


def test_a_cluster_that_wants_another_token_says_so(monkeypatch):
    def refuse(**_):
        try:
            raise RuntimeError("... ray.exceptions.AuthenticationError: RPC error")
        except RuntimeError as error:
            raise ConnectionError("Failed to connect") from error

    ray = FakeRay()
    monkeypatch.setattr(ray, "init", refuse, raising=False)
    monkeypatch.setattr(cluster, "_check_address", lambda _: None)
    with pytest.raises(InputError, match="another token"):
        cluster._join(ray, None, "127.0.0.1:6379")
    with pytest.raises(InputError, match="cannot be started here"):
        cluster._join(ray, None, None)
