import json
import shutil
from pathlib import Path

import pytest

from cli.jobs.documents import plain_value, read_documents
from cli.jobs.files import BadFilesError, Changes, read_jobs, values

ROOT = Path(__file__).resolve().parents[3]
STEP = "step: {name: train, kind: training, image: xgboost, script: train.py}\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text("print(1)")
    return tmp_path


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return str(path)


def faults(*paths, changes=None):
    with pytest.raises(BadFilesError) as error:
        read_jobs(paths, changes or Changes())
    return [str(fault) for fault in error.value.faults]


def test_a_number_is_a_number_as_in_json():
    """PyYAML by itself reads 1e-3 as a text, `no` as a truth value, 010 as eight and a date as an object."""
    sources, found = read_documents("x", "{a: 1e-3, b: no, c: 010, d: 2026-01-01, e: -2, f: [true, ~, 1.5, .5]}")
    assert found == []
    assert sources[0].value == {
        "a": 0.001,
        "b": "no",
        "c": "010",
        "d": "2026-01-01",
        "e": -2,
        "f": [True, None, 1.5, 0.5],
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("1e-3", 0.001), ("[1, a]", [1, "a"]), ("null", None), ("", ""), ("two words", "two words")],
)
def test_a_value_on_the_command_line_is_read_as_in_a_file(text, value):
    assert plain_value(text) == value


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: [1", 2, "neither YAML nor JSON"),
        ("a: 1\nb: 2\na: 3", 3, "a: is written twice"),
        ("a: &x\n  b: *x", 1, "refers to itself"),
        ("a: .nan", 1, "not a number that JSON knows"),
        ("a:\n  ? [1, 2]\n  : 3", 2, "must be a text"),
        ("", None, "is empty"),
        ("a: !!binary aGk=", 1, "put it in quotes"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(text, line, words):
    _, found = read_documents("job.yaml", text)
    assert len(found) == 1
    assert found[0].line == line and words in str(found[0])


def test_json_with_tabs_is_json():
    sources, found = read_documents("x.json", json.dumps({"job": "a"}, indent="\t"))
    assert (sources[0].value, found) == ({"job": "a"}, [])


def test_a_job_is_read_with_its_code_folder(folder):
    [job] = read_jobs([write(folder, "a.yaml", f"job: a\ncode: code\ntags: {{week: 13}}\n{STEP}")], Changes())
    assert job.code == folder / "code"
    assert job.request["job"] == "a" and job.request["tags"] == {"week": "13"}
    assert "code" not in job.request["step"] and "owner" not in job.request


def test_folders_globs_several_documents_and_the_same_file_twice(folder):
    write(folder, "a.yaml", f"job: a\ncode: code\n{STEP}---\njob: b\ncode: code\n{STEP}")
    write(
        folder,
        "c.json",
        json.dumps({"job": "c", "step": {"name": "s", "kind": "statement", "options": {"sql": "SELECT 1"}}}),
    )
    jobs = read_jobs([str(folder), str(folder / "*.yaml"), str(folder / "c.json")], Changes())
    assert [job.request["job"] for job in jobs] == ["a", "b", "c"]


def test_what_is_piped_in(folder, monkeypatch):
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("job: a\nstep: {name: s, kind: statement, options: {sql: SELECT 1}}"))
    assert read_jobs(["-"], Changes())[0].request["job"] == "a"


def test_a_grid_is_every_combination_and_its_values_become_tags(folder):
    text = f"job: a\ncode: code\ntags: {{team: search}}\n{STEP}sweep: {{name: s, grid: {{step.config.x: [1, 2], step.config.y: [0.1, b, true]}}}}"
    jobs = read_jobs([write(folder, "a.yaml", text)], Changes())
    assert [job.request["job"] for job in jobs] == [f"a-{n}" for n in range(1, 7)]
    assert [job.request["step"]["config"] for job in jobs[:4]] == [
        {"x": 1, "y": 0.1},
        {"x": 1, "y": "b"},
        {"x": 1, "y": True},
        {"x": 2, "y": 0.1},
    ]
    assert {job.request["sweep"] for job in jobs} == {"s"}
    assert jobs[2].request["tags"] == {"x": "1", "y": "true", "team": "search"}


def test_a_list_is_one_job_each_and_changes_nothing_for_the_others(folder):
    text = f"job: a\ncode: code\n{STEP}  \nsweep: {{list: [{{step.config.x: 1, step.resources.instance_count: 2}}, {{step.max_runtime_s: 60}}]}}"
    one, two = read_jobs([write(folder, "a.yaml", text)], Changes())
    assert one.request["step"]["config"] == {"x": 1} and one.request["step"]["resources"] == {"instance_count": 2}
    assert "config" not in two.request["step"] and two.request["step"]["max_runtime_s"] == 60
    assert two.request["sweep"] == "a", "a sweep without a name has that of the job"


def test_several_files_may_be_of_one_sweep_by_its_name(folder):
    [job] = read_jobs([write(folder, "a.yaml", f"job: a\ncode: code\nsweep: both\n{STEP}")], Changes())
    assert job.request["sweep"] == "both" and job.request["job"] == "a"


def test_the_command_line_changes_every_job(folder):
    text = f"job: a\ncode: code\ntags: {{team: search}}\n{STEP}sweep: {{grid: {{step.config.x: [1, 2]}}}}"
    changes = Changes(
        "ben",
        {"team": "ads", "n": "1"},
        7,
        values(["step.config.rate=1e-3", "step.resources.instance_types=[ml.c5.large]"]),
    )
    for job in read_jobs([write(folder, "a.yaml", text)], changes):
        request = job.request
        assert request["owner"] == "ben" and request["tags"] | {"x": ""} == {"team": "ads", "n": "1", "x": ""}
        assert request["step"]["priority"] == 7 and request["step"]["config"]["rate"] == 0.001
        assert request["step"]["resources"] == {"instance_types": ["ml.c5.large"]}


def test_every_error_of_every_file_is_told_at_once_with_file_line_field_value_and_remedy(folder):
    one = write(
        folder,
        "one.yaml",
        "job: my_job\nower: ann\ncode: nowhere\ntags: {a: [1]}\nstep:\n  name: train\n  kind: trainig\n  priority: 400\n  max_runtme_s: 4\n"
        "  resources: {instance_type: ml.m5.large}\nsweep:\n  grid:\n    step.config.x: 3\n    job: [a]\n",
    )
    two = write(folder, "two.yaml", f"job: b\ncode: code\n{STEP.replace('train.py', 'tran.py')}---\njob: c\n")
    three = write(folder, "three.yaml", "job: d\nstep: {name: s, kind: statement, options: {sq: SELECT 1}}\n")
    found = faults(one, two, three, str(folder / "none.yaml"), str(folder / "*.toml"))
    for expected in (
        f"{one}:1: job: 'my_job': write letters, digits and hyphens",
        f"{one}:2: ower: is not a field; write owner",
        f"{one}:3: code: 'nowhere' is not a folder",
        f"{one}:4: tags.a: [1]",
        f"{one}:7: step.kind: 'trainig' is not a kind of job; write training",
        f"{one}:8: step.priority: 400",
        f"{one}:9: step.max_runtme_s: is not a field; write max_runtime_s",
        f"{one}:10: step.resources.instance_type: is not a field; write instance_types",
        f"{one}:13: sweep.grid.step.config.x: 3 is not a list of values; write [3, …]",
        f"{one}:14: sweep.grid.job: 'job' cannot be swept",
        f"{two}:3: step.script: 'tran.py' is not in",
        f"{two}:5: step: is missing",
        f"{three}:2: step.options.sq: write one of",
        f"{folder / 'none.yaml'}: there is no such file",
        f"{folder / '*.toml'}: matches no file",
    ):
        assert any(fault.startswith(expected) for fault in found), (expected, found)


def test_a_fault_of_a_swept_value_is_told_once_where_the_value_stands(folder):
    text = f"job: a\ncode: code\n{STEP}sweep:\n  grid:\n    step.config.x: [1, 2, 3]\n    step.priority:\n      - 5\n      - 500\n"
    [fault] = faults(write(folder, "a.yaml", text))
    assert ":9: step.priority: 500" in fault


def test_a_fault_of_what_all_jobs_share_is_told_once(folder):
    text = f"job: a\ncode: code\nfamly: x\n{STEP}sweep: {{grid: {{step.config.x: [1, 2, 3]}}}}\n"
    [fault] = faults(write(folder, "a.yaml", text))
    assert ":3: famly: is not a field; write family" in fault


def test_two_jobs_of_one_name_are_refused(folder):
    one = write(folder, "one.yaml", f"job: a\ncode: code\n{STEP}")
    two = write(folder, "two.yaml", f"job: a\ncode: code\n{STEP}")
    [fault] = faults(one, two)
    assert fault.startswith(f"{two}:1: job: 'a' is the name of a job in {one}:1 too")
    assert len(read_jobs([one], Changes())) == 1


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ("{grid: {step.config.x: [1]}, list: []}", "both grid and list"),
        ("{name: s}", "has no values"),
        ("{grid: {}}", "not a mapping of paths"),
        ("{list: [3]}", "not a mapping of paths to values"),
        ("3", "is not a sweep"),
        ("{gird: {step.config.x: [1]}}", "is not a field of a sweep"),
        ("{grid: {step.name.x: [1]}}", "step.name is 'train', which has no fields"),
        ("{grid: {step.resources.instance_types.0: [ml.m5.large]}}", "instance_types"),
        ("{grid: {step.config.x: [1, 2, 3], step.config.y: [" + ",".join("1" * 4000) + "]}}", "12,000 jobs"),
    ],
)
def test_a_sweep_that_is_none(folder, sweep, words):
    found = faults(write(folder, "a.yaml", f"job: a\ncode: code\n{STEP}sweep: {sweep}\n"))
    assert any(words in fault for fault in found), found


