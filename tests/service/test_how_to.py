"""What docs/how-to/serve.md tells to write down, tried as it stands there."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from needs import miss
from web_service import dicom, running, wait_until

from hilum.service.records.tokens import Tokens
from hilum.service.web.settings import WebSettings

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "serve.md"
NAME = "ct.example.org"


def block(language):
    """Give the one block of a language in the guide."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    return found


def needed(name, *more):
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *more]))
    if found is None:
        miss(f"{name} is not installed (see tests/setup.sh)")
    return found


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@contextmanager
def started(command, port, **options):
    """Run a server until it is asked no more."""
    process = subprocess.Popen(command, **options)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, command
                assert time.monotonic() < end
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
def test_behind_nginx(tmp_path):
    nginx, openssl = needed("nginx", "/usr/sbin"), needed("openssl")
    cert, key = tmp_path / "ct.pem", tmp_path / "ct.key"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
         "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    settings = WebSettings(behind_proxy=True, allow_hosts=(NAME,))
    with (
        running(tmp_path / "data") as service,
        service.client(settings) as inside,
    ):
        port = free_port()
        server = block("nginx")
        for told, here in (
            ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
            ("/etc/ssl/ct.pem", str(cert)),
            ("/etc/ssl/ct.key", str(key)),
            ("127.0.0.1:8000", f"127.0.0.1:{inside.base_url.port}"),
        ):
            assert told in server
            server = server.replace(told, here)
        user = "user root;" if os.geteuid() == 0 else ""
        paths = "".join(
            f"{kind}_temp_path {tmp_path};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        conf = tmp_path / "nginx.conf"
        conf.write_text(
            f"{user} daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;"
            f"events {{}} http {{ access_log off; {paths} {server} }}"
        )
        token = Tokens(service.jobs.database).add("anna", "write")
        with (
            started([nginx, "-p", str(tmp_path), "-c", str(conf)], port),
            httpx.Client(
                base_url=f"https://127.0.0.1:{port}",
                verify=False,
                headers={"Host": NAME, "Authorization": f"Bearer {token}"},
                timeout=60,
            ) as client,
        ):
            sent = client.post("/api/studies", content=dicom("report" + " " * 2**21))
            assert sent.status_code == 202
            wait_until(client, sent.json()["id"], "done")
            assert "strict-transport-security" in sent.headers
            entries = client.get("/api/audit").json()["entries"]
            assert {entry["address"] for entry in entries} == {"127.0.0.1"}
            # a browser says what it is shown; both have to agree, or it is refused
            own = {"Origin": f"https://{NAME}", "Sec-Fetch-Site": "same-origin"}
            assert client.post("/api/uploads", headers=own).status_code == 201
            other = {"Host": "evil.example"}
            assert client.get("/api/studies", headers=other).status_code == 421
            nobody = {"Authorization": ""}
            assert client.get("/api/studies", headers=nobody).status_code == 401


def test_unit_of_systemd_is_one(tmp_path):
    analyze = needed("systemd-analyze")
    text = block("ini").replace("/opt/hilum/bin/hilum", sys.executable)
    assert sys.executable in text
    unit = tmp_path / "hilum.service"
    unit.write_text(text)
    said = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    ours = [line for line in said.stderr.splitlines() if "hilum.service" in line]
    assert (said.returncode, ours) == (0, [])


@pytest.fixture
def postgres():
    """A server of its own, on a socket of its own and a free port."""
    needed("pg_ctlcluster")
    (*_, bin_) = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    user = [] if os.geteuid() else ["runuser", "-u", "postgres", "--"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if not os.geteuid():
            shutil.chown(folder, "postgres")
        quiet = {"cwd": "/", "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(
            [*user, bin_ / "initdb", "-D", folder / "db", "-A", "trust", "-N"],
            check=True, **quiet,
        )  # fmt: skip
        port = free_port()
        command = [
            *user, bin_ / "postgres", "-D", folder / "db", "-p", str(port),
            "-k", folder, "-c", "fsync=off",
        ]  # fmt: skip
        with started([str(part) for part in command], port, **quiet):
            place = ["-h", "127.0.0.1", "-p", str(port)]
            for made in (["createuser", "hilum"], ["createdb", "-O", "hilum", "hilum"]):
                subprocess.run(
                    [*user, bin_ / made[0], *place, *made[1:]], check=True, **quiet
                )
            yield f"postgresql://hilum@127.0.0.1:{port}/hilum"


@pytest.mark.slow
@pytest.mark.filterwarnings(
    # DBOS's threads may still hold a connection when a busy machine stops them
    "ignore:Exception ignored in. <function BaseConnection.__del__"
    ":pytest.PytestUnraisableExceptionWarning"
)
def test_with_postgresql(postgres, tmp_path):
    assert "postgresql://hilum@127.0.0.1/hilum" in GUIDE.read_text()
    data = tmp_path / "data"
    with running(data, database=postgres) as service:
        job_id = service.jobs.submit(_study(tmp_path))
        assert service.jobs.wait(job_id).state == "done"
        Tokens(service.jobs.database).add("anna", "read")
    assert not list(data.glob("*.sqlite"))
    with running(data, database=postgres) as service:  # and after a restart
        assert service.jobs.get(job_id).state == "done"
        assert service.jobs.submit(_study(tmp_path)) == job_id
        assert [user.name for user in Tokens(service.jobs.database).list()] == ["anna"]


def _study(folder):
    path = folder / "study.dcm"
    path.write_bytes(dicom("report"))
    return path
