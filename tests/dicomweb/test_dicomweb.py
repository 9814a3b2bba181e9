"""A DICOMweb client that goes where it was sent, and keeps its token to itself."""

import errno
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from dicom_maker import SERIES, STUDY, SeriesSpec, make_series
from hypothesis import given
from hypothesis import strategies as st
from orthanc import free_port

import hilum
from hilum import cli, dicomweb
from hilum.dicomweb import (
    Server,
    UnreachableError,
    fetch_series,
    is_dicomweb,
    parse_address,
    read_token,
    retrieve,
    send_files,
)
from hilum.errors import InputError
from hilum.sources import local_source

SERIES_LIST = [
    {"0020000E": {"Value": [SERIES]}, "00080060": {"Value": ["CT"]}},
    {"0020000E": {"Value": ["1.2.3"]}, "00080060": {"Value": ["SR"]}},
]


@contextmanager
def serving(answer):
    """Run a server; `answer(handler)` gives (status, headers, body)."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            length = int(self.headers.get("Content-Length") or 0)
            asked.append((self.path, dict(self.headers), self.rfile.read(length)))
            status, headers, body = answer(self)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"dicomweb://127.0.0.1:{server.server_port}/pacs", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def multipart(parts, *, boundary="a b", preamble=b"", tail=b"--\r\nrest"):
    lines = [preamble]
    for part in parts:
        lines.append(
            f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        )
        lines += [part, b"\r\n"]
    lines += [f"--{boundary}".encode(), tail]
    kind = f'multipart/related; type="application/dicom"; boundary="{boundary}"'
    return 200, {"Content-Type": kind}, b"".join(lines)


def archive(parts, **form):
    """Answer QIDO with a CT and an SR series, and WADO with parts."""

    def answer(handler):
        if handler.path.endswith("/series"):
            return 200, {}, json.dumps(SERIES_LIST).encode()
        return multipart(parts, **form)

    return answer


def test_only_the_ct_of_the_study_is_fetched(tmp_path):
    source = make_series(tmp_path / "in")
    parts = [path.read_bytes() for path in sorted(source.iterdir())]
    with serving(archive(parts)) as (root, asked):
        volume = hilum.read_ct(f"{root}/studies/{STUDY}")
    np.testing.assert_array_equal(volume.hu, hilum.read_ct(source).hu)
    assert [path for path, _, _ in asked] == [
        f"/pacs/studies/{STUDY}/series",
        f"/pacs/studies/{STUDY}/series/{SERIES}",
    ]
    assert "transfer-syntax=*" in asked[1][1]["Accept"]


PARTS = st.lists(st.binary(max_size=300), min_size=1, max_size=4)


@given(PARTS, st.binary(max_size=20), st.integers(1, 40))
def test_parts_are_what_was_sent(tmp_path_factory, parts, preamble, piece):
    """Wherever the pieces of the answer are cut."""
    if any(b"--a b" in part for part in (*parts, preamble)):
        return
    _, _, body = multipart(parts, preamble=preamble + b"\r\n")
    folder = tmp_path_factory.mktemp("parts")

    class Cut:
        data = body

        def read(self, _count):
            head, self.data = self.data[:piece], self.data[piece:]
            return head

    reader = retrieve._Parts(Cut(), b"\r\n--a b")
    assert reader.write_all(folder, 0) == len(parts)
    assert [p.read_bytes() for p in sorted(folder.iterdir())] == parts


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((404, {}, b""), "404: it has nothing at that address"),
        ((401, {}, b""), "HILUM_DICOMWEB_TOKEN"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "do not follow"),
        ((204, {}, b""), "no CT series"),
        ((200, {}, b"<html>"), "no DICOM JSON"),
        ((200, {}, b"{}"), "no CT series"),
        ((200, {}, b'[{"0020000E": {"Value": ["../x"]}}]'), "no CT series"),
    ],
)
def test_answers_that_are_of_no_use(answer, message):
    with (
        serving(lambda handler: answer) as (root, _),
        pytest.raises(InputError, match=message),
    ):
        hilum.read_ct(f"{root}/studies/{STUDY}")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (multipart([b"x" * 100], tail=b""), "cut short"),
        (multipart([]), "sends no files"),
        ((200, {"Content-Type": "application/json"}, b"{}"), "no multipart"),
        ((200, {"Content-Type": "multipart/related; boundary=b"}, b"--b\r\n"), "cut"),
        ((200, {"Content-Type": "multipart/related; boundary=b"}, b""), "cut short"),
    ],
)
def test_series_that_are_of_no_use(tmp_path, answer, message):
    with serving(lambda handler: answer) as (root, _):
        server = Server(parse_address(f"{root}/studies/{STUDY}/series/{SERIES}"))
        with pytest.raises(InputError, match=message):
            fetch_series(server, tmp_path)


def test_limits_hold(tmp_path, monkeypatch):
    with serving(archive([b"x" * 5000] * 3)) as (root, _):
        server = Server(parse_address(f"{root}/studies/{STUDY}"))
        monkeypatch.setattr(retrieve, "MOST_FILES", 2)
        (tmp_path / "a").mkdir()
        with pytest.raises(InputError, match="over 2 files"):
            fetch_series(server, tmp_path / "a")
        monkeypatch.setattr(retrieve, "MOST_BYTES", 4000)
        (tmp_path / "b").mkdir()
        with pytest.raises(InputError, match="Name one series"):
            fetch_series(server, tmp_path / "b")


def test_a_busy_silent_or_absent_server_may_be_tried_later(tmp_path, capsys):
    hold = threading.Event()

    def stall(handler):
        hold.wait(5)
        return 200, {}, b""

    address = f"dicomweb://127.0.0.1:{free_port()}/studies/{STUDY}"
    with pytest.raises(UnreachableError, match="Connection refused"):
        hilum.read_ct(address)
    assert cli.main(["assess", address, str(tmp_path / "out")]) == 3
    assert "cannot be used: Connection refused" in capsys.readouterr().err
    with (
        serving(lambda handler: (503, {}, b"")) as (root, _),
        pytest.raises(UnreachableError, match="503: it is busy"),
    ):
        hilum.read_ct(f"{root}/studies/{STUDY}")
    with serving(stall) as (root, _):
        server = Server(parse_address(f"{root}/studies/{STUDY}"), timeout_s=0.2)
        with pytest.raises(UnreachableError, match=r"within 0\.2 s"):
            fetch_series(server, tmp_path)
        hold.set()


def test_the_token_goes_where_it_belongs(tmp_path, monkeypatch):
    monkeypatch.setenv("HILUM_DICOMWEB_TOKEN", "secret-7")
    with (
        serving(lambda handler: (204, {}, b"")) as (root, asked),
        pytest.raises(InputError, match="no CT series"),
    ):
        hilum.read_ct(f"{root}/studies/{STUDY}")
    assert asked[0][1]["Authorization"] == "Bearer secret-7"
    plain = parse_address("dicomweb://pacs.example.org/studies/1.2")
    with pytest.raises(InputError, match="unencrypted"):
        Server(plain, read_token())
    secure = parse_address("dicomwebs://pacs.example.org/studies/1.2")
    assert "secret" not in repr(Server(secure, read_token()))
    assert (secure.port, plain.port) == (443, 80)
    monkeypatch.delenv("HILUM_DICOMWEB_TOKEN")
    assert read_token() is None
    (tmp_path / "token").write_text("secret-8\n")
    monkeypatch.setenv("HILUM_DICOMWEB_TOKEN_FILE", str(tmp_path / "token"))
    assert read_token() == "secret-8"
    monkeypatch.setenv("HILUM_DICOMWEB_TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(InputError, match="cannot be read"):
        read_token()
    monkeypatch.setenv("HILUM_DICOMWEB_TOKEN", "two\nlines")
    with pytest.raises(InputError, match="characters"):
        read_token()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://host/studies/1.2", "no DICOMweb addr"),
        ("dicomweb://host", "names no study"),
        ("dicomweb://host/studies/abc", "names no study"),
        ("dicomweb://host/studies/1.2/instances/1", "names no study"),
        ("dicomweb://host/studies/1.2/series/x", "names no study"),
        ("dicomweb://user:pw@host/studies/1.2", "no user"),
        ("dicomweb://host/studies/1.2?a=b", "question mark"),
        ("dicomweb://host:99999/studies/1.2", "cannot be read"),
        ("dicomweb://host/../studies/1.2", "no path"),
        ("dicomweb://host/a b/studies/1.2", "no path"),
    ],
)
def test_odd_addresses_are_refused(address, message):
    with pytest.raises(InputError, match=message):
        parse_address(address)
    assert is_dicomweb(address) == address.startswith("dicomweb")


def test_addresses_by_hand():
    address = parse_address("dicomwebs:/host:8443/a/b/studies/1.2/series/3.4/")
    assert (address.secure, address.host, address.port) == (True, "host", 8443)
    assert (address.root, address.study_uid, address.series_uid) == (
        "/a/b",
        "1.2",
        "3.4",
    )


def test_stow_counts_what_was_refused(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"A" * 10)
    (tmp_path / "b.dcm").write_bytes(b"B" * 20)
    files = [tmp_path / "a.dcm", tmp_path / "b.dcm"]
    failed = {"00081198": {"vr": "SQ", "Value": [{}]}}
    for body, is_fine in ((b"", True), (json.dumps(failed).encode(), False)):
        answer = (200, {}, body)
        with serving(lambda handler, answer=answer: answer) as (root, asked):
            server = Server(parse_address(root, whole_server=True))
            if is_fine:
                send_files(server, files)
            else:
                with pytest.raises(InputError, match="refuses 1 of 2"):
                    send_files(server, files)
        ((path, headers, sent),) = asked
        assert path == "/pacs/studies"
        boundary = headers["Content-Type"].rpartition("boundary=")[2].encode()
        head = b"\r\nContent-Type: application/dicom\r\n\r\n"
        assert sent == (
            b"--" + boundary + head + b"A" * 10 + b"\r\n--" + boundary + head
            + b"B" * 20 + b"\r\n--" + boundary + b"--\r\n"
        )  # fmt: skip


def test_what_was_fetched_stays_while_it_is_needed(tmp_path):
    source = make_series(tmp_path / "in", SeriesSpec(shape=(2, 16, 20)))
    parts = [path.read_bytes() for path in sorted(source.iterdir())]
    with (
        serving(archive(parts)) as (root, _),
        local_source(f"{root}/studies/{STUDY}") as folder,
    ):
        assert [p.read_bytes() for p in sorted(folder.iterdir())] == parts
    assert not folder.exists()
    with local_source(source) as place:
        assert place == source
    assert source.exists()


def test_no_room_for_what_is_fetched(monkeypatch):
    def fill_up(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(dicomweb, "fetch_series", fill_up)
    with pytest.raises(InputError, match=r"No space left on device.*TMPDIR"):
        hilum.read_ct(f"dicomweb://127.0.0.1:{free_port()}/studies/{STUDY}")
