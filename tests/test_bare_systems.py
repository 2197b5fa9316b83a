"""What runs, and what is said, where extras, a home, rights to write or patience are missing."""

import os
import shutil
import subprocess
import tomllib

import pytest

from commonweal.benchmarks import store
from commonweal.extras import EXTRAS
from tests.installation import PACKAGE, copy_package, python
from tests.small_study import TEXT

# Arguments: names of packages (or `Ctrl-C`, and of the module while whose import it comes), then what is run.
START = """
import runpy, sys
names, interrupted = sys.argv[1].split(","), sys.argv[2]

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == interrupted:
            raise KeyboardInterrupt
        if name.partition(".")[0] in names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
if sys.argv[3] == "-c":
    exec(sys.argv[4])
else:
    sys.argv = ["commonweal", *sys.argv[3:]]
    runpy.run_module("commonweal", run_name="__main__")
"""
BARE = dict.fromkeys(["HOME", "USER", "LOGNAME", "USERNAME", "MPLCONFIGDIR", "XDG_CONFIG_HOME"])


def without(packages, *arguments, during="", **options):
    return python("-c", START, packages, during, *arguments, **options)


def test_extras_are_those_of_the_project():
    told = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    for package, extra in EXTRAS.items():
        names = [name.replace("-", "_") for name in told["optional-dependencies"][extra]]
        assert any(name.startswith(package) for name in names)


@pytest.mark.parametrize("arguments", [("list",), ("list", "--matrix"), ("show", "public_goods-v0")])
def test_a_light_installation_shows_everything(arguments):
    told = without(",".join(EXTRAS), *arguments)
    assert (told.returncode, told.stderr) == (0, "")


@pytest.mark.parametrize(
    ("missing", "extra", "arguments"),
    [
        ("torch", "train", ("run", "quick")),
        ("pyarrow", "bench", ("run", "quick")),
        ("matplotlib", "bench", ("report", ".")),
        ("matplotlib", "bench", ("show", "public_goods-v0", "--out", "pictures")),
        ("stable_baselines3", "sb3", ("bench", "speed")),
    ],
)
def test_a_missing_extra_is_one_line_before_anything_is_done(missing, extra, arguments, tmp_path):
    told = without(missing, *arguments, cwd=tmp_path)
    line = f"commonweal: {missing} is not installed; it comes with pip install 'commonweal[{extra}]'\n"
    assert (told.returncode, told.stdout, told.stderr) == (2, "", line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("missing", "extra", "code"),
    [
        ("torch", "train", "from commonweal.agents.ppo import PPO"),
        ("threadpoolctl", "train", "from commonweal.agents.ppo import PPO"),
        ("tensorboard", "train", "from commonweal.agents.monitoring import TensorBoard; TensorBoard('x')"),
        ("stable_baselines3", "sb3", "import commonweal; commonweal.vec_env('fishery-v0')"),
        ("matplotlib", "bench", "import commonweal; env = commonweal.parallel_env('fishery-v0', "
         "render_mode='rgb_array'); env.reset(); env.render()"),
    ],
)  # fmt: skip
def test_a_door_names_the_missing_extra(missing, extra, code, tmp_path):
    told = without(missing, "-c", code, cwd=tmp_path)
    *_, last = told.stderr.splitlines()
    assert last == (
        f"commonweal.errors.MissingExtra: {missing} is not installed; "
        f"it comes with pip install 'commonweal[{extra}]'"
    )


@pytest.mark.parametrize(
    ("module", "arguments"),
    [("gymnasium", ("list",)), ("tyro", ("list",)), ("numba", ("show", "fishery-v0"))],
)
def test_ctrl_c_during_an_import_is_one_line(module, arguments):
    told = without("", *arguments, during=module)
    assert told.returncode == 130
    assert told.stderr == "commonweal: interrupted; start again to go on\n"


@pytest.fixture
def nowhere(tmp_path):
    """A folder in which nobody may write, which is also where temporary files would lie."""
    folder = tmp_path / "nowhere"
    folder.mkdir(mode=0o555)
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ("-m", "commonweal", "list"),
        ("-m", "commonweal", "show", "public_goods-v0"),
        ("-c", "import commonweal; commonweal.parallel_env('fishery-v0').reset(seed=1)"),
        ("-c", "from commonweal.benchmarks import verify; assert all(c.passed for c in verify._fish_war())"),
    ],
)
def test_without_a_home_and_rights_to_write(arguments, nowhere):
    told = python(*arguments, cwd=nowhere, TMPDIR=nowhere, XDG_CACHE_HOME=nowhere / "x", **BARE)
    assert (told.returncode, told.stderr) == (0, "")


@pytest.mark.parametrize("out", [(), ("--out", "{nowhere}/out")])
def test_a_study_that_cannot_be_written(out, nowhere, tmp_path):
    (tmp_path / "mine.toml").write_text(TEXT, "utf-8")
    out = [part.format(nowhere=nowhere) for part in out]
    told = python("-m", "commonweal", "run", tmp_path / "mine.toml", *out, cwd=nowhere)
    assert told.returncode == 2
    assert told.stderr.startswith(f"commonweal: cannot write {out[1] if out else 'runs/small'}: ")
    assert told.stderr.count("\n") == 1


def test_nothing_is_written_outside_the_folder(tmp_path):
    """As `make` runs it."""
    if not shutil.which("make"):
        pytest.skip("no make")
    makefile, home = PACKAGE.parent / "Makefile", tmp_path / "home"
    home.mkdir()
    clean = {name: text for name, text in os.environ.items() if name not in ("MPLCONFIGDIR", "PIP_CACHE_DIR")}
    told = subprocess.run(
        ["make", "-s", "-f", makefile, "--eval", "told:\n\t@env", "told"], cwd=tmp_path, env=clean,
        capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    names = dict(line.partition("=")[::2] for line in told.stdout.splitlines())
    folders = {name: names[name] for name in ("MPLCONFIGDIR", "PIP_CACHE_DIR")}
    assert set(folders.values()) == {f"{tmp_path}/.cache/matplotlib", f"{tmp_path}/.cache/pip"}
    arguments = ("show", "public_goods-v0", "--out", "pictures")
    environment = {"HOME": home, "XDG_CACHE_HOME": None, "XDG_CONFIG_HOME": None, **folders}
    told = python("-m", "commonweal", *arguments, cwd=tmp_path, **environment)
    assert told.returncode == 0, told.stderr
    assert list(home.iterdir()) == []
    assert (tmp_path / ".cache" / "matplotlib").exists()


@pytest.mark.skipif(not shutil.which("git"), reason="no git")
def test_asking_for_the_commit_leaves_the_index_alone(tmp_path, monkeypatch):
    copy_package(tmp_path)

    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        told = subprocess.run(
            ["git", "-C", tmp_path, *who, *arguments], capture_output=True, encoding="utf-8", check=True
        )
        return told.stdout.strip()

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "all")
    monkeypatch.setattr(store, "__file__", str(tmp_path / "commonweal" / "benchmarks" / "store.py"))
    os.utime(tmp_path / "commonweal" / "cli.py", (1, 1))  # git must look whether it has changed
    before = (tmp_path / ".git" / "index").read_bytes()
    assert store._commit() == git("rev-parse", "HEAD")
    (tmp_path / "commonweal" / "cli.py").write_text("", "utf-8")
    assert store._commit() == f"{git('rev-parse', 'HEAD')}-dirty"
    assert (tmp_path / ".git" / "index").read_bytes() == before
