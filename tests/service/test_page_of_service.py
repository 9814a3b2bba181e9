"""The page in a real browser: from the upload to the export."""

import io
import json
import re
import sys
import time
import zipfile

import pytest
from chromium import WEBGL, launched
from web_service import dicom, running, wait_until

from hilum.datasets.scans import read_annotations
from hilum.service.records.tokens import Tokens
from hilum.service.web.settings import WebSettings

pytestmark = pytest.mark.browser
SMALL = {"width": 960, "height": 640}
"""Without a graphics card every pixel costs, so most tests have fewer."""

DESK = {"width": 1280, "height": 800}
TABLET = {"width": 820, "height": 1180}
PLACE = [20.0, 10.0, -150.0]
"""Where the fake assessor has its nodule, 22.9 mm across, in LPS."""


@pytest.fixture(scope="module")
def browser(client):  # the jobs are started first: playwright has an event loop
    with launched(*WEBGL) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with (
        running(tmp_path_factory.mktemp("data")) as service,
        service.client(WebSettings()) as client,
    ):
        yield client


@pytest.fixture
def page(browser, client):
    """A page that complains when the browser does."""
    context = browser.new_context(viewport=SMALL, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    said = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "console",
        lambda message: message.type == "error" and said.append(message.text),
    )
    page.goto(str(client.base_url))
    yield page
    context.close()
    # what is no slice is sent, refused and left out, and so is what cannot be trained;
    # and the list may be asked for once more while somebody signs out
    refused = ("status of 415", "status of 400", "status of 401")
    assert [text for text in said if not any(r in text for r in refused)] == []


def open_study(page, client, text):
    sent = client.post("/api/studies", content=dicom(text)).json()
    study = wait_until(client, sent["id"], "done")["id"]
    page.goto("about:blank")  # or else the page of before would still be ready
    page.goto(f"{client.base_url}/#/study/{study}?small")
    page.wait_for_selector(".stage[data-ready]")
    return study


def wait_for(page, expression):
    """Wait until it holds; the policy of the page forbids `wait_for_function`."""
    end = time.monotonic() + 60
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        time.sleep(0.05)


def test_from_upload_to_export(page, client, tmp_path):
    folder, go = tmp_path / "DOE_JANE", tmp_path / "go"
    folder.mkdir()
    for number, text in enumerate((f"wait {go}", "report")):
        (folder / f"{number}.dcm").write_bytes(dicom(text))
    (folder / "notes.txt").write_text("beside the slices" * 50)
    (folder / ".DS_Store").write_text("junk")
    page.set_input_files("#folder", folder)
    # progress
    row = page.locator("#worklist tbody tr", has_text="running")
    row.wait_for()
    assert row.locator("progress").count() == 1
    assert "left" in row.inner_text()
    go.touch()
    # verdict
    row = page.locator("#worklist tbody tr[data-state=done]")
    row.wait_for()
    assert "25 %, 1 nodule" in row.inner_text()
    assert "DOE" not in page.content()
    # viewer shows the nodule at the right voxel
    study = row.get_attribute("data-id")
    page.goto(f"{client.base_url}/#/study/{study}?small")
    page.wait_for_selector(".stage[data-ready]")
    assert page.locator("#probability").inner_text() == "34 %"
    # by hand, as in the tests of the API: slice 25, row 50, column 65
    assert page.evaluate("hilum.viewer.voxel()") == [25, 50, 65]
    assert page.evaluate("hilum.viewer.position()") == pytest.approx(PLACE, abs=0.6)
    assert page.locator(".where").inner_text().endswith("50 HU")
    shown = page.evaluate(BRIGHT)
    assert shown["there"] > 1.5 * shown["beside"] > 0
    # reject
    page.keyboard.press("r")
    page.locator("#findings li[data-kind=rejected]").wait_for()
    result = client.get(f"/api/studies/{study}/result").json()
    assert len(result["nodules"]) == 1
    # add one of one's own, where the cross is put
    page.evaluate("hilum.viewer.goTo([-20, -5, -170])")
    page.click("#add")
    page.locator("#findings li[data-kind=added]").wait_for()
    page.fill("input[type=number]", "8.5")
    page.keyboard.press("Enter")
    page.locator("#findings li", has_text="8.5 mm").wait_for()
    # export
    page.goto(str(client.base_url))
    with page.expect_download() as download:
        page.click("text=Export annotations")
    path = tmp_path / "annotations.csv"
    download.value.save_as(path)
    (annotation,) = read_annotations(path)[0]
    assert (annotation.series_uid, annotation.diameter_mm) == ("1.2.3", 8.5)
    assert annotation.center_mm == pytest.approx((-20, -5, -170), abs=1.1)


