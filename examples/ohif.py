"""Serve the OHIF viewer in front of a DICOMweb server, from one address.

OHIF is a folder of files (npm package `@ohif/app`, folder `dist`); the server is any
with DICOMweb, such as Orthanc. Viewer and server must seem to be one, and the pages
must be isolated for the viewer's threads, so this gives both from one port of this
computer, with the headers that browsers ask for. See docs/how-to/ohif.md.

    python examples/ohif.py DIST http://127.0.0.1:8042/dicom-web --port 3000
"""

from __future__ import annotations

import argparse
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

CONFIG = """
window.config = {
  routerBasename: '/', extensions: [], modes: [], showStudyList: true,
  maxNumberOfWebWorkers: 2, showWarningMessageForCrossOrigin: true,
  showCPUFallbackMessage: true, showLoadingIndicator: true,
  strictZSpacingForVolumeViewport: true,
  investigationalUseDialog: { option: 'never' },
  defaultDataSourceName: 'here',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
    sourceName: 'here',
    configuration: {
      friendlyName: 'here', name: 'here',
      wadoUriRoot: '/dicom-web', qidoRoot: '/dicom-web', wadoRoot: '/dicom-web',
      qidoSupportsIncludeField: false, supportsReject: false,
      imageRendering: 'wadors', thumbnailRendering: 'wadors',
      enableStudyLazyLoad: true, supportsFuzzyMatching: false,
      supportsWildcard: true, dicomUploadEnabled: false,
      omitQuotationForMultipartRequest: true,
    },
  }],
};
"""
ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Viewer(SimpleHTTPRequestHandler):
    """The files of the viewer, and whatever is asked of its server."""

    def __init__(self, *args: object, server_url: str, directory: str) -> None:
        self.server_url = server_url
        super().__init__(*args, directory=directory)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Give a file, or the server's answer."""
        if self.path.startswith("/dicom-web"):
            self.ask(None)
        elif self.path.startswith("/app-config.js"):
            self.give(CONFIG.encode(), "text/javascript")
        else:
            path = Path(self.translate_path(self.path))
            if not path.is_file():  # a route inside the viewer
                self.path = "/index.html"
            super().do_GET()

    def do_POST(self) -> None:
        """Pass on what is sent to the server."""
        self.ask(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def ask(self, body: bytes | None) -> None:
        """Ask the server, and give its answer as if it were ours."""
        request = Request(self.server_url + self.path[len("/dicom-web") :], body)
        for name in ("Accept", "Content-Type"):
            if self.headers.get(name):
                request.add_header(name, self.headers[name])
        try:
            with urlopen(request, timeout=60) as answer:
                kind = answer.headers.get("Content-Type", "application/json")
                self.give(answer.read(), kind)
        except HTTPError as error:
            self.give(error.read(), "text/plain", error.code)

    def give(self, body: bytes, kind: str, status: int = HTTPStatus.OK) -> None:
        """Give bytes."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        """Isolate every page."""
        for name, value in ISOLATED.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing of each request."""


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dist", type=Path, help="folder `dist` of @ohif/app")
    parser.add_argument("server", help="address of DICOMweb")
    parser.add_argument("--port", type=int, default=3000)
    args = parser.parse_args()
    handler = partial(
        Viewer, server_url=args.server.rstrip("/"), directory=str(args.dist)
    )
    with ThreadingHTTPServer(("127.0.0.1", args.port), handler) as server:
        print(f"http://127.0.0.1:{args.port}/")
        server.serve_forever()


if __name__ == "__main__":
    main()
