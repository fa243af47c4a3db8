"""Leases: how much of a pool is in use, what is known of its limit, and whose turn it is to use it.

The item `lease#<pool>` counts units in use (`held`) and, once AWS has refused, how many there can be (`limit`, until
`until`). Turns share a pool fairly between owners; see `next_turns`.
"""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from boxcar.attributes import Item, decode_all, encode, encode_all
from boxcar.jobs.failures import Jitter
from boxcar.jobs.record import Job

if TYPE_CHECKING:
    from boxcar.jobs.table import JobsTable

MOST_OWNERS = 200  # owners' turns are kept in the item; those that mean nothing any more are removed above this
MOST_TRIES = 20
LONGEST_LIMIT_S = 1800.0  # a learned limit is tried again so often at least
FORGIVEN_S = 86400.0  # refusals longer ago than this do not make the next one last longer
_NAMES = {"#limit": "limit", "#until": "until"}  # both are reserved words


@dataclass(frozen=True)
class Lease:
    """One pool. Numbers are units: instances, statements, vCPUs."""

    pool: str
    held: int = 0
    limit: int | None = None  # learned when AWS refused: so many ran at that time
    until: float = 0.0  # when the learned limit is forgotten, seconds since the epoch
    refusals: int = 0  # one after another
    falls_to: frozenset[str] = frozenset()  # pools that jobs may use as well that ask for this one first
    turns: dict[int, float] = field(default_factory=dict)  # virtual time by priority: the turn launched last
    owners: dict[tuple[int, str], float] = field(default_factory=dict)  # the next turn of an owner, by priority
    listed: bool = False

    def most(self, configured: int | None, now: float) -> int | None:
        """How many units there are, as far as anybody knows; None if nobody does."""
        limits = [limit for limit in (configured, self.limit if now < self.until else None) if limit is not None]
        return min(limits) if limits else None

    def has_room(self, units: int, configured: int | None, now: float) -> bool:
        """Whether it makes sense to ask AWS for `units` more."""
        most = self.most(configured, now)
        return most is None or self.held + units <= most


@dataclass(frozen=True)
class Room:
    """What whoever takes a lease knows of its room."""

    configured: int | None = None  # the most units there may be
    learned: int | None = None  # likewise, for a job of several units; for one, the item itself says it
    now: float = 0.0


