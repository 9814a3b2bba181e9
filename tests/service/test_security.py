"""Attacks on the service, each of which has to fail."""

import io
import socket
import stat
import struct
import sys
import time
import zipfile

import httpx
import pytest
from web_service import dicom, running, wait_until

from hilum.errors import InputError
from hilum.service.records.annotations import ReaderAnnotation
from hilum.service.records.tokens import Tokens
from hilum.service.web.connections import PromptProtocol
from hilum.service.web.limits import Limiter
from hilum.service.web.serving import address_of, listen, serve
from hilum.service.web.settings import WebSettings


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    with running(tmp_path_factory.mktemp("data")) as service:
        yield service


@pytest.fixture(scope="module")
def client(jobs):
    """A client of a service without tokens, on this machine."""
    with jobs.client(WebSettings(upload_gb=0.05)) as client:
        yield client


# Host and site ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("[::1]:8000", 200),
        ("LOCALHOST:1", 200),
        ("evil.example", 421),
        ("evil.example:8000", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("[", 421),
        # a name of ours with more, of which a path could be made
        ("127.0.0.1/?x=", 421),
        ("localhost#", 421),
        ("evil.example@127.0.0.1", 421),
    ],
)
def test_rebound_name_is_refused(client, host, status):
    for path in ("/", "/api/health", "/api/studies"):
        assert client.get(path, headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
    ],
)
def test_other_site_changes_nothing(client, headers):
    for method, path in (
        ("POST", "/api/studies"),
        ("POST", "/api/uploads"),
        ("DELETE", "/api/session"),
        ("POST", f"/api/jobs/{'0' * 32}/cancel"),
        ("DELETE", f"/api/studies/{'0' * 32}"),
    ):
        answer = client.request(method, path, headers=headers)
        assert answer.status_code == 403, (method, path)
        assert "Another site" in answer.json()["detail"]


def test_own_page_may_change(client):
    own = str(client.base_url).rstrip("/")
    headers = {"Origin": own, "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/uploads", headers=headers).status_code == 201


def test_other_site_cannot_read(client):
    headers = {"Origin": "https://evil.example"}
    answer = client.get("/api/studies", headers=headers)
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    asked = {**headers, "Access-Control-Request-Method": "PUT"}
    preflight = client.options("/api/studies", headers=asked)
    assert preflight.status_code == 405
    assert "access-control-allow-origin" not in preflight.headers