def test_set_of_a_swept_path_is_refused(folder):
    path = write(folder, "a.yaml", f"job: a\ncode: code\n{STEP}sweep: {{grid: {{step.config.x: [1, 2]}}}}\n")
    [fault] = faults(path, changes=Changes(sets={"step.config.x": 3}))
    assert "gives step.config.x its values, and so does the command line" in fault


def test_code_that_is_too_large_is_refused(folder):
    with (folder / "code" / "data.bin").open("wb") as file:
        file.truncate(60_000_000)
    [fault] = faults(write(folder, "a.yaml", f"job: a\ncode: code\n{STEP}"))
    assert "holds 60 MB; 50 MB is the most" in fault


def test_the_examples_are_good_and_the_sweep_is_twelve():
    jobs = read_jobs([str(ROOT / "events/jobs")], Changes())
    assert sum(job.request.get("sweep") == "depth-and-eta" for job in jobs) == 12
    assert {job.request["step"]["kind"] for job in jobs} >= {"training", "processing", "statement"}


def test_a_sweep_may_make_a_thousand_jobs(folder):
    text = f"job: a\ncode: code\n{STEP}sweep: {{grid: {{step.config.x: {list(range(100))}, step.config.y: {list(range(10))}}}}}\n"
    assert len(read_jobs([write(folder, "a.yaml", text)], Changes())) == 1000


def test_code_is_looked_for_beside_the_file_not_where_one_stands(folder, monkeypatch):
    path = write(folder, "a.yaml", f"job: a\ncode: code\n{STEP}")
    monkeypatch.chdir("/")
    assert read_jobs([path], Changes())[0].code == folder / "code"
    shutil.rmtree(folder / "code")
    assert "'code' is not a folder" in faults(path)[0]


@pytest.mark.parametrize(
    ("cache", "words"),
    [
        ("maybe", "step.cache: 'maybe' is not a mapping of fields; write true, false, or fields"),
        ("{max_age: 3}", "step.cache.max_age: is not a field; write max_age_s"),
        ("{max_age_s: -1}", "step.cache.max_age_s: -1: must be greater than or equal to 0"),
    ],
)
def test_what_a_job_says_of_the_cache_is_checked(folder, cache, words):
    text = f"job: a\ncode: code\n{STEP.rstrip().removesuffix('}')}, cache: {cache}}}\n"
    (fault,) = faults(write(folder, "a.yaml", text))
    assert words in fault
