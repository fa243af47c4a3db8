"""The scenarios of MLPerf inference (Reddi et al. 2020, section IV-A) that a cell can be tested under."""

from typing import NamedTuple

READY_S = 600.0  # for a worker to load and warm up
DRAIN_S = 30.0  # beyond twice the length of a measurement, for answers that are still to come


class Scenario(NamedTuple):
    """One way in which queries come."""

    loadgen: str  # LoadGen's name of it
    offers_rate: bool = False  # queries come at a rate of the test's choice
    measurements: int = 1  # at most


SCENARIOS = {
    "server": Scenario("Server", offers_rate=True, measurements=12),  # by chance, as those of many users
    "offline": Scenario("Offline"),  # all at once
    "single_stream": Scenario("SingleStream"),  # each when the one before is answered
}