def test_browser_is_told_to_run_nothing_else(client):
    answer = client.get("/")
    policy = dict(
        part.strip().split(" ", 1)
        for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "server" not in answer.headers
    assert client.get("/api/studies").headers["cache-control"] == "no-store"
    script = client.get("/static/js/main.js")  # asked for anew after an upgrade
    assert script.headers["cache-control"] == "no-cache"
    again = {"If-None-Match": script.headers["etag"]}
    assert client.get("/static/js/main.js", headers=again).status_code == 304


# The primer -----------------------------------------------------------------------


@pytest.fixture
def no_chest(monkeypatch):
    """Make no chest for the pages: it takes half a minute, and is tested elsewhere."""
    quick = [sys.executable, "-c", ""]
    monkeypatch.setattr("hilum.primer.press._command", lambda *told: quick)


PLAN = {"filters": [0]}  # refused, after everything else was looked at


@pytest.mark.usefixtures("no_chest")
def test_primer_runs_its_own_script_alone(client):
    entered = client.get("/primer")
    assert entered.headers["location"] == "/primer/"
    page = client.get("/primer/09-deciding.html")
    policies = page.headers.get_list("content-security-policy")
    assert len(policies) == 1
    assert "script-src 'sha256-" in policies[0]
    assert "unsafe" not in policies[0]
    assert "frame-ancestors 'none'" in policies[0]
    for path in ("/primer/..%2f..%2fhilum.sqlite", "/primer/nowhere.html"):
        assert client.get(path).status_code == 404


@pytest.mark.usefixtures("no_chest")
def test_primer_is_guarded_like_all_else(client):
    train = "/primer/api/train"
    assert client.get("/primer/", headers={"Host": "evil.example"}).status_code == 421
    strange = {"Origin": "https://evil.example"}
    assert client.post(train, json=PLAN, headers=strange).status_code == 403
    assert client.post(train, content=b"{}").status_code == 415
    kind = {"Content-Type": "application/json"}
    assert client.post(train, content=b"x" * 5000, headers=kind).status_code == 413
    answer = client.post(train, json=PLAN)
    assert answer.status_code == 400
    assert "1 to 4 numbers" in answer.json()["error"]
    assert client.get(train).json() == {"runs": [], "nodules": False}
    assert client.get(train).headers["cache-control"] == "no-store"
    assert "train or stop a network" in client.get("/api/audit").text


@pytest.mark.usefixtures("no_chest")
def test_only_who_may_change_may_train(jobs):
    tokens = Tokens(jobs.jobs.database)
    roles = {name: tokens.add(name, name) for name in ("read", "write")}
    train = "/primer/api/train"
    try:
        with jobs.client(WebSettings()) as client:
            assert client.get("/primer/").status_code == 200  # of no patient
            assert client.get(train).status_code == 401
            assert client.post(train, json=PLAN).status_code == 401
            for name, status in (("read", 403), ("write", 400)):
                said = {"Authorization": f"Bearer {roles[name]}"}
                assert client.get(train, headers=said).status_code == 200
                answer = client.post(train, json=PLAN, headers=said)
                assert answer.status_code == status
    finally:
        for name in roles:
            tokens.remove(name)


# Where it listens ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"host": "0.0.0.0"}, "could read along"),
        ({"host": "::"}, "could read along"),
        ({"host": "ct.example.org"}, "could read along"),
        ({"tls_cert": __file__}, "both"),
        ({"port": 70000}, "port"),
        ({"upload_gb": 0}, "upload_gb"),
    ],
)
def test_service_that_is_open_to_all_is_refused(options, said):
    if "tls_cert" in options:
        options = {"tls_cert": "x"}
    with pytest.raises(InputError, match=said):
        WebSettings(**options)


def test_certificate_must_be_there(tmp_path):
    missing = tmp_path / "cert.pem"
    with pytest.raises(InputError, match="no file `cert"):
        WebSettings(tls_cert=missing, tls_key=missing)


def test_remote_service_needs_a_token_before_it_starts(tmp_path):
    from hilum.service.jobs import JobSettings  # noqa: PLC0415

    web = WebSettings(host="0.0.0.0", port=0, behind_proxy=True)
    assert web.needs_token
    assert not WebSettings().needs_token
    assert not WebSettings(host="localhost").is_remote
    with pytest.raises(InputError, match="Make one first"):
        serve(web, JobSettings(data=tmp_path, worker_nice=0))


def test_taken_port_is_said():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port}"):
            listen(WebSettings(port=port))
    with listen(WebSettings(port=0)) as free:
        assert address_of(WebSettings(), free).startswith("http://127.0.0.1:")
        place = free.getsockname()
        socket.create_connection(place, timeout=10).close()  # it waits, and is let in


# Uploads ------------------------------------------------------------------------


def zip_of(*members, **options):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content, **options)
    return packed.getvalue()


def link_zip():
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return zip_of((info, "/etc/passwd"))


