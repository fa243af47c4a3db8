"""Pipelines of model repositories: a shell runs each script, and each `boxcar` line is one that the command takes."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from cli.main import boxcar
from lint import permissions, template
from tests.unit.ci.pipelines import ROOT, calls, read_github, read_gitlab

PROJECT, MODEL = "packages", "packaging/box"
INPUTS = {
    "project": PROJECT,
    "models": [MODEL, "packaging/bag"],
    "role": "arn:aws:iam::111122223333:role/pipeline",
    "region": "us-east-1",
    "repository": "models/packaging",
    "boxcar": "science/boxcar",
}
IMAGE = "111122223333.dkr.ecr.us-east-1.amazonaws.com/models/packaging"
PACKAGE = {"VERSION": "1.0.1", "IMAGE": f"{IMAGE}:1.0.1", "CONTENT_IMAGE": f"{IMAGE}:content-a-b", "BUILD": "yes"}
SAID = "".join(f"{name}={value}\n" for name, value in PACKAGE.items())
CHECK = f"families check {PROJECT}/family.yaml --models-folder {PROJECT}/models"
APPLY = f"families apply {PROJECT}/family.yaml --models-folder {PROJECT}/models"
NUMBER = f"package {PROJECT}/image --repository models/packaging"
BUILT = [
    f"docker build --tag {IMAGE}:1.0.1 --tag {IMAGE}:content-a-b {PROJECT}/image",
    f"docker push {IMAGE}:1.0.1",
    f"docker push {IMAGE}:content-a-b",
]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A model repository with one folder of models."""
    project = tmp_path / PROJECT
    shutil.copytree(ROOT / "models/boosted_trees", project / "models/boosted_trees")
    shutil.copy(ROOT / "families/packaging.yaml", project / "family.yaml")
    (project / "training.json").write_text(json.dumps({"family": "packaging"}))
    for folder, file in (("image", "Dockerfile"), ("tests", "requirements.txt")):
        (project / folder).mkdir()
        (project / folder / file).write_text("")
    return tmp_path


def gitlab_calls(job: str, repository: Path, **more: str) -> list[list[str]]:
    """What a job of GitLab calls, `before_script` and `script`."""
    found = read_gitlab(INPUTS)[1][f"{PROJECT}:{job}"]
    given = {"CI_JOB_TOKEN": "t", "CI_SERVER_HOST": "gitlab.example", "CI_PROJECT_ID": "7", "CI_PIPELINE_ID": "42"}
    variables = {**found["variables"], "AWS_WEB_IDENTITY_TOKEN_FILE": str(repository / "token"), "AWS_TOKEN": "t"}
    return calls([*found["before_script"], *found["script"]], repository, {**given, **variables, **more}, SAID)


def github_calls(job: str, repository: Path, build: str = "yes") -> list[list[str]]:
    """What the `run` steps of a job of GitHub call, those for an image with what `boxcar package` said."""
    document = read_github()
    inputs = {**INPUTS, "release": MODEL, "stack": "boxcar"}
    values = {name: str(inputs[text.split(".")[1].rstrip(" }")]) for name, text in document["env"].items()}
    given = {"GITHUB_REPOSITORY": "science/models", "GITHUB_RUN_ID": "42"}
    given |= {name: str(repository / name) for name in ("GITHUB_ENV", "GITHUB_PATH")}
    found = []
    for step in document["jobs"][job]["steps"]:
        assert "${{" not in step.get("run", ""), "text that is put into a script would be run"
        if "run" in step and not (step.get("if") == "env.BUILD == 'yes'" and build == "no"):
            found += calls([step["run"]], repository, {**given, **values, **PACKAGE}, SAID)
    return found


def of(program: str, found: list[list[str]]) -> list[str]:
    return [" ".join(rest) for name, *rest in found if name == program]


def test_programs_that_run_at_once_are_each_written_down(tmp_path: Path) -> None:
    found = calls(["for n in {1..100}; do git fetch $n & docker pull $n & done; wait"], tmp_path, {})
    assert sorted(found) == sorted(
        [*call, str(n)] for call in (["git", "fetch"], ["docker", "pull"]) for n in range(1, 101)
    )


def test_gitlab_calls_what_it_says(repository: Path) -> None:
    assert of("boxcar", gitlab_calls("check", repository)) == [CHECK]
    assert of("python", gitlab_calls("check", repository))[-1] == f"-m pytest {PROJECT}/tests"
    assert of("boxcar", gitlab_calls("version", repository)) == [NUMBER]
    assert (repository / "package.env").read_text() == SAID
    trigger = f"trigger training --input {PROJECT}/training.json --token 7-42 --wait"
    assert of("boxcar", gitlab_calls("train", repository)) == [APPLY, trigger]
    assert of("boxcar", gitlab_calls("release", repository, MODEL=MODEL)) == [f"endpoints release {MODEL} --wait"]
    clone = "https://gitlab-ci-token:t@gitlab.example/science/boxcar.git /opt/boxcar"
    assert of("git", gitlab_calls("train", repository))[0].endswith(clone)


def test_github_calls_what_it_says(repository: Path) -> None:
    assert of("boxcar", github_calls("check", repository)) == [CHECK]
    assert of("python", github_calls("check", repository))[-1] == f"-m pytest {PROJECT}/tests"
    trigger = f"trigger training --input {PROJECT}/training.json --token science/models/42 --wait"
    assert of("boxcar", github_calls("train", repository)) == [NUMBER, APPLY, trigger]
    assert (repository / "GITHUB_ENV").read_text() == SAID
    assert of("boxcar", github_calls("release", repository)) == [f"endpoints release {MODEL} --wait"]


