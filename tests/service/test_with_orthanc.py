"""A real PACS, Orthanc: it sends a study, gets documents, and is asked for priors."""

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import pydicom
import pytest
from dicom_beside import make_beside
from dicom_maker import PATIENT_ID, STUDY, SeriesSpec, make_series, write_slice
from orthanc import free_port, need, running_orthanc
from pacs_peers import listening, run

import hilum
from hilum.dicomweb import Server, fetch_series, parse_address
from hilum.errors import HilumError, InputError
from hilum.service.pacs import (
    Peer,
    Prior,
    StoreTarget,
    StowTarget,
    fetch_study,
    find_priors,
    request_move,
)
from hilum.service.pacs.peers import PeerError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        # pynetdicom lets go of a socket that found nobody without closing it
        "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
    ),
]
PRIOR = f"{STUDY}.50"
NOW = SeriesSpec(tags={"StudyDate": "20030101"})
BEFORE = replace(
    NOW, study_uid=PRIOR, series_uid=f"{PRIOR}.1", tags={"StudyDate": "20020101"}
)


@dataclass
class Delivery:
    documents: dict[str, Path] = field(default_factory=dict)


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    """An Orthanc with two studies of one patient, and one of somebody else."""
    folder = tmp_path_factory.mktemp("orthanc")
    scans = tmp_path_factory.mktemp("scans")
    with running_orthanc(folder) as server:
        other = replace(
            NOW,
            study_uid=f"{STUDY}.60",
            series_uid=f"{STUDY}.60.1",
            tags={"StudyDate": "20020101", "PatientID": f"{PATIENT_ID}-2"},
            shape=(2, 16, 20),
        )
        for name, spec in (("now", NOW), ("before", BEFORE), ("other", other)):
            make_series(scans / name, spec)
        peer = ("-aec", "ORTHANC", "127.0.0.1", server.dicom_port)
        run(need("dcmsend"), "+sd", "+r", *peer, scans)
        yield server, scans


def peer_of(server):
    return Peer("ORTHANC", "127.0.0.1", server.dicom_port)


def call(server, method, path, body):
    request = Request(server.url + path, json.dumps(body).encode(), method=method)
    with urlopen(request, timeout=60) as answer:
        return answer.read()


def introduce(server, node, name="hilum"):
    """Tell Orthanc where the node is."""
    call(
        server,
        "PUT",
        f"/modalities/{name}",
        {"AET": "HILUM", "Host": "127.0.0.1", "Port": node.port},
    )


def find_study(server, uid):
    query = {"Level": "Study", "Query": {"StudyInstanceUID": uid}}
    (found,) = json.loads(call(server, "POST", "/tools/find", query))
    return found


def test_it_sends_a_study_and_gets_documents_back(orthanc, tmp_path):
    server, scans = orthanc
    with listening(tmp_path) as (node, kept, _):
        introduce(server, node)
        study = find_study(server, STUDY)
        call(server, "POST", "/modalities/hilum/store", [study])
        (folder,) = kept.wait()
    np.testing.assert_array_equal(
        hilum.read_ct(folder).hu, hilum.read_ct(scans / "now").hu
    )
    document, picture = make_beside("dose-report"), make_beside("seg")
    documents = {
        "json": tmp_path / "assessment.json",
        "sr": write_slice(document, tmp_path / "sr.dcm"),
        "key-images": write_slice(picture, tmp_path / "images/1.dcm").parent,
    }
    documents["json"].write_text("{}")
    for target in (
        StoreTarget(peer_of(server)),
        StoreTarget(peer_of(server)),  # again does no harm
        StowTarget(Server(parse_address(stow(server), whole_server=True))),
    ):
        target(Delivery(documents))
    for ds in (document, picture):
        assert server.find(ds.SOPInstanceUID)
        file = tmp_path / "back.dcm"
        file.write_bytes(server.file(ds.SOPInstanceUID))
        assert pydicom.dcmread(file).SeriesDescription == ds.SeriesDescription
    assert find_study(server, STUDY) == study  # in the study of the CT


