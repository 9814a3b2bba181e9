"""The node takes CT from DCMTK and pynetdicom as it is sent, and refuses the rest."""

import logging
import socket
import threading
import time
from contextlib import closing
from dataclasses import replace
from io import BytesIO

import numpy as np
import pydicom
import pytest
from dicom_beside import make_beside
from dicom_maker import (
    IDENTITY,
    LOSSLESS,
    LOSSY,
    STUDY,
    UNCOMPRESSED,
    SeriesSpec,
    make_enhanced,
    make_series,
    make_slices,
    write_slice,
)
from orthanc import need
from pacs_peers import listening, run, until
from pydicom.uid import UID, CTImageStorage
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode

import hilum
from hilum.dicom.faults import SYNTAXES
from hilum.errors import InputError
from hilum.service.pacs import Inbox, InboxSettings, Node, NodeSettings, inbox

pytestmark = pytest.mark.filterwarnings(
    # pynetdicom lets go of a socket whose other end is gone without closing it
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
SMALL = SeriesSpec(shape=(4, 16, 20))


def dataset_bytes(path):
    """What stands behind the file meta information."""
    data = path.read_bytes()
    length = int.from_bytes(data[140:144], "little")
    return data[144 + length :]


def associate(node, *, syntaxes=(), title="HILUM", caller="SENDER", classes=()):
    entity = AE(ae_title=caller)
    for sop_class in classes or (CTImageStorage,):
        entity.add_requested_context(sop_class, list(syntaxes) or None)
    return entity.associate("127.0.0.1", node.port, ae_title=title)


def test_echo_and_store_by_dcmtk(tmp_path):
    echoscu, storescu, dcmsend = map(need, ("echoscu", "storescu", "dcmsend"))
    one = make_series(tmp_path / "one", SMALL)
    other = replace(SMALL, study_uid=f"{STUDY}.8", series_uid=f"{STUDY}.8.1")
    two = make_series(tmp_path / "two", other)
    with listening(tmp_path) as (node, kept, _):
        where = ("-aec", "HILUM", "127.0.0.1", node.port)
        run(echoscu, *where)
        run(storescu, "+sd", *where, one)
        run(dcmsend, "+sd", *where, two)
        studies = kept.wait(2)
    for folder, source in zip(studies, (one, two), strict=True):
        assert sorted(map(dataset_bytes, folder.iterdir())) == sorted(
            map(dataset_bytes, source.iterdir())
        )


@pytest.mark.parametrize("name", sorted(UNCOMPRESSED | LOSSLESS | LOSSY))
def test_every_syntax_that_can_be_read_is_taken_as_it_is(
    node_of_module, tmp_path, name
):
    """The encoder of the test data shows that each is what it says."""
    syntax = (UNCOMPRESSED | LOSSLESS | LOSSY)[name]
    node, kept, _ = node_of_module
    spec = replace(
        SeriesSpec(shape=(1, 64, 64)),
        syntax=syntax,
        bits_stored=12,
        signed=False,
        rescale=((1.0, -1024.0),),
        study_uid=f"{STUDY}.{abs(hash(name)) % 10_000}",
    )
    (ds,) = make_slices(spec)
    path = write_slice(ds, tmp_path / "a.dcm")
    before = len(kept.studies)
    association = associate(node, syntaxes=[syntax])
    assert association.is_established
    assert association.send_c_store(path).Status == 0
    association.release()
    (file,) = kept.wait(before + 1)[-1].iterdir()
    assert pydicom.dcmread(file).file_meta.TransferSyntaxUID == syntax
    assert pydicom.dcmread(file) == pydicom.dcmread(path)


@pytest.fixture(scope="module")
def node_of_module(tmp_path_factory):
    with listening(tmp_path_factory.mktemp("node")) as found:
        yield found


def test_syntaxes_are_those_of_the_reader():
    made = {UID(s) for s in (UNCOMPRESSED | LOSSLESS | LOSSY).values()}
    assert made <= {UID(s) for s in SYNTAXES}


def test_what_arrives_reads_as_what_was_sent(tmp_path):
    source = make_series(tmp_path / "in", replace(SeriesSpec(), bits_stored=12))
    multi = write_slice(
        make_enhanced(replace(SeriesSpec(), study_uid=f"{STUDY}.6")), tmp_path / "m.dcm"
    )
    with listening(tmp_path) as (node, kept, _):
        where = ("-aec", "HILUM", "127.0.0.1", node.port)
        run(need("storescu"), "-xs", "+sd", *where, source)  # negotiates losslessly
        run(need("dcmsend"), *where, multi)
        one, two = kept.wait(2)
    for folder, path in ((one, source), (two, multi)):
        np.testing.assert_array_equal(hilum.read_ct(folder).hu, hilum.read_ct(path).hu)


def test_no_identifier_in_paths_or_logs(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    source = make_series(tmp_path / "in", SMALL)
    with listening(tmp_path) as (node, kept, _):
        run(need("storescu"), "+sd", "-aec", "HILUM", "127.0.0.1", node.port, source)
        (folder,) = kept.wait()
    shown = caplog.text + " ".join(p.name for p in folder.iterdir())
    assert not any(word in shown for word in (*IDENTITY, STUDY))
    assert (tmp_path / "arriving/key").stat().st_mode & 0o777 == 0o600


def test_only_whom_we_know_by_the_name_we_have(tmp_path):
    with listening(tmp_path, callers=("SENDER",)) as (node, _, _):
        assert associate(node).is_established
        assert associate(node, caller="STRANGER").is_rejected
        assert associate(node, title="OTHER").is_rejected
    with listening(tmp_path, any_called=True) as (node, _, _):
        assert associate(node, title="OTHER", caller="STRANGER").is_established


def test_no_more_associations_than_allowed(tmp_path):
    with listening(tmp_path, most_associations=2) as (node, _, _):
        first, second = associate(node), associate(node)
        assert first.is_established
        assert second.is_established
        assert associate(node).is_rejected
        first.release()
        until(lambda: associate(node).is_established)


def send_raw(association, ds, *, sop_class=None, instance=None, data=None):
    """Send what `send_c_store` would refuse to send."""
    context = association.accepted_contexts[0]
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID = sop_class or ds.SOPClassUID
    request.AffectedSOPInstanceUID = instance or ds.SOPInstanceUID
    implicit = context.transfer_syntax[0].is_implicit_VR
    request.DataSet = BytesIO(data or encode(ds, implicit, True))
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, context.context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return answer.Status


def test_strays_are_refused_with_the_right_status(tmp_path):
    (ds, *_) = make_slices(SMALL)
    with listening(tmp_path, most_bytes=30_000) as (node, kept, box):
        mr = make_beside("mr")
        association = associate(node, classes=[mr.SOPClassUID, CTImageStorage])
        assert [c.abstract_syntax for c in association.accepted_contexts] == [
            CTImageStorage
        ]
        association.release()
        association = associate(node, syntaxes=["1.2.840.10008.1.2"])
        assert send_raw(association, mr) == 0x0122
        assert send_raw(association, mr, sop_class=CTImageStorage) == 0xA900
        assert send_raw(association, ds, instance="1.2.3") == 0xA900
        assert send_raw(association, ds, data=b"no data set at all") == 0xC000
        assert send_raw(association, ds, data=b"\x08\0\x05\0\xff\xff\xff\x7f") == 0xC000
        large = make_slices(replace(SMALL, shape=(1, 128, 160)))[0]
        assert send_raw(association, large) == 0xA700
        assert association.is_established
        assert send_raw(association, ds) == 0
        association.release()
        (folder,) = kept.wait()
        assert box.waiting == 0
    assert len(list(folder.iterdir())) == 1


def test_an_endless_data_set_ends_its_association(tmp_path):
    large = make_slices(replace(SMALL, shape=(1, 256, 320)))[0]
    with listening(tmp_path, most_bytes=30_000) as (node, _, box):
        association = associate(node)
        association.send_c_store(large)
        until(lambda: association.is_aborted)
        assert box.waiting == 0
        assert associate(node).is_established


def test_a_full_disk_and_full_studies(tmp_path):
    slices = make_slices(SMALL)
    with listening(tmp_path, {"most_files": 2}) as (node, kept, _):
        association = associate(node)
        assert [association.send_c_store(ds).Status for ds in slices] == [
            *(0, 0),
            *(0xA700, 0xA700),
        ]
        association.release()
        kept.wait()
    with listening(tmp_path, {"free_bytes": 1 << 60}) as (node, _, box):
        association = associate(node)
        assert association.send_c_store(slices[0]).Status == 0xA700
        assert box.waiting == 0


def test_two_send_the_same_study_at_once(tmp_path):
    slices = make_slices(replace(SMALL, shape=(30, 16, 20)))
    statuses = []

    def send(node):
        association = associate(node)
        statuses.extend(association.send_c_store(ds).Status for ds in slices)
        association.release()

    with listening(tmp_path) as (node, kept, _):
        senders = [threading.Thread(target=send, args=(node,)) for _ in range(2)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        (folder,) = kept.wait()
        assert statuses == [0] * 60
    found = {pydicom.dcmread(p).SOPInstanceUID for p in folder.iterdir()}
    assert found == {ds.SOPInstanceUID for ds in slices}
    assert len(list(folder.iterdir())) == 30


def test_a_study_is_complete_when_nothing_comes_any_more(tmp_path):
    (ds, *_) = make_slices(SMALL)
    with listening(tmp_path, {"quiet_s": 0.5}) as (node, kept, _):
        association = associate(node)
        association.send_c_store(ds)
        kept.wait(quiet=True)
        assert association.is_established  # many senders never let go
        association.release()


def test_a_study_that_broke_off_waits_for_its_rest(tmp_path):
    slices = make_slices(SMALL)
    with listening(tmp_path, {"quiet_s": 60, "broken_s": 600}) as (node, kept, box):
        association = associate(node)
        for ds in slices[:2]:
            association.send_c_store(ds)
        association.abort()
        until(lambda: next(iter(box._studies.values())).due_s > time.monotonic() + 300)
        association = associate(node)
        for ds in slices:
            assert association.send_c_store(ds).Status == 0
        association.release()
        (folder,) = kept.wait()
    assert len(list(folder.iterdir())) == 4


def test_a_sender_that_is_gone_counts_as_broken(tmp_path):
    (ds, *_) = make_slices(SMALL)
    with listening(tmp_path, {"broken_s": 0.3}) as (node, kept, _):
        association = associate(node)
        association.send_c_store(ds)
        with closing(association.dul.socket.socket) as line:
            line.shutdown(socket.SHUT_RDWR)
            kept.wait(quiet=True)


def test_a_study_that_cannot_be_handed_over_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(inbox, "_RETRIES_S", 0.2)
    with listening(tmp_path) as (node, kept, box):
        kept.failures = 2
        association = associate(node)
        association.send_c_store(make_slices(SMALL)[0])
        association.release()
        kept.wait()
        until(lambda: not box.waiting)
    assert kept.failures == 0


def test_what_was_arriving_is_taken_up_after_a_crash(tmp_path):
    slices = make_slices(SMALL)
    with listening(tmp_path) as (node, kept, box):
        association = associate(node)
        for ds in slices[:3]:
            association.send_c_store(ds)
        association.release()
        assert box.waiting == 1
    (folder,) = [p for p in (tmp_path / "arriving").iterdir() if p.is_dir()]
    (folder / ".0123456789abcdef").write_bytes(b"half of a file")
    (tmp_path / "arriving/empty-0").mkdir()
    with listening(tmp_path) as (node, kept, box):
        assert box.waiting == 1
        association = associate(node)
        association.send_c_store(slices[3])  # joins what is there
        association.release()
        (folder,) = kept.wait()
    assert len(list(folder.iterdir())) == 4


def test_the_same_port_twice_is_an_error(tmp_path):
    with (
        listening(tmp_path) as (node, _, box),
        pytest.raises(InputError, match="Cannot listen at"),
        Node(NodeSettings(port=node.port), box),
    ):
        pass


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"title": "A\\B"}, "AE title"),
        ({"title": ""}, "AE title"),
        ({"callers": ("SEVENTEEN LETTERS",)}, "AE title"),
        ({"port": 65536}, "0 to 65535"),
        ({"most_associations": 0}, "above 0"),
    ],
)
def test_odd_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        NodeSettings(**settings)


def test_an_inbox_needs_a_folder_and_limits(tmp_path):
    with pytest.raises(InputError, match="above 0"):
        InboxSettings(folder=tmp_path, quiet_s=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Cannot receive into `file`"):
        Inbox(InboxSettings(folder=tmp_path / "file"), print)


def test_a_file_name_tells_nothing_without_the_key(tmp_path):
    names = []
    for place in (tmp_path / "a", tmp_path / "b"):
        place.mkdir()
        with listening(place) as (node, kept, _):
            association = associate(node)
            association.send_c_store(make_slices(SMALL)[0])
            association.release()
            names += [p.name for p in kept.wait()[0].iterdir()]
    assert len(names) == 2
    assert names[0] != names[1]