def bomb_zip():
    """Claim 4 GB in a member of a kilobyte or so."""
    packed = zip_of(("bomb", bytes(1_000_000)))
    size, lie = struct.pack("<I", 1_000_000), struct.pack("<I", 4_000_000_000)
    return packed.replace(size, lie)


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (zip_of(("../../etc/cron.d/x", b"x")), 422, "outside of the zip"),
        (zip_of(("/etc/passwd", b"x")), 422, "outside of the zip"),
        (zip_of(("C:\\x", b"x")), 422, "outside of the zip"),
        (zip_of(("..\\x", b"x")), 422, "outside of the zip"),
        (link_zip(), 422, "a link"),
        (bomb_zip(), 422, "zip bombs"),
        (zip_of(*[(f"{n}", bytes(9_000_000)) for n in range(9)]), 413, "0.05 GB"),
        (zip_of(("a", b"x"))[:-9], 422, "damaged zip"),
        (zip_of(), 422, "no files"),
    ],
    ids=["up", "root", "drive", "up-windows", "link", "bomb", "large", "cut", "empty"],
)
def test_hostile_zip_is_refused_and_leaves_nothing(client, content, status, said):
    answer = client.post("/api/studies", content=content)
    assert answer.status_code == status
    assert said in answer.json()["detail"]
    data = client.jobs.store.data
    assert not [p for p in (data / "incoming").rglob("*") if p.is_file()]
    assert not [p for p in (data / "studies").rglob("*") if p.is_file()]


@pytest.mark.parametrize(
    "path",
    [
        "/api/studies/..%2f..%2fsecret/result",
        "/api/studies/%2e%2e/documents/json",
        f"/api/studies/{'0' * 32}/documents/..%2f..%2fsecret",
        f"/api/studies/{'0' * 32}/views/..%2fsource.nii.gz",
        f"/api/uploads/..%2f{'0' * 32}/files/0",
        "/static/../hilum.sqlite",
        "/static/..%2f..%2fjobs%2fengine.py",
        "/static/%2e%2e/web/app.py",
    ],
)
def test_path_leads_nowhere_else(client, path):
    for method in ("GET", "PUT"):
        answer = client.request(method, path, content=b"x" * 500)
        assert answer.status_code in (404, 405, 422)
        assert b"import" not in answer.content


def test_half_an_upload_is_no_file(client):
    upload = client.post("/api/uploads").json()["id"]
    host = (client.base_url.host, client.base_url.port)
    with socket.create_connection(host) as raw:
        head = (
            f"PUT /api/uploads/{upload}/files/0 HTTP/1.1\r\nHost: localhost\r\n"
            "Content-Length: 100000\r\n\r\n"
        )
        raw.sendall(head.encode() + dicom("half"))
    folder = client.jobs.store.data / "incoming" / f"upload-{upload}"
    end = time.monotonic() + 30
    while list(folder.iterdir()):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert client.post(f"/api/uploads/{upload}/finish").status_code == 409


# Connections held open ------------------------------------------------------------


def silence_s(client, *pieces):
    """Send pieces, a tenth of a second apart, until nothing more comes.

    Gives the answer and how long it took to be hung up on.
    """
    start, waiting, answer = time.monotonic(), list(pieces), b""
    with socket.create_connection((client.base_url.host, client.base_url.port)) as raw:
        while time.monotonic() < start + 60:
            try:
                raw.settimeout(0.1)
                if waiting:
                    raw.sendall(waiting.pop(0))
                part = raw.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                break  # hung up on
            if not part:
                break
            answer += part
    return answer, time.monotonic() - start


GET = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /api/session HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        (),  # nothing at all
        (GET,),  # a head without an end
        (GET, *[b"X-More: 1\r\n"] * 600),  # one that drips on and on
        (GET + b"\r\n", *[b"", b"GET", *[b" "] * 600]),  # a second one, likewise
    ],
    ids=["silent", "stuck", "drip", "drip-later"],
)
def test_head_that_never_ends_is_hung_up_on(jobs, monkeypatch, pieces):
    monkeypatch.setattr(PromptProtocol, "head_s", 0.5)
    with jobs.client(WebSettings()) as client:
        answer, taken_s = silence_s(client, *pieces)
        assert taken_s < 30  # it would wait for ever
        assert answer.count(b"HTTP/1.1 200") == (b"\r\n\r\n" in b"".join(pieces))
        assert asked_until_answered(client).status_code == 200