def test_it_sends_what_is_complete_as_the_guide_tells_it(tmp_path):
    guide = (Path(__file__).parents[2] / "docs/how-to/orthanc.md").read_text()
    (told,) = re.findall(r"```json\n(.*?)```", guide, re.DOTALL)
    (script,) = re.findall(r"```lua\n(.*?)```", guide, re.DOTALL)
    settings = json.loads(told)
    (name,) = settings["LuaScripts"]
    assert settings["DicomModalities"]["hilum"] == ["HILUM", "127.0.0.1", 11112]
    for folder in ("orthanc", "node", "ct"):
        (tmp_path / folder).mkdir()
    lua = tmp_path / "orthanc" / name
    lua.write_text(script)
    make_series(tmp_path / "ct", replace(NOW, shape=(6, 16, 20)))
    write_slice(make_beside("dose-report"), tmp_path / "ct" / "report.dcm")
    with listening(tmp_path / "node", {"quiet_s": 2}) as (node, kept, _):
        settings["DicomModalities"]["hilum"][2] = node.port
        settings["LuaScripts"] = [str(lua)]
        with running_orthanc(tmp_path / "orthanc", **settings, StableAge=1) as server:
            peer = ("-aec", "ORTHANC", "127.0.0.1", server.dicom_port)
            run(need("dcmsend"), "+sd", "+r", *peer, tmp_path / "ct")
            (folder,) = kept.wait(quiet=True)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [pydicom.dcmread(f).Modality for f in files] == ["CT"] * 6  # no report


def stow(server):
    return server.dicomweb.replace("http", "dicomweb", 1)


def test_stow_alone(orthanc, tmp_path):
    server, _ = orthanc
    ds = make_beside("dose-report")
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{STUDY}.88"
    target = StowTarget(Server(parse_address(stow(server), whole_server=True)))
    target(Delivery({"sr": write_slice(ds, tmp_path / "sr.dcm")}))
    assert server.find(ds.SOPInstanceUID)
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(bytes(128) + b"DICM" + b"nothing")
    with pytest.raises(InputError, match=r"refuses|answers 4"):
        target(Delivery({"sr": broken}))


def test_nothing_to_send_needs_no_node(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    nobody = Peer("NOBODY", "127.0.0.1", free_port(), timeout_s=5)
    StoreTarget(nobody)(Delivery({"json": tmp_path / "a.json"}))


def test_priors_are_found_and_fetched(orthanc, tmp_path):
    server, scans = orthanc
    archive = peer_of(server)
    with listening(tmp_path) as (node, kept, _):
        introduce(server, node)
        found = find_priors(archive, PATIENT_ID, before="20030101")
        assert found == (Prior(PRIOR, "20020101"),)
        assert find_priors(archive, PATIENT_ID, before="20020101") == ()
        assert find_priors(archive, "PID-7731", before="20030101") == ()
        (tmp_path / "got").mkdir()
        assert fetch_study(archive, PRIOR, tmp_path / "got") == 30
        request_move(archive, PRIOR, "HILUM")
        (moved,) = kept.wait()
    volume = hilum.read_ct(scans / "before")
    for folder in (tmp_path / "got", moved):
        np.testing.assert_array_equal(hilum.read_ct(folder).hu, volume.hu)


def test_what_an_archive_refuses_is_said(orthanc):
    server, _ = orthanc
    archive = peer_of(server)
    for odd in ("", "  ", "PID*", "PID-77?1", "A\\B"):
        with pytest.raises(InputError, match="other patients"):
            find_priors(archive, odd, before="20030101")
    with pytest.raises(InputError, match="no UID"):
        request_move(archive, "1.2.*", "HILUM")
    with pytest.raises(PeerError, match="answers"):
        request_move(archive, PRIOR, "UNKNOWN")
    with pytest.raises(PeerError, match="does not answer"):
        find_priors(
            Peer("X", "127.0.0.1", free_port(), timeout_s=5), "A", before="20030101"
        )


def test_a_study_is_read_from_dicomweb(orthanc, tmp_path):
    server, scans = orthanc
    address = f"{stow(server)}/studies/{STUDY}"
    volume = hilum.read_ct(scans / "now")
    for source in (address, Path(address), f"{address}/series/{STUDY}.1"):
        read = hilum.read_ct(source)
        np.testing.assert_array_equal(read.hu, volume.hu)
        assert read.series_uid == volume.series_uid
    assert fetch_series(Server(parse_address(address)), tmp_path) == 30
    with pytest.raises(InputError, match=r"answers 404|no CT series"):
        hilum.read_ct(f"{stow(server)}/studies/1.2.3.4")


def test_a_node_that_takes_no_documents_says_so(tmp_path):
    document = write_slice(make_beside("dose-report"), tmp_path / "sr.dcm")
    with listening(tmp_path) as (node, _, _):
        peer = Peer("HILUM", "127.0.0.1", node.port, timeout_s=5)
        with pytest.raises(InputError, match="does not take"):
            StoreTarget(peer)(Delivery({"sr": document}))
    with pytest.raises(ConnectionError, match="does not answer") as gone:
        StoreTarget(peer)(Delivery({"sr": document}))
    address = parse_address(f"dicomweb://127.0.0.1:{free_port()}", whole_server=True)
    with pytest.raises(ConnectionError, match="refused") as silent:
        StowTarget(Server(address))(Delivery({"sr": document}))
    for error in (gone.value, silent.value):
        assert not isinstance(error, HilumError)  # jobs take that for the last word
