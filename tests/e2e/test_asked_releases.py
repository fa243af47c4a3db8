"""A release that asks a person first: by the link, Slack and the command; and what becomes of those that wait."""

import json
import re
from collections.abc import Iterator

import pytest

from cli.api import ApiProblem
from cli.endpoints.release import serves
from local.client import wait_for
from tests.e2e.deployed import Deployed
from tests.e2e.served import Served, served_by
from tests.e2e.test_jobs_api import caller
from tests.e2e.test_reviews import command, fetch
from tests.unit.slack.conftest import SlackServer, slack_server  # noqa: F401 - a fixture

LINK = re.compile(r"https?://\S+/review\?token=\S+")


def questions(served: Served) -> list[str]:
    """Links of the mails that ask about releases of a model, oldest first."""
    mails = [mail for mail in served.stack.cloud.mails() if f"{served.family}/mailer" in mail.subject]
    return [link for mail in mails if "needs a decision" in mail.subject for link in LINK.findall(mail.text)]


@pytest.fixture
def slack(empty_stack: Deployed, slack_server: SlackServer) -> Iterator[SlackServer]:  # noqa: F811 - the fixture
    """A webhook that the stack posts to, as SlackSecretArn would have it."""
    client, name = empty_stack.session.client, f"{empty_stack.session.stack}-send-alarms"
    text = json.dumps({"webhook_url": slack_server.url, "signing_secret": "s3cret"})
    arn = client("secretsmanager").create_secret(Name="slack", SecretString=text)["ARN"]
    known = client("lambda").get_function_configuration(FunctionName=name)
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": arn}],
    }
    role = {"RoleName": known["Role"].rpartition("/")[2], "PolicyName": "slack"}
    client("iam").put_role_policy(**role, PolicyDocument=json.dumps(document))
    before = known["Environment"]["Variables"]
    wanted = {"Variables": {**before, "BOXCAR_SLACK_SECRET_ARN": arn}}
    client("lambda").update_function_configuration(FunctionName=name, Environment=wanted)
    queue = client("sqs").get_queue_url(QueueName=f"{empty_stack.session.stack}-alarms")["QueueUrl"]
    usual = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["VisibilityTimeout"])["Attributes"]
    client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "3"})  # a message comes again
    yield slack_server
    client("sqs").set_queue_attributes(QueueUrl=queue, Attributes=usual)
    client("lambda").update_function_configuration(FunctionName=name, Environment={"Variables": before})
    client("iam").delete_role_policy(**role)


def pressed(slack: SlackServer, token: str) -> list[list[str]]:
    """The buttons that decide with a token, of each message that reached the webhook."""
    messages = [message for message in slack.messages if token in json.dumps(message)]
    return [
        [
            part["action_id"]
            for block in message["blocks"]
            for part in block.get("elements", [])
            if part.get("value") == token
        ]
        for message in messages
    ]


def test_slack_down_during_a_release_the_mails_go_out_and_the_message_comes_again_for_slack_alone(
    empty_stack: Deployed, slack: SlackServer
) -> None:
    slack.answers = [(500, "down")]
    served = served_by(empty_stack, approval=True)
    run = served.start(served.version("1.0.0"))
    (link,) = wait_for(lambda: questions(served), 120, why="nobody was asked")
    token = link.partition("token=")[2]
    asked = wait_for(lambda: (found := pressed(slack, token)) and len(found) > 1 and found, 120, why="it came once")
    assert asked == [["approve", "reject"]] * 2, "the second time with both buttons, too"
    assert len(questions(served)) == 1, "the mail came once"
    command(empty_stack, "endpoints", "approve", f"{served.family}/mailer", "--why", "go")
    assert served.stack.wait(run).output["status"] == "released"


