"""A lesson as one HTML page that needs nothing else.

Style, scripts and data are inside the page, and its policy (Content-Security-Policy)
names the digests of its one style and one script and forbids the browser to fetch
anything; so a page works from a folder as it does from a server. Only a page that
trains networks may ask the server that it came from.
"""

from __future__ import annotations

import base64
import hashlib
import html
import inspect
import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hilum._version import __version__
from hilum.primer.lessons.lesson import KERAS, LAYERS, Data, Lesson, to_html

_EXPORT = re.compile(r"^export (?=(?:function|const) (\w+))", re.MULTILINE)
_IMPORT = re.compile(
    r'^import (?:\* as (\w+)|(\{[^}]*\})) from "\.\./(\w+)\.js";\n', re.MULTILINE
)
_POLICY = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]+)"')


def render_lesson(
    lesson: Lesson,
    data: Data,
    *,
    lessons: Sequence[Lesson],
    label: str = "",
    served: bool = False,
) -> str:
    """Write a lesson as a page.

    Args:
        lesson: What to show.
        data: What its views need, as JSON.
        lessons: All, for the links.
        label: What CT it is shown on, if any.
        served: Whether a server stands behind the page.

    Returns:
        A complete HTML document.
    """
    script, style = bundle(lesson.key), _static("page.css")
    place = [other.number for other in lessons].index(lesson.number)
    return (
        _environment()
        .get_template("lesson.html.j2")
        .render(
            lesson=lesson,
            lessons=lessons,
            before=lessons[place - 1] if place else None,
            after=lessons[place + 1] if place + 1 < len(lessons) else None,
            sources=[_source(function) for function in lesson.functions],
            layers=[
                {"name": name, "link": KERAS + LAYERS[name] if name in LAYERS else ""}
                for name in lesson.layers
            ],
            data=json.dumps({**data, "served": served}).replace("<", "\\u003c"),
            script=script,
            style=style,
            policy=_policy(style, script, served=served),
            label=label,
            version=__version__,
        )
    )


def render_index(lessons: Sequence[Lesson], *, label: str) -> str:
    """Write the page that lists the lessons.

    Args:
        lessons: In order.
        label: What CT they are shown on.
    """
    style = _static("page.css")
    return (
        _environment()
        .get_template("index.html.j2")
        .render(
            lessons=lessons,
            style=style,
            policy=_policy(style, None, served=False),
            label=label,
            version=__version__,
        )
    )


def policy_of(page: str) -> str:
    """Give the policy that a page has inside, for a server's own header.

    Args:
        page: Of `render_lesson` or `render_index`.
    """
    found = _POLICY.search(page)
    return "" if found is None else html.unescape(found[1])


def bundle(key: str) -> str:
    """Put the modules of a lesson into one script.

    Each module becomes a function that returns what it exports; browsers load no
    modules from a folder, and one script has one digest.

    Args:
        key: Of the lesson; `static/lessons/KEY.js`.
    """
    parts = [
        _wrapped("ops", _static("ops.js")),
        _wrapped("widgets", _static("widgets.js")),
        _wrapped("lesson", _static(f"lessons/{key}.js")),
        "widgets.start(lesson.views);\n",
    ]
    return "".join(parts)


def _wrapped(name: str, source: str) -> str:
    """Turn a module into an object of what it exports."""
    names = _EXPORT.findall(source)

    def taken(match: re.Match[str]) -> str:
        whole, some, module = match.groups()
        return "" if whole == module else f"const {some} = {module};\n"

    body = _EXPORT.sub("", _IMPORT.sub(taken, source))
    return (
        f"const {name} = (() => {{\n{body}\nreturn {{ {', '.join(names)} }};\n}})();\n"
    )


def _policy(style: str, script: str | None, *, served: bool) -> str:
    """Allow this style and this script, and nothing else."""
    allowed = f"script-src '{_digest(script)}'; " if script is not None else ""
    asked = "connect-src 'self'; " if served else ""
    return (
        f"default-src 'none'; {allowed}style-src '{_digest(style)}'; {asked}"
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    """Give the digest of a script or style, as a policy names it."""
    raw = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(raw).decode('ascii')}"


def _source(function: Callable[..., Any]) -> dict[str, str]:
    """Give a function's own text, and where it stands."""
    return {
        "name": function.__name__,
        "file": function.__module__.replace(".", "/") + ".py",
        "text": inspect.getsource(function).rstrip(),
    }


def _static(name: str) -> str:
    """Read a file of the pages."""
    return (files("hilum.primer") / "static" / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    """Set up the templates once."""
    environment = Environment(
        loader=PackageLoader("hilum.primer", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["markup"] = lambda text: Markup(to_html(text))
    return environment