def test_body_that_drips_or_is_long_is_refused(client, monkeypatch):
    monkeypatch.setattr("hilum.service.web.guard._BODY_S", 0.3)
    head = POST + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    answer, taken_s = silence_s(client, head % 500, b'{"token": "')
    assert answer.startswith(b"HTTP/1.1 408")
    assert taken_s < 30
    monkeypatch.undo()  # on a busy machine the next bodies may take as long
    long = client.post("/api/session", content=b"x" * 70_000)
    assert long.status_code == 413
    whole = client.post("/api/session", json={"token": "x"})
    assert whole.status_code == 401  # read, and no token


def test_body_that_drips_on_after_its_answer_is_hung_up_on(jobs, monkeypatch):
    monkeypatch.setattr(PromptProtocol, "linger_s", 0.5)
    refused = (
        POST.replace(b"localhost", b"evil.example") + b"Content-Length: 999\r\n\r\n"
    )
    with jobs.client(WebSettings()) as client:
        answer, taken_s = silence_s(client, refused, *[b"x"] * 600)
        assert answer.startswith(b"HTTP/1.1 421")
        assert taken_s < 30  # it would be held as long as bytes come
        assert asked_until_answered(client).status_code == 200


def asked_until_answered(client):
    """Ask again while the server has not yet seen that others have left."""
    end = time.monotonic() + 30
    while True:
        try:
            return client.get("/api/health")
        except httpx.TransportError:
            assert time.monotonic() < end
            time.sleep(0.02)


def test_one_address_holds_so_many_connections(jobs, monkeypatch):
    monkeypatch.setattr(PromptProtocol, "from_one", 3)
    with jobs.client(WebSettings()) as client:
        place = (client.base_url.host, client.base_url.port)
        held = [socket.create_connection(place) for _ in range(3)]
        with pytest.raises((httpx.TransportError, OSError)):
            client.get("/api/health")
        for one in held:
            one.close()
        assert asked_until_answered(client).status_code == 200


# Limits and logs ----------------------------------------------------------------


@pytest.mark.slow
def test_too_many_requests_are_told_to_wait(jobs):
    with jobs.client(WebSettings(requests_per_s=0.01)) as client:
        answers = [client.get("/api/health") for _ in range(110)]
    assert answers[0].status_code == 200
    assert answers[-1].status_code == 429
    assert answers[-1].headers["content-type"] == "application/problem+json"


def test_bucket_fills_again(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("hilum.service.web.limits.time.monotonic", lambda: now[0])
    limiter = Limiter(per_s=2, burst=3)
    assert [limiter.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert limiter.take("b") == 0
    now[0] += 0.5
    assert [limiter.take("a"), limiter.take("a")] == [0, 0.5]


def test_no_identifier_is_logged(client, caplog, capfd):
    with caplog.at_level("DEBUG"):
        for path in ("/api/studies?q=DOE^JANE", "/api/studies/DOE^JANE/result"):
            client.get(path)
        sent = client.post("/api/studies", content=dicom("fail DOE^JANE"))
        wait_until(client, sent.json()["id"], "failed")
    ours = [r for r in caplog.records if not r.name.startswith(("httpx", "httpcore"))]
    assert not [r for r in ours if "DOE" in r.getMessage()]
    out, err = capfd.readouterr()
    assert "DOE" not in out + err
    assert b"DOE" not in (client.jobs.store.data / "workers.log").read_bytes()
    log = client.get("/api/audit").text
    assert "DOE" not in log


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"diameter_mm": 0}, "diameter"),
        ({"malignancy": 9}, "rating"),
        ({"verdict": "added", "nodule": 1}, "algorithm"),
    ],
)
def test_odd_annotation_cannot_be_made(changes, said):
    fields = {
        "id": "0" * 32,
        "job_id": "0" * 32,
        "series_uid": "1",
        "nodule": 1,
        "verdict": "accepted",
        "center_mm": (0.0, 0.0, 0.0),
        "diameter_mm": 5.0,
        "reader": "r",
        "when_s": 0.0,
    }
    with pytest.raises(InputError, match=said):
        ReaderAnnotation(**{**fields, **changes})