BRIGHT = """() => {
  // grey under the cross and 15 mm beside it, as it is drawn on the axial tile
  const { nv, canvas } = hilum.viewer;
  hilum.viewer.showOverlays(false);
  nv.drawScene();
  const pen = document.createElement("canvas").getContext("2d");
  [pen.canvas.width, pen.canvas.height] = [canvas.width, canvas.height];
  pen.drawImage(canvas, 0, 0);
  const tile = nv.screenSlices.find((t) => t.axCorSag === 0);
  const [x, y] = nv.frac2mm(nv.scene.crosshairPos);
  const at = (right, up) => {
    let [left, top, width, height] = tile.leftTopWidthHeight;
    const mirrored = width < 0;
    if (mirrored) [left, width] = [left + width, -width];
    const share = (right - tile.leftTopMM[0]) / tile.fovMM[0];
    const px = left + (mirrored ? 1 - share : share) * width;
    const py = top + (1 - (up - tile.leftTopMM[1]) / tile.fovMM[1]) * height;
    return pen.getImageData(Math.round(px), Math.round(py), 1, 1).data[0];
  };
  return { there: at(x, y), beside: at(x + 15, y) };
}"""


RIGHT = """() => {
  hilum.viewer.draw();
  const tile = hilum.viewer.nv.screenSlices.find((t) => t.axCorSag === 0);
  const [left, , width] = tile.leftTopWidthHeight;
  const pen = hilum.viewer.circles.getContext("2d");
  const { data, width: w } = pen.getImageData(
    0, 0, hilum.viewer.circles.width, hilum.viewer.circles.height);
  const from = Math.min(left, left + width);
  const to = Math.max(left, left + width);
  let sum = 0, count = 0;
  for (let i = 3; i < data.length; i += 4) {
    const x = ((i - 3) / 4) % w;
    const orange = data[i] > 99 && data[i - 3] > 2 * data[i - 1];
    if (orange && x >= from && x < to) { sum += x; count += 1; }
  }
  return { circle: sum / count, middle: (from + to) / 2 };
}"""


def test_keys_windows_planes_and_sizes(page, client):
    study = open_study(page, client, "report\nkeys")
    shown = page.evaluate(RIGHT)  # the nodule is in the left lung: x is above 0
    assert shown["circle"] > shown["middle"]
    image = "hilum.viewer.nv.volumes[0]"
    assert page.evaluate(f"[{image}.cal_min, {image}.cal_max]") == [-1350, 150]
    page.keyboard.press("2")
    assert page.evaluate(f"[{image}.cal_min, {image}.cal_max]") == [-160, 240]
    for key, planes in (("x", [0]), ("c", [1]), ("s", [2]), ("0", [0, 1, 2])):
        page.keyboard.press(key)
        shown = page.evaluate("hilum.viewer.nv.screenSlices.map((t) => t.axCorSag)")
        assert sorted(shown) == planes
    before = page.evaluate("hilum.viewer.voxel()")
    page.keyboard.press("ArrowUp")
    after = page.evaluate("hilum.viewer.voxel()")
    assert [a - b for a, b in zip(after, before, strict=True)] == [1, 0, 0]
    page.keyboard.press("+")
    page.locator("#findings li[data-kind=accepted]").wait_for()
    page.select_option("select[aria-label^=Malignancy]", "5")
    wait_for(page, "hilum.findings.items[0].mine?.malignancy === 5")
    said = client.get(f"/api/studies/{study}/findings").json()["annotations"]
    # 22.9 mm, one step larger: 22.9 * 1.1 = 25.19
    assert [(a["verdict"], a["diameter_mm"], a["malignancy"]) for a in said] == [
        ("accepted", 25.2, 5)
    ]
    page.keyboard.press("Escape")
    page.locator("#worklist").wait_for()
    page.keyboard.press("/")
    page.keyboard.type("nothing of this kind")
    page.locator("text=Nothing matches.").wait_for()


