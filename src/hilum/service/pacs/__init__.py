"""A DICOM node in the hospital network: studies arrive, results go back.

`Node` answers C-ECHO and takes CT by C-STORE into an `Inbox`, which hands over each
study once it is complete. `StoreTarget` and `StowTarget` send documents back, and
`priors` asks an archive for earlier studies. What is done with a study is not known
here: an inbox is given a function, such as `Jobs.submit`.

No name, ID or UID of a patient stands in a path or a log: files and folders are named
by a keyed digest of their UIDs.

Sources:
    DICOM PS3.4 Annex B (storage), C (query and retrieve), PS3.7 Annex C (status).
"""

from __future__ import annotations

from hilum.service.pacs.inbox import Inbox, InboxSettings
from hilum.service.pacs.intake import Intake
from hilum.service.pacs.node import Node, NodeSettings
from hilum.service.pacs.peers import Peer, parse_peer
from hilum.service.pacs.priors import Prior, fetch_study, find_priors, request_move
from hilum.service.pacs.targets import StoreTarget, StowTarget

__all__ = [
    "Inbox",
    "InboxSettings",
    "Intake",
    "Node",
    "NodeSettings",
    "Peer",
    "Prior",
    "StoreTarget",
    "StowTarget",
    "fetch_study",
    "find_priors",
    "parse_peer",
    "request_move",
]
