"""The scenarios of MLPerf inference (Reddi et al. 2020, section IV-A) that a cell can be tested under."""

from typing import NamedTuple


class Scenario(NamedTuple):
    """One way in which queries come."""

    loadgen: str  # LoadGen's name of it
    offers_rate: bool = False  # queries come at a rate of the test's choice


SCENARIOS = {
    "server": Scenario("Server", offers_rate=True),  # by chance, as those of many users
    "offline": Scenario("Offline"),  # all at once
    "single_stream": Scenario("SingleStream"),  # each when the one before is answered
}