def test_what_guidelines_leave_open_is_seen_at_once(page, client):
    open_study(page, client, "report\ndoubt")
    said = page.locator(".guideline", has_text="Fleischner Society 2017")
    assert "depends on what is missing" in said.locator("h2").inner_text()
    choices = said.locator(".open li").all_inner_texts()
    assert "CT at 6 to 12 months, then CT at 18 to 24 months" in choices
    assert len(choices) > 1
    assert not said.locator("dl").is_visible()
    said.locator("summary").click()
    assert "unknown risk" in said.locator("dl").inner_text()
    exam = page.locator(".guideline", has_text="Lung-RADS v2022")
    assert exam.locator(".open").inner_text() == "possible: 3 to 4B"
    nodule = page.locator("#findings li[data-key='nodule 1']")
    assert "Lung-RADS 3 (3 to 4B where size or kind is in doubt)" in nodule.inner_text()
    nodule.locator("summary").click()
    assert "within the error" in nodule.locator(".rules").inner_text()


def test_out_of_scope_no_guideline_is_given(page, client):
    open_study(page, client, "report\noutside")
    page.locator("text=Guidelines are not given").wait_for()
    assert page.locator(".guideline").count() == 0


THROUGH = """async () => {
  const { linkThrough } = await import("/static/js/viewer.js");
  const shifts_mm = Array.from({ length: 8 }, (_, n) => [1, 1, n % 2 ? 4 : 1]).flat();
  const link = linkThrough({
    origin_mm: [0, 0, 0], step_mm: [10, 10, 10], shape: [2, 2, 2], shifts_mm });
  return [link([5, 5, 5]), link([25, 0, 1])];
}"""


LATTICE = """
import json, sys
tree = {"trusted": True, "why": None, "doubt_mm": 1.5, "origin_mm": [0, 0, 0],
        "step_mm": [9, 9, 9], "shape": [2, 2, 2], "shifts_mm": [0, 0, 10] * 8}
open(sys.argv[1], "w").write(json.dumps(tree))
"""


def test_prior_goes_in_step(page, client, monkeypatch):
    # the registration itself is tested without a browser; here a shift by 10 mm
    monkeypatch.setattr(
        "hilum.service.jobs.aligning._command",
        lambda *sides: [sys.executable, "-c", LATTICE, sides[2]],
    )
    prior = open_study(page, client, "report\nprior")
    open_study(page, client, "report\ncurrent")
    chooser = page.locator("select[aria-label^=Other]")
    assert chooser.is_enabled()
    chooser.select_option(prior)
    wait_for(page, "hilum.bound() === 'aligned'")
    assert "within about 1.5 mm" in page.locator(".viewer .step").inner_text()
    # by hand: 2 x 2 x 2 points 10 mm apart, shifted by 1 mm, and at x = 10 by 3 mm more
    # along z; halfway that is 1.5 mm, and beyond the lattice as at its border
    assert page.evaluate(THROUGH) == [[6, 6, 7.5], [26, 1, 5]]
    page.evaluate("hilum.viewer.goTo([5, 7, -150])")
    there = page.evaluate("hilum.prior().position()")
    assert there == pytest.approx([5, 7, -140], abs=1.1)
    page.click("text=In step")  # apart
    page.evaluate("hilum.viewer.goTo([5, 7, -140])")
    assert page.evaluate("hilum.prior().position()") == pytest.approx(there)
    page.click("text=In step")  # together, with what is seen now kept: no shift
    page.evaluate("hilum.viewer.goTo([5, 7, -160])")
    moved = page.evaluate("hilum.prior().position()")
    assert moved[2] == pytest.approx(-160, abs=2.1)


