"""Script mode, as the toolkit inside SageMaker's framework images does it (sagemaker-containers)."""

import json
from pathlib import Path
from typing import Any

from local.sagemaker.containers import rewrite

# https://github.com/aws/sagemaker-training-toolkit/blob/master/ENVIRONMENT_VARIABLES.md
HOST = "algo-1"
INTERFACE = "eth0"


def decoded(hyperparameters: dict[str, str]) -> dict[str, Any]:
    """Hyperparameters as values: each is JSON if it can be read as JSON, else the text itself."""
    values: dict[str, Any] = {}
    for key, text in hyperparameters.items():
        try:
            values[key] = json.loads(text)
        except ValueError:
            values[key] = text
    return values


def is_users(name: str) -> bool:
    """Whether a hyperparameter is for the script, not for the toolkit."""
    return not name.startswith("sagemaker_")


def arguments(values: dict[str, Any]) -> list[str]:
    """Hyperparameters as the script's arguments: `--name value`, sorted by name, `-n value` for one letter."""
    parts: list[str] = []
    for key in sorted(values):
        if is_users(key):
            value = values[key]
            parts += [f"-{key}" if len(key) == 1 else f"--{key}", "" if value is None else str(value)]
    return parts


def input_data_config(channels: list[dict[str, Any]], mode: str) -> dict[str, dict[str, str]]:
    """The content of inputdataconfig.json."""
    config = {}
    for channel in channels:
        source = channel["DataSource"]["S3DataSource"]
        entry = {
            "TrainingInputMode": channel.get("InputMode", mode),
            "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
        if "ContentType" in channel:
            entry["ContentType"] = channel["ContentType"]
        config[channel["ChannelName"]] = entry
    return config


def resource_config(instance_type: str) -> dict[str, Any]:
    """The content of resourceconfig.json: one host."""
    group = {"instance_group_name": "homogeneousCluster", "instance_type": instance_type, "hosts": [HOST]}
    return {
        "current_host": HOST,
        "current_instance_type": instance_type,
        "current_group_name": "homogeneousCluster",
        "hosts": [HOST],
        "instance_groups": [group],
        "network_interface_name": INTERFACE,
    }


def variables(
    base: Path,
    *,
    job: str,
    values: dict[str, Any],
    channels: list[dict[str, Any]],
    mode: str,
    instance_type: str,
    framework: str,
    cpus: int,
) -> dict[str, str]:
    """The SM_* environment variables that the toolkit sets for a training script. `base` is the job's /opt/ml."""
    users = {key: value for key, value in values.items() if is_users(key)}
    names = sorted(channel["ChannelName"] for channel in channels)
    folders = {name: str(base / "input/data" / name) for name in names}
    entry = str(values["sagemaker_program"])
    module = entry.removesuffix(".py")
    submitted = str(values.get("sagemaker_submit_directory", base / "code"))
    inputs, resources = input_data_config(channels, mode), resource_config(instance_type)
    places = {
        "input_dir": str(base / "input"),
        "input_config_dir": str(base / "input/config"),
        "output_dir": str(base / "output"),
        "output_data_dir": str(base / "output/data"),
        "output_intermediate_dir": str(base / "output/intermediate"),
        "model_dir": str(base / "model"),
    }
    plain = {
        "user_entry_point": entry,
        "module_name": module,
        "module_dir": submitted,
        "framework_module": framework,
        "current_host": HOST,
        "network_interface_name": INTERFACE,
        "log_level": values.get("sagemaker_container_log_level", 20),
        "num_cpus": cpus,
        "num_gpus": 0,
        **places,
    }
    everything = {
        **plain,
        "additional_framework_parameters": {},
        "channel_input_dirs": folders,
        "hosts": [HOST],
        "hyperparameters": users,
        "input_data_config": inputs,
        "is_master": True,
        "job_name": job,
        "master_hostname": HOST,
        "resource_config": resources,
    }
    env = {f"SM_{key.upper()}": str(value) for key, value in plain.items()}
    env |= {
        "SM_HOSTS": json.dumps([HOST]),
        "SM_HPS": json.dumps(users),
        "SM_FRAMEWORK_PARAMS": "{}",
        "SM_RESOURCE_CONFIG": json.dumps(resources),
        "SM_INPUT_DATA_CONFIG": json.dumps(inputs),
        "SM_CHANNELS": json.dumps(names),
        "SM_TRAINING_ENV": json.dumps(everything),
        "SM_USER_ARGS": json.dumps([rewrite(part, base.parent.parent) for part in arguments(values)]),
    }
    env |= {f"SM_CHANNEL_{name.upper()}": folder for name, folder in folders.items()}
    return env | {f"SM_HP_{key.upper()}": "" if value is None else str(value) for key, value in users.items()}
