"""Who gets in, and what they may do: attacks on a service that needs tokens."""

import re
import sqlite3
import stat

import pytest
from web_service import dicom, running, wait_until

from hilum.errors import InputError
from hilum.service.records.tokens import Tokens, User
from hilum.service.web.sessions import COOKIE, Sessions
from hilum.service.web.settings import WebSettings


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A client without a token, of a service behind a proxy, and two tokens."""
    with running(tmp_path_factory.mktemp("locked")) as service:
        tokens = Tokens(service.jobs.database)
        settings = WebSettings(behind_proxy=True, allow_hosts=("ct.example.org",))
        with service.client(settings) as client:
            client.tokens = {
                role: tokens.add(f"{role}er", role) for role in ("read", "write")
            }
            yield client


def bearer(client, role):
    return {"Authorization": f"Bearer {client.tokens[role]}"}


def from_address(number):
    """Ask from an address of one's own, so that limits of one test end with it."""
    return {"X-Forwarded-For": f"192.0.2.{number}"}


def test_allowed_name_is_served_and_no_other(locked):
    for host, status in (("ct.example.org", 200), ("ct.example.net", 421)):
        assert locked.get("/api/health", headers={"Host": host}).status_code == status


def test_nobody_gets_in_without_a_token(locked):
    for method, path in (
        ("GET", "/api/studies"),
        ("GET", "/api/openapi.json"),
        ("GET", "/api/audit"),
        ("GET", "/api/annotations.csv"),
        ("GET", f"/api/studies/{'0' * 32}/views/ct.nii.gz"),
        ("POST", "/api/studies"),
        ("PUT", f"/api/uploads/{'0' * 32}/files/0"),
    ):
        answer = locked.request(method, path, headers=from_address(1))
        assert answer.status_code == 401, (method, path)
        assert answer.headers["www-authenticate"] == "Bearer"
    assert locked.get("/api/health").status_code == 200
    assert locked.get("/").status_code == 200  # the page, which asks for the token


@pytest.mark.parametrize("wrong", ["hilum_", "Bearer", "\u00e9".encode(), "x" * 5000])
def test_wrong_token_does_not_help(locked, wrong):
    value = wrong if isinstance(wrong, bytes) else wrong.encode()
    headers = {"Authorization": b"Bearer " + value, **from_address(2)}
    assert locked.get("/api/studies", headers=headers).status_code == 401


def test_reader_looks_and_changes_nothing(locked):
    read, write = bearer(locked, "read"), bearer(locked, "write")
    sent = locked.post("/api/studies", headers=write, content=dicom("report"))
    locked.headers.update(read)
    study = wait_until(locked, sent.json()["id"], "done")["id"]
    del locked.headers["Authorization"]
    assert locked.get(f"/api/studies/{study}/findings", headers=read).is_success
    said = {"nodule": 1, "verdict": "accepted"}
    for method, path, body in (
        ("POST", f"/api/studies/{study}/annotations", said),
        ("POST", f"/api/jobs/{study}/cancel", None),
        ("DELETE", f"/api/studies/{study}", None),
        ("POST", "/api/uploads", None),
    ):
        answer = locked.request(method, path, headers=read, json=body)
        assert answer.status_code == 403, path
    assert locked.get("/api/audit", headers=read).status_code == 403
    assert locked.get("/api/audit", headers=write).is_success


def test_readers_opinion_is_changed_by_nobody_else(locked):
    write = bearer(locked, "write")
    sent = locked.post("/api/studies", headers=write, content=dicom("report\n"))
    locked.headers.update(write)
    study = wait_until(locked, sent.json()["id"], "done")["id"]
    said = {"nodule": 1, "verdict": "accepted"}
    mine = locked.post(f"/api/studies/{study}/annotations", json=said).json()
    del locked.headers["Authorization"]
    assert mine["reader"] == "writeer"
    other = Tokens(locked.jobs.database).add("other", "write")
    headers = {"Authorization": f"Bearer {other}"}
    url = f"/api/studies/{study}/annotations/{mine['id']}"
    answer = locked.put(url, headers=headers, json={"diameter_mm": 1})
    assert (answer.status_code, "another reader" in answer.text) == (403, True)
    assert locked.delete(url, headers=headers).status_code == 403


