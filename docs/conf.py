"""How the documentation is built: Sphinx, MyST Markdown, furo; API pages from docstrings. No network is used."""

import re
from typing import Any

from pydantic import BaseModel
from sphinx.application import Sphinx

from precordial import __version__

project = "precordial"
author = "The precordial developers"
copyright = "The precordial developers, Apache-2.0"  # noqa: A001, RUF100 - the name that Sphinx reads
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"precordial {__version__}"
html_copy_source = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3  # links such as page.md#heading work down to the third level

# Docstrings are Google style; single backticks in them name things of the package.
default_role = "py:obj"
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # "Attributes:" as a list, so that fields are not described twice
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "exclude-members": "model_config"}
python_use_unqualified_type_names = True
maximum_signature_line_length = 90

_ARRAY = re.compile(
    r"~?numpy\.ndarray\[tuple\[~?(?:typing\.)?Any, \.\.\.\], ~?numpy\.dtype\[((?:[^\[\]]|\[[^\[\]]*\])+)\]\]"
)
_DEFAULT = re.compile(r"<(?:function )?(\w+)(?:: (\d+))?>")
_TRAILING = re.compile(r"(?<=\w)_(?![\w`])")


def readable(text: str) -> str:
    """Array types as they stand in the code, and defaults that can be parsed."""
    text = _ARRAY.sub(lambda array: f"NDArray[{array[1]}]", text)
    return _DEFAULT.sub(lambda value: f"{value[1]}({value[2]})" if value[2] else value[1], text)


def process_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Called by autodoc for each signature; settings and cards are made from files, not by calling them."""
    if what == "class" and issubclass(obj, BaseModel) and obj.__name__ != "InputSpec":
        return "", None
    if what == "exception" and "__init__" not in vars(obj):  # its parent has the same, and says it
        return "", None
    return signature and readable(signature), returns and readable(returns)


def process_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Called by autodoc for each docstring, after napoleon.

    ``str_`` and ``file_…`` are names; reStructuredText would take them for link targets.
    """
    lines[:] = [line if line.lstrip().startswith(">>>") else _TRAILING.sub(r"\\_", readable(line)) for line in lines]


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-signature", process_signature)
    app.connect("autodoc-process-docstring", process_docstring, priority=900)
