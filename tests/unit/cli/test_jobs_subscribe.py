import json

import boto3
import pytest
from moto import mock_aws


@pytest.fixture
def sns(fake, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with mock_aws():
        client = boto3.client("sns", region_name="us-east-1")
        fake.outputs["NotificationsTopicArn"] = client.create_topic(Name="boxcar-notifications")["TopicArn"]
        fake.clients["sns"] = client
        yield client


def filters(sns, fake):
    """Filter policy by address."""
    found = sns.list_subscriptions_by_topic(TopicArn=fake.outputs["NotificationsTopicArn"])["Subscriptions"]
    return {
        one["Endpoint"]: json.loads(
            sns.get_subscription_attributes(SubscriptionArn=one["SubscriptionArn"])["Attributes"]["FilterPolicy"]
        )
        for one in found
    }


def test_an_address_gets_the_mails_of_its_owner_alone(boxcar_jobs, fake, sns):
    done = boxcar_jobs("subscribe", "ann@example.com")
    assert done.exit_code == 0, done.output
    assert "jobs of ann once it agrees" in done.output
    boxcar_jobs("subscribe", "ben@example.com", "--owner", "ben")
    assert filters(sns, fake) == {"ann@example.com": {"owner": ["ann"]}, "ben@example.com": {"owner": ["ben"]}}


def test_asked_again_the_owner_is_changed_and_there_is_no_second_subscription(boxcar_jobs, fake, sns):
    boxcar_jobs("subscribe", "ann@example.com")
    done = boxcar_jobs("subscribe", "Ann@example.com", "--owner", "team")
    assert "now gets the mails about jobs of team" in done.output
    assert filters(sns, fake) == {"ann@example.com": {"owner": ["team"]}}


def test_the_mailbox_of_an_audience_stays_that(boxcar_jobs, fake, sns):
    policy = json.dumps({"audience": ["science"]})
    topic = fake.outputs["NotificationsTopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="ann@x.org", Attributes={"FilterPolicy": policy})
    done = boxcar_jobs("subscribe", "ann@x.org")
    assert done.exit_code == 1 and "gets all mails to science already" in done.output
    assert filters(sns, fake) == {"ann@x.org": {"audience": ["science"]}}


@pytest.mark.parametrize("address", ["ann", "@example.com", "a@b@c"])
def test_what_is_no_address_is_refused(boxcar_jobs, fake, sns, address):
    assert "is not an address" in boxcar_jobs("subscribe", address).output
    assert filters(sns, fake) == {}


def test_an_older_stack_is_named(boxcar_jobs, fake):
    del fake.outputs["NotificationsTopicArn"]
    assert "has no output NotificationsTopicArn: deploy" in boxcar_jobs("subscribe", "ann@example.com").output
