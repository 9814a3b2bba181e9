"""The documentation says what the code does."""

import ast
import re
from pathlib import Path

import hilum
from hilum import cli

ROOT = Path(__file__).parents[1]
MAKERS = {"Notice", "_notice", "notice"}


def notice_codes():
    """Codes of all notices that the source makes, found in its syntax trees."""
    codes = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            first = node.args[0]
            if name in MAKERS:
                for part in ast.walk(first):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        codes.add(part.value)
    return codes


def test_every_notice_is_in_the_reference():
    codes = notice_codes()
    assert {"several-series", "no-lungs", "brock-mass"} <= codes
    page = (ROOT / "docs/reference/notices.md").read_text()
    listed = set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE))
    assert codes <= listed
    source = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    assert [code for code in listed if f'"{code}"' not in source] == []


def test_every_command_and_option_is_in_the_reference():
    page = (ROOT / "docs/reference/commands.md").read_text()
    commands = cli._parser()._subparsers._group_actions[0].choices
    for name, command in commands.items():
        assert f"`hilum {name} " in page
        for action in command._actions:
            for option in action.option_strings:
                if option not in ("-h", "--help"):
                    assert f"`{option}" in page, (name, option)


def test_links_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert len(pages) > 10
    for page in pages:
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), (page.name, target)


def test_no_page_is_unfinished():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for line in page.read_text().splitlines():
            assert not re.search(r"@[A-Z0-9]+@|\b(TODO|FIXME|TBD|STRESS)\b", line), page


def test_version_is_one():
    assert f"version: {hilum.__version__}" in (ROOT / "CITATION.cff").read_text()
