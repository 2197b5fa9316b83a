import pytest

from commonweal.benchmarks import suite as suites
from commonweal.benchmarks.suite import digest, look_up, resolve
from commonweal.benchmarks.suite_file import load, parse
from commonweal.errors import CommonwealError, InvalidParameter, InvalidSuite, UnknownName
from commonweal.references import References, Yardstick

REFERENCES = References(
    Yardstick(1.0, "closed form"),
    Yardstick(2.0, "closed form", detail={"catch": 10.0}),
    1.0,
    corrective={"extraction": Yardstick(1.9, "dynamic programming", detail={"rate": 0.3})},
    facts={"msy": 12.5},
)
TEXT = """
[study]
replicates = 3

[learner]
steps = 512
hidden = [8]

[[dilemma]]
id = "fishery-v0"
label = "textbook"

[[dilemma]]
label = "small"
id = "fishery-v0"
parameters = { num_agents = 2 }

[[institution]]
label = "laissez-faire"
stack = []

[[institution]]
label = "tax and quota"
[[institution.stack]]
id = "taxation"
base = "extraction"
rate = { reference = "corrective.extraction.rate" }
[[institution.stack]]
id = "quota"
limit = { reference = "planner.catch", times = 0.2 }
"""


def references(dilemma):
    return REFERENCES


def test_the_grid():
    cells = parse(TEXT).cells(references)
    assert [(c.dilemma, c.institution) for c in cells] == [
        ("textbook", "laissez-faire"), ("textbook", "tax and quota"),
        ("small", "laissez-faire"), ("small", "tax and quota"),
    ]  # fmt: skip
    tax, quota = cells[3].config["institutions"]
    assert tax["rate"] == 0.3
    assert quota["limit"] == pytest.approx(2.0)
    assert cells[3].society(4).charter.num_citizens == 2
    assert cells[0].config["learner"]["ppo"] == {"hidden": [8]}


def test_folder_is_the_hash_of_everything_that_decides_the_result():
    cells = parse(TEXT).cells(references)
    assert len({c.folder for c in cells}) == 4
    assert cells[0].folder.startswith("textbook-laissez-faire-")
    assert cells[0].folder.endswith(digest(cells[0].config)[:12])
    again = parse(TEXT + "# a comment\n").cells(references)
    assert [c.folder for c in again] == [c.folder for c in cells]
    for old, new in [("replicates = 3", "replicates = 4"), ("steps = 512", "steps = 513"), ("[8]", "[9]")]:
        other = parse(TEXT.replace(old, new)).cells(references)
        assert not {c.folder for c in other} & {c.folder for c in cells}


def test_references_are_resolved_anywhere():
    given = {"a": [{"reference": "facts.msy"}, 2], "b": {"reference": "planner.catch", "times": 0.5}}
    assert resolve(given, lambda: REFERENCES) == {"a": [12.5, 2], "b": 5.0}
    assert look_up(REFERENCES, "selfish.welfare") == 1.0
    with pytest.raises(UnknownName, match="did you mean 'extraction'"):
        look_up(REFERENCES, "corrective.extractoin.rate")
    with pytest.raises(InvalidParameter, match="path of a number"):
        look_up(REFERENCES, "planner.kind")
    with pytest.raises(UnknownName, match="allowed: reference, times"):
        resolve({"reference": "facts.msy", "time": 2}, lambda: REFERENCES)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("[study]", "[study", 2, "Expected"),
        ("[study]", "[studies]", 2, "did you mean 'study'"),
        ("replicates = 3", "replicates = 0", 3, "study.replicates: replicates is 0; allowed: 1 or more"),
        ("replicates = 3", "replicate = 3", 3, "study.replicate"),
        ("hidden = [8]", "hiden = [8]", 7, "learner.hiden: unknown learner parameter"),
        ("hidden = [8]", "clip = -1.0", 7, "learner.clip"),
        ('id = "fishery-v0"\nlabel', 'id = "fishery-v1"\nlabel', 10, "dilemma.id: unknown dilemma"),
        ("num_agents = 2", "num_agents = 0", 16, "dilemma.num_agents"),
        ("num_agents = 2", "num_agent = 2", 16, "did you mean 'num_agents'"),
        ('label = "small"', 'label = "textbook"', 14, "given twice"),
        ('base = "extraction"', 'bases = "extraction"', 26, "institution.bases"),
        ('id = "quota"', 'identity = "quota"', 29, "an id and its parameters"),
        ("stack = []", 'stack = []\nrate = 3', 20, "either a stack or one id"),
        ("stack = []", "stack = 3", 20, "institution.stack: stack is 3; allowed: a list of tables"),
        ("stack = []", 'stack = ["taxation"]', 20, "stack is ['taxation']; allowed: a list of tables"),
        ("replicates = 3", "seeed = 3", 3, "unknown key of [study] 'seeed'; did you mean 'seed'"),
        ("replicates = 3", 'name = "../x"', 3, "study.name: name is '../x'; allowed: a name of a folder"),
        ("hidden = [8]", "minibatches = 5000", 7, "minibatches is 5000; allowed: up to 1024 samples"),
        ('label = "small"', 'presett = "halibut"', 14, "unknown key of [dilemma] 'presett'; did you mean"),
        ('label = "small"', "label = 3", 14, "label is 3; allowed: 1 to 1000 printable letters"),
        ('label = "small"', 'label = "a\\nb"', 14, "printable"),
        ("{ num_agents = 2 }", "[2]", 16, "dilemma.parameters: parameters is [2]; allowed: a table"),
        ("times = 0.2", 'times = "a"', 30, "institution.times: times is 'a'; allowed: a number"),
        ("times = 0.2", "time = 0.2", 30, "institution.time: unknown key of references 'time'; did you"),
        ('"corrective.extraction.rate"', "3", 27, "reference is 3; allowed: printable text"),
    ],
)  # fmt: skip
def test_errors_name_line_and_key(old, new, line, says):
    assert TEXT.count(old) == 1
    with pytest.raises(InvalidSuite) as caught:
        parse(TEXT.replace(old, new), "mine.toml")
    assert "mine.toml" in str(caught.value)
    assert f"line {line}" in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize("table", ["dilemma", "institution"])
