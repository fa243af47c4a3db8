"""What a queue in front of one device should do: M/D/1, queries by chance, one server that always takes the same time."""

import math


def share_within(ms: float, service_ms: float, load: float) -> float:
    """Share of queries whose time in the system is at most `ms` (Erlang 1909).

    P(W ≤ t) = (1 − ρ) Σ ((λ(kD − t))^k / k!) e^(−λ(kD − t)) over k ≤ t / D, for the wait W before service. The terms
    alternate and grow with t / D: good to three decimals up to about 20 D.
    """
    wait = ms - service_ms
    if wait < 0:
        return 0.0
    arrivals = load / service_ms
    terms = []
    for k in range(int(wait / service_ms) + 1):
        ahead = arrivals * (k * service_ms - wait)
        terms.append(ahead**k / math.factorial(k) * math.exp(-ahead))
    return (1 - load) * math.fsum(terms)


def percentile_ms(share: float, service_ms: float, load: float) -> float:
    """Time in the system, in milliseconds, that this share of the queries does not exceed."""
    low, high = 0.0, 20 * service_ms
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if share_within(middle, service_ms, load) >= share else (middle, high)
    return high
