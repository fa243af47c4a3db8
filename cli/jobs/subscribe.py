"""`boxcar jobs subscribe`: the mails about one owner's jobs, and no others."""

import json
from typing import Any

import click

from cli.jobs.calls import owner_of
from cli.session import Session


@click.command("subscribe", short_help="Get the mails about your jobs.")
@click.argument("address")
@click.option("--owner", help="Whose jobs the mails are about; otherwise yours.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
@click.pass_obj
def subscribe_command(session: Session, address: str, owner: str | None, as_json: bool) -> None:
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
    agreed = known is not None and known.startswith("arn:")
    if known is not None and agreed:
        _refuse_audience(sns, known, address)
        changed = {"FilterPolicyScope": "MessageAttributes", "FilterPolicy": policy}
        for name, value in changed.items():
            sns.set_subscription_attributes(SubscriptionArn=known, AttributeName=name, AttributeValue=value)
        told = f"{address} now gets the mails about jobs of {whose}, and no others"
    else:
        sns.subscribe(
            TopicArn=topic,
            Protocol="email",
            Endpoint=address,
            Attributes={"FilterPolicyScope": "MessageAttributes", "FilterPolicy": policy},
            ReturnSubscriptionArn=True,
        )
        again = "was asked before; it is asked again, and " if known else ""
        told = (
            f"{address} {again}gets the mails about jobs of {whose} once it agrees: see the mail from AWS, and its link"
        )
    if as_json:
        click.echo(json.dumps({"address": address, "owner": whose, "topic": topic, "agreed": agreed}))
    else:
        click.echo(told)


def topic_arn(session: Session) -> str:
    """The topic of every mail.

    Raises:
        click.ClickException: the stack is of an older release.
    """
    arn = session.outputs.get("NotificationsTopicArn")
    if not arn:
        raise click.ClickException(
            f"stack {session.stack!r} has no output NotificationsTopicArn: deploy this version of it first"
        )
    return arn


def _refuse_audience(sns: Any, subscription: str, address: str) -> None:
    """SNS has one subscription an address: that of an audience must not become one of an owner.

    Raises:
        click.ClickException: the address is that of an audience, which hears of all jobs.
    """
    known = sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"].get("FilterPolicy") or "{}"
    if audiences := json.loads(known).get("audience"):
        raise click.ClickException(
            f"{address} gets all mails to {' and '.join(audiences)} already, and SNS knows an address once; "
            "give another, such as name+jobs@host"
        )


def _subscription(sns: Any, topic: str, address: str) -> str | None:
    """ARN of the subscription of an address, `PendingConfirmation` while it has not agreed; None without one."""
    pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    found = (one for page in pages for one in page["Subscriptions"])
    return next((one["SubscriptionArn"] for one in found if one["Endpoint"].lower() == address.lower()), None)
