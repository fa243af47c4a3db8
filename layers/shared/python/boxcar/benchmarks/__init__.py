"""The cheapest instance that meets a target: the sweep, prices, and what the figures of its load tests come to."""
