"""Chromium for the tests of pages: found, started, and listened to."""

import shutil
from contextlib import contextmanager
from importlib.util import find_spec

from needs import miss

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
FLAT = ("--disable-gpu",)
"""For pages that draw nothing in three dimensions."""

WEBGL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
"""For the viewer of the service, without a graphics card."""


def executable():
    """Find Chromium, or skip; in CI it has to be there."""
    if find_spec("playwright") is None:
        miss("playwright is not installed")
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        miss("no Chromium on the PATH")
    return found


@contextmanager
def launched(*more):
    """Start a browser; its event loop must not outlive the tests of a module.

    Args:
        more: Arguments beside `ARGUMENTS`: those of `FLAT` or of `WEBGL`.
    """
    path = executable()
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  may be absent

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=[*ARGUMENTS, *more]
        )
        yield browser
        browser.close()


def heard(page):
    """Gather what a page complains about and asks for, from now on."""
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url))
    return said
