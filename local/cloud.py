"""The embedded cloud: MiniStack with Boxcar's own services in it, on one port, as one object."""

import asyncio
import importlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local import environments, iam
from local import ministack_seam as seam
from local.access_logs import AccessLogs
from local.api import error_response, json_handler
from local.audit import Audit
from local.clock import Clock, RealClock
from local.control import Control
from local.delivery import Deliverer, Delivery
from local.faults import Faults
from local.functions import Function, Runtime
from local.mailbox import Mailbox
from local.measures import Measures
from local.own_services import OWN_SERVICES, Own
from local.schedules import Schedules
from local.service import ApiError, Service
from local.stacks import Stacks
from local.streams import Streams
from local.traces import HEADER

logger = logging.getLogger("boxcar.cloud")

REGION = "us-east-1"
ACCOUNT = "000000000000"
UNPACKED = environments.ROOT / ".boxcar" / "cache" / "functions"
CONCURRENCY = max(4, 4 * (os.cpu_count() or 1))  # functions at once


class EmbeddedCloud:
    """One cloud in this process; MiniStack's state is global, so there can be no second.

    Implements `local.service.Cloud`.
    """

    def __init__(
        self,
        state: Path,
        port: int,
        clock: Clock | None = None,
        services: tuple[Own, ...] = OWN_SERVICES,
        concurrency: int = CONCURRENCY,
    ) -> None:
        self.region = REGION
        self.account = ACCOUNT
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port}"
        self.state = state.resolve()
        self.clock: Clock = clock or RealClock()
        self.audit = Audit()
        self.faults = Faults()
        self.mailbox = Mailbox(self.state / "mailbox")
        self.services: dict[str, Service] = {}
        self.measures = Measures(self.services)
        self._session = boto3.Session(region_name=self.region)
        self._clients: dict[tuple[str, str | None, str], Any] = {}
        self._clients_lock = threading.Lock()
        self._doomed: dict[str, str] = {}  # calls whose caller is killed when they have taken effect, and its trace
        self.state.mkdir(parents=True, exist_ok=True)
        seam.configure(self.state, port, self.region, self.account)
        seam.check()
        seam.quiet()
        self._runtime = Runtime(
            interpreter=lambda: self.environment("lambda"),
            folder=UNPACKED,
            credentials=lambda function: self.credentials(function.role_arn, function.name),
            region=self.region,
            endpoint=self.endpoint,
            concurrency=concurrency,
        )
        self._deliverer = Deliverer(self, self.measures.delivery)
        self.schedules = Schedules(seam.take_schedules(), self._deliverer.submit, self.clock)
        expire = seam.take_expiry(self.account, self.region)
        self.streams = Streams(self, seam.TableStreams(self.account, self.region), expire)
        self._access_logs = AccessLogs(self)
        self._patch()
        for own in services:
            self._mount(own)
        self._stacks = Stacks(self.services, self.account)
        self.control = Control(self)

    # -- what services use (local.service.Cloud) --

    def client(self, service: str, role_arn: str | None = None, session: str = "boxcar") -> Any:
        """A boto3 client of this cloud, as the account's root or as a session of a role."""
        key = (service, role_arn, session)
        with self._clients_lock:
            client = self._clients.get(key)
            if client is None:
                keys = self.credentials(role_arn, session) if role_arn else {}
                client = self._clients[key] = self._session.client(
                    service,
                    endpoint_url=self.endpoint,
                    aws_access_key_id=keys.get("AWS_ACCESS_KEY_ID", "test"),
                    aws_secret_access_key=keys.get("AWS_SECRET_ACCESS_KEY", "test"),
                    aws_session_token=keys.get("AWS_SESSION_TOKEN"),
                    # what a service of AWS does for its user is not retried behind the user's back
                    config=Config(retries={"total_max_attempts": 1}, max_pool_connections=64, read_timeout=900),
                )
                while len(self._clients) > 512:  # sessions are many, one an execution
                    self._clients.pop(next(iter(self._clients)))
        return client

    def credentials(self, role_arn: str, session: str) -> dict[str, str]:
        """Environment variables that make a process act as the role."""
        return seam.role_credentials(role_arn, session[:64], self.region, self.account)

    def emit(self, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        """Put an event of an AWS service on the default bus."""
        self.measures.event(source, detail_type, detail)
        seam.put_event(source, detail_type, detail, resources, self.account, self.region)

    def environment(self, name: str) -> Path:
        """The interpreter of `local/environments/<name>.lock`.

        Raises:
            KeyError: there is no such lock file.
        """
        return environments.environment(name)

    # -- life --

    async def serve(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Answer requests until `stop`; `ready` is called when the port is open."""
        from hypercorn.asyncio import serve
        from hypercorn.config import Config as ServerConfig

        config = ServerConfig()
        config.bind = [f"127.0.0.1:{self.port}"]
        config.accesslog = None
        config.errorlog = logging.getLogger("hypercorn.error")
        config.keep_alive_timeout = 75
        config.graceful_timeout = 2
        config.shutdown_timeout = 10

        async def stopped() -> None:
            await stop.wait()
            # While everything can still be reached; and a call that waits for a function would keep the server for as
            # long as the function tries to reach it.
            await asyncio.to_thread(self._end_work)

        serving = asyncio.create_task(serve(self.control.asgi(seam.asgi()), config, shutdown_trigger=stopped))  # type: ignore[arg-type]
        while not serving.done():
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            break
        if not serving.done():
            self.schedules.start()
            self.streams.start()
            for work in (self._stacks.prepare, self._runtime.warm):
                threading.Thread(target=work, name=work.__name__, daemon=True).start()
            ready()
        try:
            await serving
        finally:
            await asyncio.to_thread(self.close)

    def close(self) -> None:
        """End the functions and the services; they save what must outlive the process."""
        self._end_work()
        for name, service in self.services.items():
            try:
                service.close()
            except Exception:
                logger.exception("service %s did not close cleanly", name)

    def _end_work(self) -> None:
        """End what works by itself: what fires, executions, functions. It may be called again."""
        self.schedules.close()
        self.streams.close()
        self._deliverer.close()
        for service in self.services.values():
            getattr(service, "halt", lambda: None)()  # before the functions: that they end is no failure of a step
        self._runtime.close()  # before the services close, which wait for the calls that they have made

    # -- wiring --

    def _patch(self) -> None:
        seam.run_functions(self._run_function, self._runtime.forget)
        seam.deliver_mail(self._deliver_mail)
        seam.filter_events(self._filter_event)
        seam.deliver_events(self._deliver_event)
        seam.silence_metrics()
        seam.watch_queues(self.measures.queue)
        seam.name_denied_resources()
        seam.name_denied_methods()
        seam.tell_calls(self._access_logs.write)
        namer = iam.resource_namer(self.region, self.account, self._token_machine, seam.iterator_stream)
        seam.name_resources(namer)
        seam.name_rest_actions("sagemaker", "sagemaker-runtime")
        seam.watch_requests(self._before, self._after)

    def _mount(self, own: Own) -> None:
        try:
            module = importlib.import_module(own.module)
        except ModuleNotFoundError as error:
            if error.name is None or not own.module.startswith(error.name):
                raise  # the service is there, what it imports is not
            logger.warning("%s is not there: MiniStack's own %s answers, if it has one", own.module, own.name)
            return
        service = own.make(module, self)
        self.services[own.name] = service
        # a service that says which actions it has leaves the others to MiniStack
        actions = getattr(service, "actions", None)
        further = partial(iam.further_resources, own.name, self.region, self.account)
        seam.mount(own.name, own.target_prefix, json_handler(own.name, service, further), actions)

    def _token_machine(self, token: str) -> str | None:
        find = getattr(self.services.get("states"), "token_machine", None)
        return find(token) if find else None

    async def _before(self, request: seam.Request) -> seam.Response | None:
        if request.service == "cloudformation":
            try:
                await self._stacks.before(request.action, request.body)
            except ApiError as error:
                return error_response("cloudformation", error)
        trace = request.headers.get(HEADER, "")
        killable = self._runtime.works(trace)
        rule = self.faults.on_call(request.service, request.action, request.caller_arn, request.body, killable)
        if rule is None:
            return None
        if rule.get("delay"):
            await self.clock.sleep(float(rule["delay"]))
        if rule.get("deny"):
            return seam.denial(request)
        if rule.get("error"):
            message = rule.get("message", f"{rule['error']} (a fault on purpose)")
            return error_response(request.service, ApiError(rule["error"], message, int(rule.get("status", 400))))
        if rule.get("kill") == "before":
            self._runtime.kill(trace)
            return error_response(request.service, ApiError("InternalFailure", "nobody is left to read this", 500))
        if rule.get("kill") == "after":
            self._doomed[request.request_id] = trace
        return None

    def _after(self, request: seam.Request, status: int) -> None:
        if request.request_id in self._doomed:
            self._runtime.kill(self._doomed.pop(request.request_id))
        self.audit.call(request.service, request.action, request.caller_arn, status)
        if (request.service, request.action) == ("logs", "PutLogEvents") and status < 300:
            self.measures.log_events(request.body)

    def _filter_event(self, event: dict[str, Any], deliver: Callable[[], None]) -> None:
        rule = self.faults.on_event(event["source"] or "", event["detail-type"] or "", event["detail"])
        effect = rule["effect"] if rule else ""
        if effect == "lose":
            return
        if rule is not None and effect == "late":
            delay = float(rule.get("delay", 5.0))
            threading.Thread(target=self._deliver_late, args=(deliver, delay), name="late-event", daemon=True).start()
            return
        deliver()
        if effect == "double":
            deliver()

    def _deliver_late(self, deliver: Callable[[], None], delay: float) -> None:
        asyncio.run(self.clock.sleep(delay))
        deliver()

    def _deliver_event(self, target: dict[str, Any], payload: str, rule: dict[str, Any]) -> bool:
        arn = target.get("Arn", "")
        if arn.split(":")[2:3] not in (["lambda"], ["sqs"], ["sns"], ["states"]):
            return False
        self._deliverer.submit(Delivery(target, payload, rule.get("Arn", "")))
        return True

    def _deliver_mail(self, address: str, topic_arn: str, subject: str | None, text: str, as_json: bool) -> None:
        self.mailbox.write(address, topic_arn, subject, text, as_json, self.clock.time())

    def _run_function(
        self, config: dict[str, Any], code: bytes, layers: tuple[bytes, ...], event: Any
    ) -> dict[str, Any]:
        function = Function.of(config, code, layers)
        started = time.monotonic()
        with self.clock.hold():
            outcome = self._runtime.invoke(function, event)
        seconds, failed = time.monotonic() - started, outcome.error is not None
        self.audit.invocation(function.name, seconds, outcome.cold, failed)
        self.measures.invocation(function.name, function.log_group, seconds, failed, outcome.throttled, outcome.log)
        if outcome.throttled:
            return {"throttle": True}
        if outcome.error is not None:
            return {"body": outcome.error, "error": True, "log": outcome.log}
        return {"body": json.loads(outcome.result or "null"), "log": outcome.log}
