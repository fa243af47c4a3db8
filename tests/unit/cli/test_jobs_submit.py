import json

import click
import pytest

from cli.api import ApiProblem

STEP = "step: {name: train, kind: training, image: xgboost, script: train.py}\n"


class Bucket:
    """S3 as the upload of code needs it; counts what was put."""

    def __init__(self):
        self.objects = {}
        self.puts = 0

    def list_objects_v2(self, Bucket, Prefix):  # noqa: N803
        return {"KeyCount": sum(key.startswith(Prefix) for key in self.objects)}

    def put_object(self, Bucket, Key, Body, IfNoneMatch):  # noqa: N803
        self.puts += 1
        self.objects[Key] = Body


@pytest.fixture
def folder(tmp_path, fake):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text("print(1)")
    fake.clients["s3"] = Bucket()
    return tmp_path


def sweep(folder, jobs, name="a"):
    path = folder / f"{name}.yaml"
    path.write_text(f"job: {name}\ncode: code\n{STEP}sweep: {{grid: {{step.config.x: {list(range(jobs))}}}}}\n")
    return path


def posts(fake):
    return [body["jobs"] for (method, path, _), body in zip(fake.calls, fake.bodies, strict=True) if method == "POST"]


def test_a_thousand_jobs_are_ten_calls_and_one_upload(boxcar_jobs, fake, folder):
    done = boxcar_jobs("submit", sweep(folder, 1000))
    assert done.exit_code == 0, done.output
    assert [len(jobs) for jobs in posts(fake)] == [100] * 10 and len(fake.calls) == 10
    assert fake.clients["s3"].puts == 2, "train.py and the archive"
    assert "1,000 jobs were submitted, 0 were known already" in done.output
    code = {json.dumps(job["step"]["code"]) for jobs in posts(fake) for job in jobs}
    assert len(code) == 1 and "s3://data/code/code-" in code.pop()


def test_the_same_again_submits_nothing_and_says_so(boxcar_jobs, fake, folder):
    path = sweep(folder, 3)
    boxcar_jobs("submit", path)
    done = boxcar_jobs("submit", path)
    assert done.exit_code == 0
    assert "0 jobs were submitted, 3 were known already" in done.output
    assert fake.clients["s3"].puts == 2


def test_after_a_failure_in_the_middle_the_same_command_submits_the_rest(boxcar_jobs, fake, folder):
    path = sweep(folder, 250)

    def third_call_fails(method, path):
        if len(posts(fake)) == 3:
            raise click.ClickException("https://api cannot be reached: connection reset")

    fake.before = third_call_fails
    done = boxcar_jobs("submit", path)
    assert done.exit_code == 1
    assert "cannot be reached" in done.output and "200 jobs were submitted, 0 were known already" in done.output
    assert "the same command again submits only the rest" in done.output
    fake.before = lambda method, path: None
    done = boxcar_jobs("submit", path)
    assert done.exit_code == 0 and "50 jobs were submitted, 200 were known already" in done.output
    assert len(fake.jobs) == 250


def test_a_bad_file_among_good_ones_submits_nothing(boxcar_jobs, fake, folder):
    bad = folder / "bad.yaml"
    bad.write_text("job: b\nstep: {name: s, kind: nothing}\n")
    done = boxcar_jobs("submit", sweep(folder, 3), bad)
    assert done.exit_code == 2 and fake.calls == [] and fake.clients["s3"].puts == 0
    assert "nothing was submitted: 1 thing is wrong" in done.output and f"{bad}:2: step.kind: 'nothing'" in done.output


def test_what_only_the_api_knows_is_told_at_the_file(boxcar_jobs, fake, folder):
    good = folder / "a.yaml"
    good.write_text(f"job: a\ncode: code\n{STEP}")
    bad = folder / "b.yaml"
    bad.write_text(f"job: b\ncode: code\n{STEP.replace('xgboost', 'unheard-of')}")
    done = boxcar_jobs("submit", good, bad)
    assert done.exit_code == 2 and fake.jobs == {}
    assert f"{bad}:1: job b: step.image: 'unheard-of' is not known; write one of xgboost" in done.output


def test_a_name_that_is_taken_by_other_contents_is_told(boxcar_jobs, fake, folder):
    def refuse(method, path):
        error = {"field": "jobs[1].step.config", "message": "job 'a-2' of ann is known with another step.config"}
        raise ApiProblem(409, {"title": "The name is taken", "errors": [error]})

    fake.before = refuse
    done = boxcar_jobs("submit", sweep(folder, 3))
    assert done.exit_code == 1 and "job a-2: step.config: job 'a-2' of ann is known with another" in done.output
    assert "nothing was submitted" not in done.output, "the API stores what is new before it compares"
    assert "others of the same call may be stored" in done.output and "--set job=NAME" in done.output


def test_another_name_may_be_given_on_the_command_line(boxcar_jobs, fake, folder):
    assert boxcar_jobs("submit", sweep(folder, 2), "--set", "job=second").exit_code == 0
    assert [job["run"] for job in fake.jobs.values()] == ["ann/second-1", "ann/second-2"]


def test_large_jobs_go_in_smaller_batches(boxcar_jobs, fake, folder):
    path = sweep(folder, 60)
    done = boxcar_jobs("submit", path, "--set", f"step.config.note={'x' * 30_000}")
    assert done.exit_code == 0
    assert sum(map(len, posts(fake))) == 60
    assert all(len(json.dumps({"jobs": jobs})) < 1_000_000 for jobs in posts(fake)) and len(posts(fake)) == 3


def test_a_dry_run_needs_no_cloud(boxcar_jobs, fake, folder):
    done = boxcar_jobs("submit", sweep(folder, 3), "--dry-run", "--set", "step.config.rate=1e-3")
    assert done.exit_code == 0 and fake.calls == [] and fake.clients["s3"].puts == 0
    assert "a-3" in done.output and "rate=0.001, x=2" in done.output and "3 jobs; nothing was submitted" in done.output
    lines = boxcar_jobs("submit", sweep(folder, 3), "--dry-run", "--json").stdout.splitlines()
    assert [json.loads(line)["job"] for line in lines] == ["a-1", "a-2", "a-3"]


def test_json_is_one_document(boxcar_jobs, fake, folder):
    boxcar_jobs("submit", sweep(folder, 2))
    done = boxcar_jobs("submit", sweep(folder, 3), "--owner", "ann", "--tag", "a=b", "--priority", "3", "--json")
    told = json.loads(done.stdout)
    assert (told["created"], told["known"], len(told["jobs"])) == (1, 2, 3)
    assert posts(fake)[-1][0]["tags"] == {"x": "0", "a": "b"} and posts(fake)[-1][0]["step"]["priority"] == 3


@pytest.mark.parametrize("option", ["--tag", "--set"])
def test_an_assignment_without_a_value_is_refused(boxcar_jobs, folder, option):
    done = boxcar_jobs("submit", sweep(folder, 1), option, "novalue")
    assert done.exit_code == 2 and "'novalue' has no value; write name=value" in done.output


def test_watching_follows_what_was_submitted(boxcar_jobs, fake, folder):
    def complete(method, path):
        if method == "GET":
            for job in fake.jobs.values():
                job["status"] = "Completed"

    fake.before = complete
    done = boxcar_jobs("submit", sweep(folder, 3), "--watch")
    assert done.exit_code == 0 and "Completed 3" in done.output