class NoRoom(Exception):  # noqa: N818
    """Others hold all of the pool."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(lease.pool)
        self.lease = lease


def to_lease(pool: str, item: Item) -> Lease:
    """The lease of an item, or an unused one of no item."""
    value = decode_all(item)
    turns, owners = {}, {}
    for name, number in value.items():
        if name.startswith("turn#"):
            turns[int(name[5:])] = float(number)
        elif name.startswith("next#"):
            owners[int(name[5:7]), name[8:]] = float(number)
    return Lease(
        pool=pool,
        held=value.get("held", 0),
        limit=value.get("limit"),
        until=value.get("until", 0.0),
        refusals=value.get("refusals", 0),
        falls_to=frozenset(value.get("falls_to", ())),
        turns=turns,
        owners=owners,
        listed=value.get("listed", False),
    )


def take(before: Job, after: Job, room: Room) -> list[dict[str, Any]]:
    """Updates that take a lease of `after.holding`, if there is room, and let the job's turn be over."""
    conditions, names = [], dict(_NAMES)
    values: dict[str, Any] = {":units": after.units}
    if room.configured is not None:
        conditions.append("(attribute_not_exists(held) OR held <= :configured)")
        values[":configured"] = room.configured - after.units
    if after.units == 1:
        conditions.append("(attribute_not_exists(#limit) OR #until <= :now OR held < #limit)")
        values[":now"] = room.now
    elif room.learned is not None:
        conditions.append("(attribute_not_exists(held) OR held <= :learned)")
        values[":learned"] = room.learned - after.units
    update = _update(after.holding, "ADD held :units", values)
    if conditions:
        update["ConditionExpression"] = " AND ".join(conditions)
        update["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        used = {name: word for name, word in names.items() if name in update["ConditionExpression"]}
        update |= {"ExpressionAttributeNames": used} if used else {}
    if not before.turn_given_by:
        return [update]
    if before.turn_given_by != after.holding:
        values = {":turn": before.turn}
        name = {"#turn": f"turn#{before.priority:02d}"}
        other = _update(before.turn_given_by, "SET #turn = :turn", values) | {"ExpressionAttributeNames": name}
        return [update, other]
    update["UpdateExpression"] = "SET #turn = :turn ADD held :units"
    update["ExpressionAttributeValues"][":turn"] = encode(before.turn)
    update["ExpressionAttributeNames"] = update.get("ExpressionAttributeNames", {}) | {
        "#turn": f"turn#{before.priority:02d}"
    }
    return [update]


def give_back(job: Job, learned: Lease | None) -> dict[str, Any]:
    """The update that gives a lease back, with what a refusal taught about the pool."""
    values: dict[str, Any] = {":units": -job.units}
    if learned is None or learned.limit is None:
        return _update(job.holding, "ADD held :units", values)
    values |= {":limit": learned.limit, ":until": learned.until, ":refusals": learned.refusals}
    expression = "SET #limit = :limit, #until = :until, refusals = :refusals ADD held :units"
    return _update(job.holding, expression, values) | {"ExpressionAttributeNames": _NAMES}


def taught(lease: Lease, units: int, now: float, base_s: float, jitter: Jitter) -> Lease:
    """What a refusal of `units` more teaches: what runs besides is the limit, for a while.

    The while doubles from `base_s` seconds with each refusal, up to half an hour, and is drawn from its upper half.
    """
    refusals = lease.refusals if now - lease.until < FORGIVEN_S else 0
    ceiling = min(LONGEST_LIMIT_S, base_s * 2 ** min(refusals, 20))
    until = now + max(1.0, ceiling / 2 + jitter(0.0, ceiling / 2))
    return replace(lease, limit=max(0, lease.held - units), until=until, refusals=refusals + 1)


def next_turns(
    table: "JobsTable", pools: tuple[str, ...], priority: int, owner: str, cost: float
) -> tuple[float, Lease]:
    """Give an owner her next turn in the line of the first of some pools, and put the one after it `cost` behind.

    Turns are the start tags of start-time fair queueing: an owner's next turn is the end of her last one, or the turn
    that is launched now, whichever is later. So owners alternate however many jobs each has in line, and nobody saves
    turns up while she has none there. Cost is units over the owner's share.

    Source: Goyal, Vin, Cheng: "Start-time Fair Queuing" (SIGCOMM 1996).

    Returns:
        The turn, and the lease as it is then.

    Raises:
        RuntimeError: others kept changing it.
    """
    pool, name = pools[0], f"next#{priority:02d}#{owner}"
    expression = "SET #next = if_not_exists(#next, :none) + :cost"
    values: dict[str, Any] = {"none": 0.0, "cost": cost}
    if len(pools) > 1:
        expression, values = f"{expression} ADD falls_to :others", values | {"others": set(pools[1:])}
    for _ in range(MOST_TRIES):
        lease = table.update_lease(pool, expression, {"#next": name}, values=values)
        if not lease.listed:
            table.register_pool(pool)
        seen, now = lease.owners[priority, owner], lease.turns.get(priority, 0.0)
        if seen - cost >= now:
            return seen - cost, lease
        try:  # she had no job in line for a while: her next turn is now
            table.update_lease(
                pool, "SET #next = :next", {"#next": name}, ConditionExpression="#next = :seen",
                values={"next": now + cost, "seen": seen},
            )  # fmt: skip
        except table.client.exceptions.ConditionalCheckFailedException:
            continue
        return now, lease
    raise RuntimeError(f"turns in the line of {pool} could not be given: others kept changing it")


def return_turn(table: "JobsTable", job: Job) -> None:
    """A job leaves its line without having been launched: its owner's next turn comes that much earlier."""
    if job.turn_given_by:
        name = f"next#{job.priority:02d}#{job.owner}"
        table.update_lease(job.turn_given_by, "ADD #next :cost", {"#next": name}, values={"cost": -job.turn_cost})


def forget_turns(table: "JobsTable", lease: Lease) -> None:
    """Remove turns that are over, when there are many: all, if nobody stands in line. Not those given meanwhile."""
    if len(lease.owners) <= MOST_OWNERS:
        return
    nobody = not table.waiting(lease.pool, 1)
    over = [(key, turn) for key, turn in lease.owners.items() if nobody or turn <= lease.turns.get(key[0], 0.0)][:100]
    if not over:
        return
    names = {f"#n{index}": f"next#{priority:02d}#{owner}" for index, ((priority, owner), _) in enumerate(over)}
    try:
        table.update_lease(
            lease.pool, "REMOVE " + ", ".join(names), names,
            ConditionExpression=" AND ".join(f"#n{index} = :v{index}" for index in range(len(over))),
            values={f"v{index}": turn for index, (_, turn) in enumerate(over)},
        )  # fmt: skip
    except table.client.exceptions.ConditionalCheckFailedException:
        return


def _update(pool: str, expression: str, values: dict[str, Any]) -> dict[str, Any]:
    return {
        "Key": {"pk": encode(f"lease#{pool}")},
        "UpdateExpression": expression,
        "ExpressionAttributeValues": encode_all(values),
    }
