"""Warm pools: instances that a training job leaves behind for the next one like it.

https://docs.aws.amazon.com/sagemaker/latest/dg/train-warm-pools.html
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from local.sagemaker.capacity import Quotas
from local.sagemaker.store import Store
from local.sagemaker.timers import Timer, Timers
from local.service import ApiError

USE, JOB_USE = "training warm pool", "training job"
RESOURCE = "training-job"
HEALTHY = ("AlgorithmError", "ClientError")  # a job that failed so has not harmed its instances


@dataclass
class Pool:
    """The instances that one job left."""

    job: str
    key: str
    instance_type: str
    count: int
    since: float  # when they became available, epoch seconds
    timer: Timer


class WarmPools:
    """Every warm pool that is available. Its instances count against the quotas of training jobs and of warm pools."""

    def __init__(self, store: Store, quotas: Quotas, timers: Timers, time: Callable[[], float]) -> None:
        self._store = store
        self._quotas = quotas
        self._timers = timers
        self._time = time
        self.lock = threading.RLock()  # held from `retain` until the job's record says so
        self._pools: list[Pool] = []

    def claim(self, record: dict[str, Any]) -> bool:
        """Hand a matching pool to a new job, with its place in the quota of training jobs; False: there is none."""
        key = _key(record)
        with self.lock:
            pool = next((pool for pool in self._pools if pool.key == key), None)
            if pool is None:
                return False
            self._end(pool, {"Status": "Reused", "ReusedByJob": record["TrainingJobName"]})
        return True

    def retain(self, record: dict[str, Any], healthy: bool) -> dict[str, Any]:
        """Keep the instances of a job that ends, if it asked for it and the quota allows; return its WarmPoolStatus.

        If that is Available, the instances stay in use.
        """
        resources = record["ResourceConfig"]
        seconds, count = resources.get("KeepAlivePeriodInSeconds", 0), resources.get("InstanceCount", 1)
        terminated = {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 0}
        if not seconds or not healthy:
            return terminated
        try:
            self._quotas.take(resources["InstanceType"], count, USE)
        except ApiError:
            return terminated  # "a warm pool is only created if your warm pool limit has sufficient resources"
        with self.lock:
            pool = Pool(
                record["TrainingJobName"], _key(record), resources["InstanceType"], count, self._time(), Timer()
            )
            pool.timer = self._timers.after(seconds, partial(self._expire, pool))
            self._pools.append(pool)
        return {"Status": "Available"}

    def update(self, request: dict[str, Any]) -> dict[str, Any]:
        """UpdateTrainingJob: another time to keep a pool for, counted from its beginning; 0 ends it now."""
        name = request["TrainingJobName"]
        record = self._store.get(RESOURCE, name)
        if record is None:
            raise ApiError("ValidationException", "Requested resource not found.")
        seconds = request.get("ResourceConfig", {}).get("KeepAlivePeriodInSeconds")
        if seconds is None:
            words = "the embedded cloud changes nothing but ResourceConfig.KeepAlivePeriodInSeconds of a training job"
            raise ApiError("ValidationException", words)
        with self.lock:
            pool = next((pool for pool in self._pools if pool.job == name), None)
            if pool is None:
                status = record.get("WarmPoolStatus", {}).get("Status", "none")
                words = f"KeepAlivePeriodInSeconds can be changed while the warm pool is Available; it is {status}."
                raise ApiError("ValidationException", words)
            resources = {**record["ResourceConfig"], "KeepAlivePeriodInSeconds": seconds}
            self._store.change(RESOURCE, name, {"ResourceConfig": resources})
            pool.timer.cancel()
            pool.timer = self._timers.after(pool.since + seconds - self._time(), partial(self._expire, pool))
        return {"TrainingJobArn": record["TrainingJobArn"]}

    def _expire(self, pool: Pool) -> None:
        with self.lock:
            if pool in self._pools:
                self._end(pool, {"Status": "Terminated"})
                self._quotas.give(pool.instance_type, pool.count, JOB_USE)

    def _end(self, pool: Pool, status: dict[str, Any]) -> None:
        self._pools.remove(pool)
        pool.timer.cancel()
        self._quotas.give(pool.instance_type, pool.count, USE)
        status |= {"ResourceRetainedBillableTimeInSeconds": round(self._time() - pool.since)}
        self._store.change(RESOURCE, pool.job, {"WarmPoolStatus": status})


def is_healthy(status: str, why: str | None, launched: bool) -> bool:
    """Whether a job that ended so leaves instances that another may use."""
    return status == "Completed" or (launched and (status == "Stopped" or (why or "").startswith(HEALTHY)))


def _key(record: dict[str, Any]) -> str:
    """What must be the same, under the heading "Matching training jobs"."""
    resources = record["ResourceConfig"]
    same = [record["RoleArn"], record.get("VpcConfig"), record.get("SessionChainingConfig")]
    same += [resources.get(name) for name in ("InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId")]
    same += [record["EnableNetworkIsolation"], record["EnableInterContainerTrafficEncryption"]]
    return json.dumps(same, sort_keys=True)
