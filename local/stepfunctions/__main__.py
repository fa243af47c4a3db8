"""`python -m local.stepfunctions --port N`: the Step Functions API alone, over AWS services at another endpoint."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local.clock import RealClock
from local.stepfunctions.server import Server
from local.stepfunctions.service import StepFunctions


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m local.stepfunctions", description=__doc__)
    parser.add_argument("--port", type=int, default=8083)
    parser.add_argument("--endpoint", help="where Lambda, S3, SQS and the rest are; AWS itself if left out")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--account", default="000000000000")
    parser.add_argument(
        "--state", type=Path, help="a folder that keeps machines and executions; else they are forgotten"
    )
    parser.add_argument("--speed", type=float, default=1.0, help="how many times faster than real time waits pass")
    given = parser.parse_args()
    calls = Clients(given.region, given.endpoint, f"http://127.0.0.1:{given.port}")
    service = StepFunctions(given.region, given.account, RealClock(given.speed), calls.client, calls.emit, given.state)
    server = Server(given.port, service)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"Step Functions at http://127.0.0.1:{server.server_port}", flush=True)
    stop.wait()
    server.shutdown()
    service.close()


class Clients:
    """boto3 clients of the services around this one; Step Functions itself is called here."""

    def __init__(self, region: str, endpoint: str | None, own: str) -> None:
        self._region, self._endpoint, self._own = region, endpoint, own

    def client(self, service: str, role_arn: str | None = None, session: str = "stepfunctions") -> Any:
        """A client with this process's credentials; roles are left to the endpoint."""
        endpoint = self._own if service == "stepfunctions" else self._endpoint
        config = Config(
            retries={"max_attempts": 1}, max_pool_connections=50, read_timeout=900, inject_host_prefix=False
        )
        return boto3.client(service, region_name=self._region, endpoint_url=endpoint, config=config)

    def emit(self, source: str, kind: str, detail: dict[str, Any], resources: list[str]) -> None:
        """Status events have no bus to go to: PutEvents takes no source of AWS's own."""


if __name__ == "__main__":
    main()
