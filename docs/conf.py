"""Sphinx configuration: hand-written Markdown, pages generated from docstrings, a gallery of scripts."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT), str(ROOT / "demos")]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import generate
import mathml

import commonweal

project = "Commonweal"
author = "the Commonweal authors"
copyright = "the Commonweal authors"
release = version = commonweal.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_gallery.gen_gallery"]
myst_enable_extensions = ["dollarmath", "attrs_inline", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "generated/*.md", "gallery/*.ipynb", "gallery/*.py", "sg_execution_times.rst"]
nitpicky = False

# Docstrings are Markdown: what stands in single backticks is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {"members": True}
napoleon_use_ivar = True
napoleon_attr_annotations = False
napoleon_custom_sections = [
    ("Class attributes that a family declares", "params_style"),
    ("Class attributes that a dilemma declares", "params_style"),
]

sphinx_gallery_conf = {
    "examples_dirs": "../demos",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py",
    "ignore_pattern": r"(play|style)\.py",
    # The look of the figures is set on import, and the gallery resets Matplotlib between scripts.
    "reset_modules": ("matplotlib", "generate.forget_style"),
    "within_subsection_order": "FileNameSortKey",
    "show_signature": False,
    "remove_config_comments": True,
    "min_reported_time": 1e9,
    "write_computation_times": False,
    "plot_gallery": True,
    "abort_on_example_error": True,
}

html_theme = "furo"
html_title = "Commonweal"
html_static_path = ["_static"]
html_css_files = ["commonweal.css"]
html_theme_options = {"source_view_link": "", "top_of_page_buttons": []}
html_show_sphinx = False
html_copy_source = False


def setup(app):
    """Generate pages before they are read; render mathematics without a network."""
    generate.write_all(HERE / "generated")
    app.add_html_math_renderer("mathml", (mathml.inline, None), (mathml.block, None))


html_math_renderer = "mathml"
