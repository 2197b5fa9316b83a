import re
from html.parser import HTMLParser

import pytest

from commonweal.benchmarks.report import write_report
from commonweal.benchmarks.store import Store, write_rows
from commonweal.errors import StorageError
from tests.small_study import TEXT, run_small

VOID = {"meta", "br", "img", "link", "input", "hr", "path", "use", "rect", "circle", "line", "image"}


class Nesting(HTMLParser):
    """Fails where tags do not close in order, and collects references to elsewhere."""

    def __init__(self):
        super().__init__()
        self.open, self.links, self.names = [], [], []

    def handle_starttag(self, tag, attributes):
        self.names.append(tag)
        self.links += [
            v for k, v in attributes if k in ("href", "src", "xlink:href") and not v.startswith("#")
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    text = TEXT + '[[institution]]\nlabel = "oracle <tax>"\nid = "taxation"\nbase = "harm"\nrate = 1.0\n'
    return run_small(tmp_path_factory.mktemp("report"), text)[1]


@pytest.fixture(scope="module")
def page(store):
    return write_report(store.folder).read_text()


def test_the_page_is_whole_and_stands_alone(page):
    parser = Nesting()
    parser.feed(page)
    assert parser.open == []
    assert parser.links == []
    assert "script" not in parser.names
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_the_page_shows_every_section_and_cell(page):
    for title in ("Efficiency", "All measures", "Learning", "Who pays whom", "References", "Definitions",
                  "What not to conclude", "Configuration"):  # fmt: skip
        assert f"<h2>{title}</h2>" in page
    assert page.count('aria-label="Learning curves') == 3
    assert "noisy tax &amp; fines" in page
    assert "oracle &lt;tax&gt;" in page
    assert "sees oracle: harm" in page
    assert "<small>selfish W 800</small><small>planner W 1280</small>" in page


def test_identifiers_in_figures_do_not_clash(page):
    defined = re.findall(r'<(\w+) [^>]*\bid="([^"]*)"[^>]*>(?:.*?)</\1>', page, re.DOTALL)
    assert all(not name.startswith(("axes_", "figure_", "patch_")) for _, name in defined)
    used = set(re.findall(r'xlink:href="#([^"]*)"', page)) | set(re.findall(r"url\(#([^)]*)\)", page))
    assert used <= set(re.findall(r'id="([^"]*)"', page))


def test_a_large_gain_is_flagged(store):
    kept = [(cell, store.rows(cell, "results")) for cell in store.cells()]

    def flags(gain_of_the_first):
        for number, (cell, rows) in enumerate(kept):
            gain = gain_of_the_first if number == 0 else 1.0
            changed = [row | {"gain": gain, "gain_share": gain / 480.0} for row in rows]
            write_rows(store.folder_of(cell) / "results.parquet", changed)
        return write_report(store.folder).read_text().count("class=flag>not converged")

    assert flags(1.0) == 0
    assert flags(100.0) == 1
    for cell, rows in kept:
        write_rows(store.folder_of(cell) / "results.parquet", rows)


def test_the_same_results_make_the_same_page(store, page):
    assert write_report(store.folder).read_text() == page


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("references", ["true", "false"])
def test_a_training_shorter_than_an_episode_has_a_report(tmp_path, references):
    text = TEXT.replace("steps = 1280", "steps = 4").replace("rollout = 32", "rollout = 2\nminibatches = 2")
    text = text.replace("evaluation_worlds = 2", f"evaluation_worlds = 2\nreferences = {references}")
    page = write_report(run_small(tmp_path, text)[1].folder).read_text()
    assert "<p>No episode ended in training.</p>" in page
    assert 'aria-label="Learning curves' not in page


def test_an_empty_folder_has_no_report(tmp_path):
    with pytest.raises(StorageError, match="cannot read"):
        write_report(tmp_path)
    Store(tmp_path).start({"cells": [], "study": {}})
    with pytest.raises(StorageError, match="no finished cell"):
        write_report(tmp_path)