def test_page_fits_the_width_and_asks_for_nothing_elsewhere(page, client):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    open_study(page, client, "report")
    for _ in ("study", "list"):
        for viewport in (DESK, TABLET):
            page.set_viewport_size(viewport)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= viewport["width"]
        page.keyboard.press("Escape")
        page.locator("#worklist tbody tr").first.wait_for()
    own = re.compile(rf"{re.escape(str(client.base_url))}|data:|blob:")
    assert [url for url in asked if not own.match(url)] == []


def test_lessons_are_beside_the_worklist(page, client, monkeypatch):
    quick = [sys.executable, "-c", ""]  # no chest: those pages are tested elsewhere
    monkeypatch.setattr("hilum.primer.press._command", lambda *told: quick)
    page.click("text=How a network sees a CT")
    page.click("text=9. ")
    page.wait_for_selector("html[data-ready]", state="attached")
    page.goto(f"{client.base_url}/primer/11-build.html")
    page.get_by_label("Nodules", exact=True).select_option("nodules")
    page.get_by_role("button", name="Train").click()
    page.get_by_text("There are no real nodules").wait_for()


def test_zip_can_be_dropped(page, client):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a", dicom("dropped"))
    page.locator("#drop").wait_for()
    page.evaluate(
        """(bytes) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], "DOE_JANE.zip"));
          const place = document.getElementById("drop");
          for (const name of ["dragenter", "dragover", "drop"]) {
            const event = new DragEvent(name, { dataTransfer: data, bubbles: true });
            place.dispatchEvent(event);
          }
        }""",
        list(packed.getvalue()),
    )
    page.locator("#drop", has_text="Sent.").wait_for()
    studies = client.get("/api/studies").json()["studies"]
    wait_until(client, studies[0]["id"], "done")
    assert studies[0]["size_bytes"] == len(dicom("dropped"))


def test_failed_study_shows_why_and_can_be_tried_again(page, client):
    sent = client.post("/api/studies", content=dicom("fail Only 3 slices."))
    wait_until(client, sent.json()["id"], "failed")
    row = page.locator(f"tr[data-id='{sent.json()['id']}']")
    row.locator("text=Only 3 slices.").wait_for()
    row.locator("text=Try again").click()
    wait_until(client, sent.json()["id"], "failed")
    page.goto(f"{client.base_url}/#/study/{sent.json()['id']}")
    page.locator(".waiting", has_text="Only 3 slices.").wait_for()


def test_text_of_a_study_is_never_markup(page, client):
    wicked = "<img src=x onerror=alert(1)>"
    sent = client.post("/api/studies", content=dicom(f"fail {wicked}"))
    wait_until(client, sent.json()["id"], "failed")
    row = page.locator(f"tr[data-id='{sent.json()['id']}']")
    row.locator("text=onerror").wait_for()
    assert row.locator("img").count() == 0


def test_signing_in_with_a_token(page, client):
    tokens = Tokens(client.jobs.database)
    token = tokens.add("anna", "read")
    try:
        page.reload()
        page.fill("#token", token)
        page.click("text=Sign in")
        page.locator("text=anna (read)").wait_for()
        page.locator("#worklist").wait_for()
        assert page.locator("#drop").count() == 0  # looks, and changes nothing
        cookies = page.context.cookies()
        assert [c["httpOnly"] for c in cookies] == [True]
        assert token not in json.dumps(cookies)
        page.click("text=Sign out")
        page.locator("#token").wait_for()
    finally:
        tokens.remove("anna")