def test_an_image_is_built_once_and_its_content_is_tagged_last(repository: Path) -> None:
    for found in (gitlab_calls("image", repository, **PACKAGE), github_calls("train", repository)):
        login, *built = [" ".join(call) for call in found if call[0] == "docker"]
        assert login == f"docker login --username AWS --password-stdin {IMAGE.split('/')[0]}"
        assert built == BUILT
    assert of("docker", gitlab_calls("image", repository, **{**PACKAGE, "BUILD": "no"})) == []
    assert of("docker", github_calls("train", repository, build="no")) == []


def test_every_boxcar_line_is_one_that_the_command_takes(repository: Path) -> None:
    found = [call for job in ("check", "version", "train") for call in gitlab_calls(job, repository)]
    found += gitlab_calls("release", repository, MODEL=MODEL)
    found += [call for job in ("check", "train", "release") for call in github_calls(job, repository)]
    lines = [arguments for program, *arguments in found if program == "boxcar"]
    assert len(lines) == 10
    for arguments in lines:
        command: click.Command = boxcar
        rest = list(arguments)
        while isinstance(command, click.Group):
            command = command.commands[rest.pop(0)]
        command.make_context(str(command.name), rest)  # raises what the command would refuse


def test_the_check_really_checks(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    done = CliRunner().invoke(boxcar, CHECK.split())
    assert done.exit_code == 0 and "family packaging is valid" in done.output, done.output


def test_only_the_default_branch_speaks_to_aws() -> None:
    for name, job in read_gitlab(INPUTS)[1].items():
        assert name == f"{PROJECT}:check" or "AWS_ROLE_ARN" in job["variables"]
        if "AWS_ROLE_ARN" in job["variables"]:
            assert [rule["if"] for rule in job["rules"]] == ["$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"], name
    jobs = read_github()["jobs"]
    assert [name for name, job in jobs.items() if "permissions" in job] == ["train", "release"]
    assert jobs["train"]["if"] == "github.event_name != 'pull_request'"


def test_two_folders_are_two_sets_of_jobs() -> None:
    one, two = (read_gitlab({**INPUTS, "project": project})[1] for project in ("packages", "labels"))
    assert not set(one) & set(two)
    for name, job in one.items():
        needs = {need if isinstance(need, str) else need["job"] for need in job["needs"]}
        assert needs <= set(one), name
        assert all(f"{PROJECT}/**/*" in rule["changes"] for rule in job["rules"]), name
    assert one[f"{PROJECT}:release"]["parallel"]["matrix"] == [{"MODEL": INPUTS["models"]}]
    assert one[f"{PROJECT}:release"]["rules"][0]["when"] == "manual"


def documented() -> list[Any]:
    return [
        yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/git.md").read_text(), re.S)
    ]


def test_what_the_docs_write_is_what_the_pipelines_take() -> None:
    gitlab = [one for block in documented() for one in block.get("include", [])]
    declared = read_gitlab(INPUTS)[0]
    required = {name for name, one in declared.items() if "default" not in one}
    assert len(gitlab) == 2 and all((ROOT / one["file"].lstrip("/")).is_file() for one in gitlab)
    assert all(required <= set(one["inputs"]) <= set(declared) for one in gitlab)
    github = [job["with"] for block in documented() for job in block.get("jobs", {}).values()]
    takes = read_github()["on"]["workflow_call"]["inputs"]
    required = {name for name, one in takes.items() if one.get("required")}
    assert len(github) == 2 and all(required <= set(one) <= set(takes) for one in github)


def test_the_role_is_for_one_branch_and_for_nothing_wider_than_it_must_be() -> None:
    role = template.read(ROOT / "ci/github/role.yaml")
    found = [fault for fault in permissions.faults(role) if "-trigger-callers" not in fault[1]]
    assert found == []  # the managed policy is the stack's own, checked with the stack
    [trust] = role.written["Resources"]["PipelineRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    issuer = "token.actions.githubusercontent.com"
    assert trust["Condition"] == {
        "StringEquals": {
            f"{issuer}:aud": "sts.amazonaws.com",
            f"{issuer}:sub": {"Fn::Sub": "repo:${Repository}:ref:refs/heads/${Branch}"},
        }
    }
    assert "arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/${BoxcarStack}-trigger-callers" in str(role.written)


@pytest.mark.parametrize("role", ["JobRole", "EndpointRole", "RegisterVersionFunctionRole"])
def test_images_that_pipelines_push_may_be_pulled_once_the_stack_is_told(role: str) -> None:
    written = template.read(ROOT / "template.yaml").expanded["Resources"][role]["Properties"]["Policies"]
    statements = [each for policy in written for each in policy["PolicyDocument"]["Statement"]]
    [chosen] = [each["Fn::If"] for each in statements if "Fn::If" in each and "ImageRepositories" in json.dumps(each)]
    condition, allowed, otherwise = chosen
    assert (condition, otherwise) == ("HasImageRepositories", {"Ref": "AWS::NoValue"})
    assert allowed["Resource"] == {"Ref": "ImageRepositories"} and "ecr:BatchGetImage" in allowed["Action"]
