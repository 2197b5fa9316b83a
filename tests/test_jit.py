"""Where compiled code is kept, and that it is never older than the sources."""

import ast
import shutil
from pathlib import Path

import pytest

from commonweal import jit
from tests.installation import PACKAGE, copy_package, make_read_only, make_writable, python

PLAY = """
import commonweal
env = commonweal.parallel_env("fishery-v0", max_cycles=3)
env.reset(seed=1)
while env.agents:
    env.step({agent: env.action_space(agent).sample() for agent in env.agents})
from commonweal import jit
print(jit.FOLDER)
"""

COMPILE = """
from commonweal import jit
from commonweal.random import philox_block, world_seeds
world_seeds(1, 1)
print(jit.FOLDER, sum(philox_block.stats.cache_hits.values()))
"""
CHANGE = """
from pathlib import Path
from commonweal import jit
late = Path(jit.__file__).with_name("late.py")
late.write_text("from commonweal.jit import njit\\n@njit\\ndef f(): return 1")
from commonweal.late import f
print(f(), list(jit.FOLDER.iterdir()))
"""


@pytest.fixture
def read_only(tmp_path):
    folder = tmp_path / "installed"
    folder.mkdir()
    yield make_read_only(copy_package(folder))
    make_writable(folder)


def test_one_module_imports_numba():
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in getattr(node, "names", []) if isinstance(node, ast.Import)]
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.partition(".")[0] in ("numba", "llvmlite") for name in names):
                found.add(path.name)
    assert found == {"jit.py"}


@pytest.mark.parametrize("home", [None, "/proc/none"])
def test_a_read_only_installation_for_a_user_without_a_home_runs_uncached(read_only, tmp_path, home):
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o555)
    home = home or locked
    told = python("-W", "error", "-c", PLAY, path=read_only, cwd=locked, HOME=home, XDG_CACHE_HOME=None)
    assert told.stderr == ""
    assert told.stdout == "None\n"
    assert list(locked.iterdir()) == []


def test_a_user_whose_home_nobody_knows_finds_nothing_in_the_current_folder(read_only, tmp_path):
    told = python("-c", PLAY, path=read_only, cwd=tmp_path, HOME=None, XDG_CACHE_HOME="~/.cache")
    assert told.stderr == ""
    assert told.stdout == "None\n"
    assert [path.name for path in tmp_path.iterdir()] == ["installed"]


@pytest.mark.slow
def test_compiled_code_goes_where_numba_is_told_else_into_the_package_else_to_the_user(read_only, tmp_path):
    places = {"XDG_CACHE_HOME": tmp_path / "user", "NUMBA_CACHE_DIR": tmp_path / "told"}

    def place(path, **environment):
        told = python("-c", COMPILE, path=path, cwd=tmp_path, **environment)
        assert told.stderr == ""
        folder = Path(told.stdout.rpartition(" ")[0])
        assert list(folder.glob("commonweal.random.philox_block-*.nbc"))
        return folder.parent

    assert place(read_only, **places) == tmp_path / "told" / "commonweal"
    places["NUMBA_CACHE_DIR"] = None
    assert place(read_only, **places) == tmp_path / "user" / "numba" / "commonweal"
    copy = tmp_path / "mine"
    copy.mkdir()
    assert place(copy_package(copy), **places) == copy / "commonweal" / "__pycache__"


def test_what_was_compiled_before_an_installation_became_read_only_is_used(tmp_path):
    copy = copy_package(tmp_path)
    for hits in (0, 1):
        told = python("-c", COMPILE, path=copy, HOME="/proc/none", XDG_CACHE_HOME=None)
        make_read_only(copy / "commonweal")
        assert told.stdout == f"{copy / 'commonweal' / '__pycache__' / f'kernels-{jit.DIGEST}'} {hits}\n"
    make_writable(copy / "commonweal")


@pytest.mark.slow
def test_code_compiled_from_older_sources_of_another_file_is_not_run(tmp_path):
    copy = copy_package(tmp_path)
    inner, outer = copy / "commonweal" / "inner.py", copy / "commonweal" / "outer.py"
    numba = "from commonweal.jit import njit\n"
    outer.write_text(f"{numba}from commonweal.inner import g, K\n@njit\ndef f(): return g() + K\n")
    for value in (1, 2, 1):
        inner.write_text(f"{numba}K = {value}\n@njit\ndef g(): return {value}\n")
        for _ in range(2):  # the second time from the cache
            told = python("-c", "from commonweal.outer import f; print(f())", path=copy)
            assert told.stdout == f"{2 * value}\n", told.stderr
    assert len(list((copy / "commonweal" / "__pycache__").glob("kernels-*"))) == 2


def test_sources_that_change_under_a_running_process_leave_nothing_behind(tmp_path):
    copy = copy_package(tmp_path)
    told = python("-c", CHANGE, path=copy)
    assert told.stdout == "1 []\n", told.stderr


@pytest.mark.slow
def test_damaged_compiled_code_is_compiled_again(tmp_path):
    copy = copy_package(tmp_path)
    folder = Path(python("-c", COMPILE, path=copy).stdout.rpartition(" ")[0])
    for suffix, damage in (("nbc", b""), ("nbi", b"nothing that pickle knows")):
        for path in folder.glob(f"*.{suffix}"):
            path.write_bytes(damage)
        for hits in (0, 1):  # mended for the next
            told = python("-c", COMPILE, path=copy)
            assert (told.stdout, told.stderr) == (f"{folder} {hits}\n", "")


def test_compiled_code_that_cannot_be_kept_is_run_all_the_same(tmp_path):
    remove = "import os; from commonweal import jit; os.rmdir(jit.FOLDER); jit.FOLDER.write_text('')\n"
    told = python("-c", remove + COMPILE, path=copy_package(tmp_path))
    assert told.stderr == ""
    assert told.stdout.endswith(" 0\n")


def test_a_package_in_an_archive(tmp_path):
    archive = shutil.make_archive(str(tmp_path / "all"), "zip", copy_package(tmp_path / "copy"))
    told = python("-c", COMPILE, path=archive, XDG_CACHE_HOME=tmp_path)
    assert told.stderr == ""
    assert told.stdout == f"{tmp_path / 'numba' / 'commonweal' / f'kernels-{jit.DIGEST}'} 0\n"


def test_folders_of_old_versions_do_not_pile_up(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "_homes", lambda: iter([tmp_path]))
    (tmp_path / "other").mkdir()
    for version in range(9):
        folder = jit.find_folder(f"{version:016x}")
        assert folder is not None
        (folder / "code").write_text("")
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [f"kernels-{version:016x}" for version in range(5, 9)] + ["other"]