def test_guessing_is_slowed_down(locked):
    here = from_address(3)
    answers = [
        locked.get("/api/studies", headers={"Authorization": f"Bearer x{n}", **here})
        for n in range(12)
    ]
    assert [a.status_code for a in answers[:10]] == [401] * 10
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    right = {**bearer(locked, "read"), **here}
    assert locked.get("/api/studies", headers=right).status_code == 429
    for _ in range(11):
        last = locked.post("/api/session", json={"token": "x"}, headers=from_address(4))
    assert last.status_code == 429
    elsewhere = {**bearer(locked, "read"), **from_address(5)}
    assert locked.get("/api/studies", headers=elsewhere).status_code == 200


def test_signed_in_browser_is_known_by_its_cookie_alone(locked):
    answer = locked.post(
        "/api/session", json={"token": locked.tokens["read"]}, headers=from_address(6)
    )
    cookie = answer.headers["set-cookie"]
    for word in ("HttpOnly", "SameSite=strict", "Secure", "Path=/"):
        assert word in cookie
    value = re.search(f"{COOKIE}=([^;]+)", cookie)[1]
    assert locked.tokens["read"] not in cookie
    locked.cookies.clear()
    headers = {"Cookie": f"{COOKIE}={value}"}
    assert locked.get("/api/session", headers=headers).json()["name"] == "reader"
    assert locked.get("/api/studies", headers=headers).status_code == 200
    forged = value[:-1] + ("0" if value[-1] != "0" else "1")
    for other in (forged, "a.b", "", "..", "YWRtaW4=.99999999999.0"):
        headers = {"Cookie": f"{COOKIE}={other}", **from_address(7)}
        assert locked.get("/api/studies", headers=headers).status_code == 401


def test_token_is_hashed_at_rest(locked):
    data = locked.jobs.store.data
    for path in data.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for token in locked.tokens.values():
                assert token.encode() not in content, path.name
    for name in ("secret", "hilum.sqlite", "hilum.sqlite-wal", "jobs.sqlite"):
        assert stat.S_IMODE((data / name).stat().st_mode) == 0o600, name
    rows = sqlite3.connect(data / "hilum.sqlite").execute("SELECT * FROM hilum_tokens")
    assert all(len(row[2]) == 64 for row in rows)


@pytest.mark.parametrize(
    ("name", "role", "said"),
    [
        ("local", "read", "may not be called"),
        ("a b", "read", "may not be called"),
        ("a", "admin", "Unknown role"),
        ("reader", "read", "already"),
    ],
)
def test_odd_token_is_refused(locked, name, role, said):
    with pytest.raises(InputError, match=said):
        Tokens(locked.jobs.database).add(name, role)


def test_refused_are_noted_too(locked):
    locked.get("/api/audit", headers=from_address(8))
    log = locked.get("/api/audit", headers=bearer(locked, "write")).json()["entries"]
    assert {"nobody"} <= {entry["who"] for entry in log}
    assert {401} <= {entry["status"] for entry in log}


def test_session_ends_with_its_token_and_its_hour(locked):
    sessions = Sessions(b"k", hours=1)
    assert sessions.read(sessions.make("a.b@c")) == "a.b@c"
    assert Sessions(b"other", hours=1).read(sessions.make("a")) is None
    assert Sessions(b"k", hours=-1).read(Sessions(b"k", hours=-1).make("a")) is None
    tokens = Tokens(locked.jobs.database)
    token = tokens.add("short", "read")
    assert tokens.find(token) == tokens.named("short") == User("short", "read")
    tokens.remove("short")
    assert tokens.find(token) is None
    assert tokens.named("short") is None
    with pytest.raises(InputError, match="no token"):
        tokens.remove("short")
