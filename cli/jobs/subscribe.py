"""`boxcar jobs subscribe`: the mails about one owner's jobs, and no others."""

import json

import click

from cli.jobs.calls import owner_of
from cli.session import Session


@click.command("subscribe", short_help="Get the mails about your jobs.")
@click.argument("address")
@click.option("--owner", help="Whose jobs the mails are about; otherwise yours.")
@click.pass_obj
def subscribe_command(session: Session, address: str, owner: str | None) -> None:
    """Have the mails about your jobs, digests of sweeps included, sent to an address.

    AWS asks the address first whether it agrees; until it does, nothing is sent to it. Asked again for the same
    address, the owner is changed.
    """
    if address.count("@") != 1 or address.startswith("@") or address.endswith("@"):
        raise click.BadParameter(f"{address!r} is not an address; write name@host", param_hint="ADDRESS")
    whose = owner or owner_of(session)
    topic = topic_arn(session)
    sns = session.client("sns")
    # Messages carry `owner` as an attribute where they are about somebody's jobs (boxcar.jobs.digests). A message
    # without it does not pass the filter.
    policy = json.dumps({"owner": [whose]})
    known = _subscription(sns, topic, address)
    if known and known.startswith("arn:"):
        sns.set_subscription_attributes(
            SubscriptionArn=known, AttributeName="FilterPolicyScope", AttributeValue="MessageAttributes"
        )
        sns.set_subscription_attributes(SubscriptionArn=known, AttributeName="FilterPolicy", AttributeValue=policy)
        click.echo(f"{address} now gets the mails about jobs of {whose}, and no others")
        return
    if known:
        click.echo(f"{address} was asked before and has not agreed yet; it is asked again")
    sns.subscribe(
        TopicArn=topic,
        Protocol="email",
        Endpoint=address,
        Attributes={"FilterPolicyScope": "MessageAttributes", "FilterPolicy": policy},
        ReturnSubscriptionArn=True,
    )
    click.echo(f"{address} gets the mails about jobs of {whose} once it agrees: see the mail from AWS, and its link")


def topic_arn(session: Session) -> str:
    """The topic of audience science.

    Raises:
        click.ClickException: the stack is of an older release.
    """
    arn = session.outputs.get("ScienceTopicArn")
    if not arn:
        raise click.ClickException(
            f"stack {session.stack!r} has no output ScienceTopicArn: deploy this version of it first"
        )
    return arn


def _subscription(sns: object, topic: str, address: str) -> str | None:
    """ARN of the subscription of an address, `PendingConfirmation` while it has not agreed; None without one."""
    pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)  # type: ignore[attr-defined]
    found = (one for page in pages for one in page["Subscriptions"])
    return next((one["SubscriptionArn"] for one in found if one["Endpoint"].lower() == address.lower()), None)
