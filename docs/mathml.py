"""Mathematics as MathML, which every current browser draws by itself: no script, no network."""

import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)
# What authors write and the converter does not know.
SYNONYMS = {"dots": "ldots", "dotsc": "ldots", "dotsb": "cdots", "lvert": "vert", "rvert": "vert"}


def convert(tex, as_block):
    """MathML of a formula in LaTeX."""
    return tex2mathml(re.sub(r"\\([A-Za-z]+)", _known, tex), as_block=as_block)


def _known(command):
    return "\\" + SYNONYMS.get(command[1], command[1])


def _written(node, as_block):
    try:
        return convert(node.astext(), as_block)
    except MathError as error:
        logger.warning("%s in the formula %s", error, node.astext(), location=node)
        return f"<code>{nodes.unescape(node.astext())}</code>"


def inline(self, node):
    """`$...$`."""
    self.body.append(_written(node, as_block=False))
    raise nodes.SkipNode


def block(self, node):
    """`$$...$$`."""
    self.body.append(f'<div class="math-block">{_written(node, as_block=True)}</div>\n')
    raise nodes.SkipNode
