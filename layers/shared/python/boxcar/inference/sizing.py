"""How a transform is set for the files it gets: payload, strategy, requests at once, instances."""

import math
import re
from typing import Any

from boxcar.families import Files
from boxcar.steps import Step

MOST_MB = 100  # CreateTransformJob: requests at once × payload
USUAL_PAYLOAD_MB = 6  # its default; more in one request saves little and costs memory
FILES_PER_INSTANCE = 4  # fewer, and starting a machine takes longer than its files
_SIZE = re.compile(r"\.(?:(\d*)x)?large$")


def sized(step: Step, sizes: list[int], files: Files) -> Step:
    """The transform, set for files of these sizes in bytes.

    CSV is cut between lines, so a request holds many rows; all cores of a machine get requests at once. Parquet cannot
    be cut: a request holds one whole file. A file is never shared by two machines, so there are no more machines than
    files.
    """
    largest_mb = max(1, math.ceil(max(sizes, default=0) / 2**20))
    cores = min(_cores(instance_type) for instance_type in step.resources.instance_types)
    if files.format == "parquet":
        payload = min(MOST_MB, largest_mb + 1)
        options: dict[str, Any] = {"content_type": "application/x-parquet", "split": "None", "strategy": "SingleRecord"}
        requests = min(cores, len(sizes) or 1)
    else:
        payload = max(1, min(USUAL_PAYLOAD_MB, math.ceil(largest_mb / cores)))
        options = {"content_type": "text/csv", "split": "Line", "strategy": "MultiRecord"}
        requests = min(cores, math.ceil(largest_mb / payload))
    options |= {"accept": "text/csv", "payload_mb": payload, "concurrency": max(1, min(requests, MOST_MB // payload))}
    count = max(1, min(math.ceil(len(sizes) / FILES_PER_INSTANCE), files.max_instances))
    return step.model_copy(
        update={
            "options": {**step.options, **options},
            "resources": step.resources.model_copy(update={"instance_count": count}),
        }
    )


def _cores(instance_type: str) -> int:
    """vCPUs by the size in the name of a general-purpose machine: 2 of a large, 4 of an xlarge, 4 n of an n xlarge."""
    found = _SIZE.search(instance_type)
    if not found:
        return 2
    return 2 if found[1] is None else 4 * int(found[1] or 1)
