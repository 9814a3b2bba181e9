"""Schemathesis asks what the OpenAPI description allows, and what it forbids.

Two of its checks are left out: `positive_data_acceptance`, because whether bytes are a
CT and whether a point lies in the scan cannot be said in a schema (such requests get
415 and 422, as described); and `unsupported_method`, which wants 405 where the guard
answers first.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from web_service import dicom, running, wait_until

from hilum.service.web.settings import WebSettings

SCHEMATHESIS = shutil.which("schemathesis", path=str(Path(sys.executable).parent))


@pytest.mark.slow
def test_api_keeps_what_its_description_says(tmp_path):
    if SCHEMATHESIS is None:
        pytest.skip("schemathesis is not installed")
    settings = WebSettings(requests_per_s=1e6, upload_gb=0.01)
    with (
        running(tmp_path / "data") as service,
        service.client(settings) as client,
    ):
        sent = client.post("/api/studies", content=dicom("report")).json()
        wait_until(client, sent["id"], "done")
        said = subprocess.run(
            [
                SCHEMATHESIS,
                "run",
                f"{client.base_url}/api/openapi.json",
                "--phases=coverage",
                "--max-examples=2",
                "--seed=7",
                "--no-color",
                "--exclude-checks=positive_data_acceptance,unsupported_method",
                "--generation-database=none",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert said.returncode == 0, said.stdout[-6000:]
    assert "Tested: 2" in said.stdout  # twenty operations and more