def test_a_study_needs_both_axes(table):
    inside = "id = 'fishery-v0'" if table == "dilemma" else "stack = []\nlabel = 'x'"
    text = f"[[{table}]]\n{inside}\n"
    with pytest.raises(InvalidSuite, match="there is no table"):
        parse(text)


def test_an_unfit_stack_is_refused_before_anything_is_trained():
    unfit = TEXT.replace('base = "extraction"', 'base = "emission"')
    with pytest.raises(CommonwealError, match="emission"):
        parse(unfit).cells(references)


def test_what_needs_no_references_is_refused_before_they_are_asked_for():
    text = (
        TEXT
        + """
[[institution]]
label = "unfit"
id = "taxation"
base = "emission"
"""
    )
    with pytest.raises(InvalidSuite, match=r"textbook / unfit: .*'emission'.*allowed: extraction"):
        parse(text).cells(lambda dilemma: pytest.fail("references were asked for"))


def test_references_that_are_not_there_are_told_with_their_cell():
    for path, says in (
        ("planner.catsh", "did you mean 'catch'"),
        ("selfish.welfare.x", "it is a number"),
        ("planner", "allowed: the path of a number"),
    ):
        with pytest.raises(InvalidSuite, match=f"textbook / tax and quota: .*{says}"):
            parse(TEXT.replace("planner.catch", path)).cells(references)


def test_two_labels_of_one_cell_are_refused():
    text = TEXT + '[[institution]]\nlabel = "Laissez, faire"\nstack = []\n'
    with pytest.raises(InvalidSuite, match="laissez-faire and textbook / Laissez, faire are one cell"):
        parse(text).cells(references)


def test_names_of_folders_stay_within_what_disks_allow():
    cells = parse(TEXT.replace('"small"', f'"{"x" * 500}"')).cells(references)
    assert max(len(cell.folder) for cell in cells) < 120
    assert len({cell.folder for cell in cells}) == 4


@pytest.mark.parametrize("way", ["mark", "crlf", "latin", "folder"])
def test_files_of_other_editors(tmp_path, way):
    path = tmp_path / "mine.toml"
    text = TEXT.replace("textbook", "Lehrbuch für Fänger")
    if way == "folder":
        path.mkdir()
    else:
        coded = text.replace("\n", "\r\n") if way == "crlf" else text
        path.write_bytes(coded.encode({"mark": "utf-8-sig", "latin": "latin-1"}.get(way, "utf-8")))
    if way in ("mark", "crlf"):
        assert "Lehrbuch für Fänger" in load(path).dilemmas
    else:
        with pytest.raises(InvalidSuite, match=r"mine\.toml cannot be read"):
            load(path)


def test_suites_of_the_package(tmp_path):
    quick = load("quick")
    assert quick.study.replicates == 20
    assert len(quick.institutions) == 6
    with pytest.raises(UnknownName, match="did you mean 'quick'"):
        load("quik")
    with pytest.raises(InvalidSuite, match="cannot be read"):
        load(tmp_path / "missing.toml")
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    assert set(load(path).dilemmas) == {"textbook", "small"}
    assert suites.VERSION
