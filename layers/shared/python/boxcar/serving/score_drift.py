"""How far the scores that a version gives on its endpoint are from those that it was judged by.

Captured answers are read anew at each look, so that an event that comes twice, late or out of order changes nothing.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from boxcar.errors import BoxcarError
from boxcar.evaluations import Evaluation
from boxcar.families import FamilyVersion
from boxcar.serving.captures import ROOT, read_captures, scores_in
from boxcar.serving.records import Endpoint, Endpoints
from boxcar.serving.targets import VARIANT
from boxcar.serving.versions import judged_scores
from boxcar.shifts import population_stability_index

MOST = 2000  # captured requests, the newest: what a version does now


class ForeignCapture(BoxcarError):  # noqa: N818 - what a key is
    """A key under capture/ that the data capture of an endpoint does not write."""


def place_of(key: str) -> tuple[str, str, str]:
    """Configuration, endpoint and variant of a captured file.

    Raises:
        ForeignCapture: it is none.
    """
    parts = key.split("/")
    if len(parts) < 5 or parts[0] != ROOT:
        raise ForeignCapture(f"{key!r}: is not {ROOT}/<configuration>/<endpoint>/<variant>/…; put it elsewhere")
    return parts[1], parts[2], parts[3]


@dataclass(frozen=True)
class Heard:
    """What came of captured files.

    Attributes:
        drifts: that were measured, by configuration.
        failed: why files could not be looked at, by key.
    """

    drifts: dict[str, float]
    failed: dict[str, Exception]


@dataclass(frozen=True)
class ScoreWatch:
    """Measures the drift of scores.

    Attributes:
        family: the newest version of a family; None if there is none.
        evaluation: of a version of a model; None if there is no such version.
        measure: writes the drift of a configuration down.
    """

    endpoints: Endpoints
    family: Callable[[str], FamilyVersion | None]
    evaluation: Callable[[str, str, str], Evaluation | None]
    s3: Any
    bucket: str
    measure: Callable[[float, str], None]

    def heard(self, keys: Iterable[str]) -> Heard:
        """Measure each configuration that has new captured files; one that fails keeps no other from it."""
        drifts: dict[str, float] = {}
        failed: dict[str, Exception] = {}
        places: dict[tuple[str, str], list[str]] = {}
        for key in keys:
            try:
                config, endpoint, variant = place_of(key)
            except ForeignCapture as error:
                failed[key] = error
                continue
            if variant == VARIANT:
                places.setdefault((config, endpoint), []).append(key)
        for (config, endpoint), of_place in sorted(places.items()):
            try:
                drift = self._drift(config, endpoint)
                if drift is not None:
                    self.measure(drift, config)
                    drifts[config] = drift
            except Exception as error:  # a family or an evaluation that cannot be read, a throttle
                failed.update(dict.fromkeys(of_place, error))
        return Heard(drifts, failed)

    def _drift(self, config: str, endpoint: str) -> float | None:
        record = self.endpoints.get(endpoint)
        version, since = _version_of(record, config) if record else ("", 0.0)
        if not (record and version):
            return None  # a trial, which compares scores itself, or a version that serves no longer
        family = self.family(record.family)
        model = family.family.models.get(record.model) if family else None
        limits = model.serving.rollback if model and model.serving else None
        if limits is None or limits.max_score_drift is None:
            return None
        before = judged_scores(self.evaluation(record.family, record.model, version))
        if before is None or before.edges is None:
            return None
        counts = [0] * len(before.counts)
        for captured in read_captures(self.s3, self.bucket, config, endpoint, VARIANT, since, MOST).records:
            for score in scores_in(captured.answer) or ():
                counts[bisect_right(before.edges, score)] += 1
        if sum(counts) < limits.min_scores:
            return None
        return population_stability_index(before.by_bin(), before.model_copy(update={"counts": counts}).by_bin())


def _version_of(record: Endpoint, config: str) -> tuple[str, float]:
    """The version that a configuration serves, or is being deployed with, and since when; "" if there is none."""
    if record.live and record.live.config == config:
        return record.live.version, datetime.fromisoformat(record.live.since).timestamp()
    tried = record.trial.config if record.trial else ""  # remains written down while its version is deployed
    if record.holder and record.awaited and record.awaited.config == config != tried:
        return record.holder.version, record.awaited.since
    return "", 0.0