def test_a_release_asks_a_person_first_and_ends_well_without_anything_made_when_that_says_no(
    empty_stack: Deployed,
) -> None:
    served = served_by(empty_stack, approval=True)
    first = served.start(served.version("1.0.0"))
    (link,) = wait_for(lambda: questions(served), 120, why="nobody was asked")
    post, token = link.partition("?")[0], link.partition("token=")[2]
    status, page = fetch(link)
    assert status == 200 and served.name in page and "ml.m5.large" in page
    assert fetch(post, {"token": token + "x", "decision": "approve", "name": "Eve", "why": "x"})[0] == 404
    form = {"token": token, "decision": "reject", "name": "Ann", "why": "not on a Friday"}
    assert fetch(post, form)[0] == 200
    ended = served.stack.wait(first)
    assert (ended.status, ended.output["status"]) == ("SUCCEEDED", "rejected"), ended
    assert (ended.output["by"], ended.output["why"]) == ("Ann (by link)", "not on a Friday")
    assert not any(served.things().values()), "something was made"
    status, page = fetch(post, {**form, "decision": "approve", "name": "Ben"})
    assert status == 409 and "rejected by Ann" in page, "a second click"

    older = served.start("1.0.0")
    wait_for(lambda: len(questions(served)) == 2, 120, why="nobody was asked again")
    newer = served.start(served.version("1.0.1"))
    wait_for(lambda: len(questions(served)) == 3, 120, why="nobody was asked about the newer one")
    assert served.stack.wait(older).output["status"] == "replaced"
    assert fetch(questions(served)[1])[0] == 410, "the older release's link is void"
    assert "approved by" in command(served.stack, "endpoints", "approve", f"{served.family}/mailer", "--why", "go")
    assert served.stack.wait(newer).output["status"] == "released"
    assert served.answer() == "hello from 1.0.1"
    shown = command(served.stack, "endpoints", "show", f"{served.family}/mailer")
    assert "rejected by Ann (by link): not on a Friday" in shown and ": go" in shown
    assert [serves(served.stack.session, run) for run in (first, older, newer)] == [False, False, True]


@pytest.fixture
def impatient(empty_stack: Deployed) -> Iterator[None]:
    """A release machine that waits seconds where it should wait hours."""
    states, arn = empty_stack.session.client("stepfunctions"), empty_stack.session.outputs["ReleaseMachineArn"]
    usual = states.describe_state_machine(stateMachineArn=arn)["definition"]
    short = usual.replace("$plan.review_hours * 3600 + 300", "$plan.review_hours / 18")  # four of 72
    assert short != usual
    states.update_state_machine(stateMachineArn=arn, definition=short)
    yield
    states.update_state_machine(stateMachineArn=arn, definition=usual)


@pytest.mark.usefixtures("impatient")
def test_a_release_about_which_nobody_decides_ends_well_with_one_mail_and_nothing_made(empty_stack: Deployed) -> None:
    served = served_by(empty_stack, approval=True)
    run = served.stack.wait(served.start(served.version("1.0.0")))
    assert (run.status, run.output["status"]) == ("SUCCEEDED", "expired"), run
    assert run.output["why"] == "nobody decided within 72 hours"
    (mail,) = wait_for(lambda: [m for m in served.stack.mails(run.name) if "nobody decided" in m.subject], 60)
    assert mail.to == "science@boxcar.local" and f"boxcar endpoints release {served.family}/mailer@1.0.0" in mail.text
    assert not any(served.things().values()), "something was made"
    (link,) = wait_for(lambda: questions(served), 60, why="nobody was asked")
    form = {"token": link.partition("token=")[2], "decision": "approve", "name": "Ann", "why": "late"}
    status, page = fetch(link.partition("?")[0], form)
    assert status == 409 and "anew" in page, "a click that comes late changes nothing"


def test_a_release_is_started_and_looked_at_over_the_api_once_a_name(empty_stack: Deployed) -> None:
    iam = empty_stack.session.client("iam")
    iam.create_user(UserName="ben")
    iam.attach_user_policy(UserName="ben", PolicyArn=empty_stack.session.outputs["JobsApiCallersArn"])
    ben, served = caller(empty_stack, "ben"), served_by(empty_stack)
    body = {"release": "week-48", "family": served.family, "model": "mailer"}
    with pytest.raises(ApiProblem) as refused:
        ben.call("POST", "/releases", body=body)
    assert [error["field"] for error in refused.value.problem["errors"]] == ["version"], "none is approved yet"
    served.version("1.0.0")
    status, started = ben.call("POST", "/releases", body=body)
    assert status == 201
    assert served.stack.wait(started["run"]).output["status"] == "released"
    assert ben.call("POST", "/releases", body=body) == (200, {**started, "created": False})
    _, shown = ben.call("GET", f"/endpoints/{served.family}/mailer")
    assert (shown["version"], shown["status"], shown["endpoint"]) == ("1.0.0", "InService", started["endpoint"])
    assert shown in ben.call("GET", "/endpoints")[1]["endpoints"]
