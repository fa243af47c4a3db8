"""What the stack tells its functions through environment variables, typed and read once."""

import json
import os
from dataclasses import dataclass, field
from functools import cache


@dataclass(frozen=True)
class Settings:
    """The environment of every function. template.yaml sets each name for the functions that need it."""

    stack: str = ""  # prefix of every job, model package group and statement of this stack
    bucket: str = ""  # triggers/, runs/, reports/, code/, models/
    jobs_table: str = ""
    models_table: str = ""
    launch_queue_url: str = ""  # FIFO, one message group: wakes the launcher
    events_queue_url: str = ""  # what the monitor hears; also carries delayed wakes to the launcher
    alarm_queue_url: str = ""
    retraining_queue_url: str = ""  # counts of labels are looked at again by it
    archive_dead_letters_url: str = ""
    reviews_url: str = ""  # where people reach the pages on which versions are decided, without a trailing slash
    training_machine_arn: str = ""  # started when a family has drifted
    machines: dict[str, str] = field(default_factory=dict)  # name -> ARN, of those that may be triggered by name
    documents_endpoint: str = ""  # asynchronous; documents under async/input/ go to it
    document_most_bytes: int = 0  # of one document
    slack_secret_arn: str = ""  # of Secrets Manager; see boxcar.slack. Empty: no Slack
    topic_arn: str = ""  # SNS: mails carry their audience, and subscriptions choose
    alarm_quiet_s: float = 3600.0  # alarms of one cause within it are counted, not mailed
    job_role_arn: str = ""  # SageMaker jobs run with it
    endpoint_role_arn: str = ""  # endpoints run with it
    warehouse_role_arn: str = ""  # Redshift reads and writes S3 with it
    redshift_workgroup: str = ""  # serverless; else cluster and user
    redshift_cluster: str = ""
    redshift_user: str = ""
    redshift_database: str = ""
    images: dict[str, str] = field(default_factory=dict)  # name in an architecture -> image URI
    instance_limits: dict[str, int] = field(default_factory=dict)  # pool, as training/ml.m5.large -> units at most
    owner_shares: dict[str, float] = field(default_factory=dict)  # owner -> weight; who is not named has 1
    benchmark_vcpus: dict[str, int] = field(default_factory=dict)  # instance family -> vCPUs of its queue; 0: no queue
    history_days: float = 90.0  # after its end, a job stays in the table so long
    run_retention_days: float = 90.0  # working files of runs are deleted then
    first_look_s: float = 180.0  # after launch, if no event has come; later looks are twice as far each time
    retry_s: float = 10.0  # ceiling of the first backoff; it doubles
    region: str = ""
    console_url: str = ""  # where links in mails lead, without a trailing slash

    @property
    def history_s(self) -> float:
        """`history_days` in seconds."""
        return self.history_days * 86400


@cache
def settings() -> Settings:
    """Read the environment once per process.

    Raises:
        ValueError: a variable that holds JSON does not, or one that holds a number.
    """
    env = os.environ
    return Settings(
        stack=env.get("BOXCAR_STACK", ""),
        bucket=env.get("BOXCAR_BUCKET", ""),
        jobs_table=env.get("BOXCAR_JOBS_TABLE", ""),
        models_table=env.get("BOXCAR_MODELS_TABLE", ""),
        launch_queue_url=env.get("BOXCAR_LAUNCH_QUEUE_URL", ""),
        events_queue_url=env.get("BOXCAR_EVENTS_QUEUE_URL", ""),
        alarm_queue_url=env.get("BOXCAR_ALARM_QUEUE_URL", ""),
        retraining_queue_url=env.get("BOXCAR_RETRAINING_QUEUE_URL", ""),
        training_machine_arn=env.get("BOXCAR_TRAINING_MACHINE_ARN", ""),
        archive_dead_letters_url=env.get("BOXCAR_ARCHIVE_DEAD_LETTERS_URL", ""),
        reviews_url=env.get("BOXCAR_REVIEWS_URL", "").replace("{id}", env.get("BOXCAR_REVIEWS_API_ID", "")),
        documents_endpoint=env.get("BOXCAR_DOCUMENTS_ENDPOINT", ""),
        document_most_bytes=int(env.get("BOXCAR_DOCUMENT_MOST_BYTES", "0")),
        slack_secret_arn=env.get("BOXCAR_SLACK_SECRET_ARN", ""),
        topic_arn=env.get("BOXCAR_TOPIC_ARN", ""),
        alarm_quiet_s=float(env.get("BOXCAR_ALARM_QUIET_S", "3600")),
        job_role_arn=env.get("BOXCAR_JOB_ROLE_ARN", ""),
        endpoint_role_arn=env.get("BOXCAR_ENDPOINT_ROLE_ARN", ""),
        warehouse_role_arn=env.get("BOXCAR_WAREHOUSE_ROLE_ARN", ""),
        redshift_workgroup=env.get("BOXCAR_REDSHIFT_WORKGROUP", ""),
        redshift_cluster=env.get("BOXCAR_REDSHIFT_CLUSTER", ""),
        redshift_user=env.get("BOXCAR_REDSHIFT_USER", ""),
        redshift_database=env.get("BOXCAR_REDSHIFT_DATABASE", ""),
        machines=json.loads(env.get("BOXCAR_MACHINES", "{}")),
        images=json.loads(env.get("BOXCAR_IMAGES", "{}")),
        instance_limits=json.loads(env.get("BOXCAR_INSTANCE_LIMITS", "{}")),
        owner_shares=json.loads(env.get("BOXCAR_OWNER_SHARES", "{}")),
        benchmark_vcpus=json.loads(env.get("BOXCAR_BENCHMARK_VCPUS", "{}")),
        history_days=float(env.get("BOXCAR_JOB_RETENTION_DAYS", "90")),
        run_retention_days=float(env.get("BOXCAR_RUN_RETENTION_DAYS", "90")),
        first_look_s=float(env.get("BOXCAR_FIRST_LOOK_S", "180")),
        retry_s=float(env.get("BOXCAR_RETRY_S", "10")),
        region=env.get("AWS_REGION", env.get("AWS_DEFAULT_REGION", "")),
        console_url=env.get("BOXCAR_CONSOLE_URL", ""),
    )
