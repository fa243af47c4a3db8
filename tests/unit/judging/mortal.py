"""Clients that die at one call, so that a test can kill a function between any two."""

from typing import Any

from tests.unit.judging.conftest import Stack


class KilledError(Exception):
    """The function was killed: nothing after this call happened."""


class Mortal:
    """A client that dies at one call, before AWS heard of it or after AWS did it but before the answer came."""

    def __init__(self, client: Any, countdown: list[int], after: bool) -> None:
        self._client, self._countdown, self._after = client, countdown, after
        self.exceptions = client.exceptions

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            self._countdown[0] -= 1
            if self._countdown[0] == 0 and not self._after:
                raise KilledError(name)
            try:
                return call(*args, **kwargs)
            finally:  # a refusal is an answer too
                if self._countdown[0] == 0:
                    raise KilledError(name)

        return counted


def mortal(stack: Stack, call: int, after: bool) -> tuple[Stack, list[int]]:
    countdown = [call]
    return stack.with_clients(
        **{name: Mortal(client, countdown, after) for name, client in stack.world.items()}
    ), countdown
