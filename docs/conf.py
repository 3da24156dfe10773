# SPDX-License-Identifier: Apache-2.0
"""The site of the guides and of the API reference; ``make docs`` builds it."""

import pkgutil
import re
from importlib.metadata import version as version_of
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

project = "PyTorchVideo"
author = "The pytorchvideo authors"
version = release = version_of("pytorchvideo")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
]
templates_path = ["_templates"]
# The theme that comes with Sphinx. furo takes three times as long for 400 pages.
html_theme = "alabaster"
html_title = html_short_title = "PyTorchVideo"
html_theme_options = {"fixed_sidebar": True, "page_width": "1100px", "sidebar_width": "260px"}
html_sidebars = {"**": ["about.html", "searchfield.html", "navigation.html", "relations.html"]}
html_copy_source = False

# Types stand beside the arguments that a docstring describes: some builders have 38 of them.
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_inherit_docstrings = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True
myst_heading_anchors = 3

# Every reference that a docstring makes leads somewhere, but for these.
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r".*\..*"),  # types of annotations, by the modules that define them
    ("py:mod", r"torch\..*"),
    ("py:class", "(Dataset|PretrainedConfig)"),  # of datasets and of transformers, in annotations
    ("py:class", "Method"),  # of explanations: a Literal
    ("py:class", "TrainerFn"),  # in Lightning's own docstring of RunningStage
]


def find_elsewhere(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.TextElement
) -> nodes.Element | None:
    """Resolves names that are documented in another package than the docstring's: VideoError, say.

    Names of our own modules that have no page stay as they are written, as long as they exist.
    """
    if node.get("refdomain") != "py":
        return None
    parts = str(node["reftarget"]).split(".")
    # `VideoPredictor.predict` is a method; `pytorchvideo.models.resnet.create_resnet` a name and its module
    name = ".".join(parts if parts[0][:1].isupper() else parts[-1:])
    found = {
        (entry.docname, entry.node_id)
        for full, entry in env.domains.python_domain.objects.items()
        if full.endswith(f".{name}") and full.rpartition(f".{name}")[0].islower()
    }
    if len(found) != 1:
        return text if parts[0] in ("flash", "pytorchvideo") and exists(".".join(parts)) else None
    docname, anchor = found.pop()
    return make_refnode(app.builder, node["refdoc"], docname, anchor, text, name)


def exists(name: str) -> bool:
    try:
        pkgutil.resolve_name(name)
    except (AttributeError, ImportError):
        return False
    return True


def link_root_pages(app: Sphinx, docname: str, source: list[str]) -> None:
    """CHANGELOG.md and SECURITY.md stand beside the folder of the site: they are files to it, not pages."""
    source[0] = re.sub(r"\]\((\.\./[A-Z]+\.md)\)", r"](path:\1)", source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("missing-reference", find_elsewhere)
    app.connect("source-read", link_root_pages)
    return {"parallel_read_safe": True}
