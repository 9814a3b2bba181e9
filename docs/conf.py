"""Sphinx settings: Markdown pages, API pages from the docstrings."""

from importlib.metadata import version as installed_version

project = "hilum"
author = "The hilum developers"
project_copyright = "The hilum developers, Apache-2.0"
release = installed_version("hilum")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "hilum"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_use_ivar = True
nitpicky = False
# A record's attributes are described once, in the docstring of its class, and its
# JSON methods once, in `Record`.
suppress_warnings = ["autodoc.duplicate_object"]


def _plain(app, what, name, obj, options, lines):  # noqa: ARG001  Sphinx's own
    """Keep `|x|` and `x * y` in docstrings what they are, outside of code."""
    for n, line in enumerate(lines):
        parts = line.split("`")
        if not line.lstrip().startswith((">>>", "...")):
            parts[::2] = [
                p.replace("|", "\\|").replace("*", "\\*") if "**" not in p else p
                for p in parts[::2]
            ]
        lines[n] = "`".join(parts)


def setup(app):
    """Hook in before the docstrings are read."""
    app.connect("autodoc-process-docstring", _plain, priority=400)
