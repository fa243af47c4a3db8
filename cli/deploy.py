"""`boxcar deploy`: the real SAM CLI, against AWS or against the embedded cloud."""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import click

from cli.api import embedded_url
from cli.layers import zip_layers
from cli.session import Session

SAM = Path(".boxcar/environments/sam/bin/sam")


def deploy(session: Session, config_env: str, quiet: bool = False, build_folder: Path | None = None) -> None:
    """Build and deploy the stack of this folder.

    Args:
        session: which cloud; its environment decides where SAM's calls go.
        config_env: a section of samconfig.toml.
        quiet: show SAM's output only when it fails.
        build_folder: where to build, for several deployments at once; samconfig.toml says where by default.

    Raises:
        click.ClickException: SAM failed; its output was shown.
    """
    binaries = [str(Path(sys.executable).parent), str(SAM.parent.resolve())]
    environment = {
        **session.environment,
        "PATH": os.pathsep.join([*binaries, os.environ.get("PATH", "")]),
        "SAM_CLI_TELEMETRY": "0",
    }
    if session.local:
        # Functions run on this machine there, so their dependencies are built for it.
        environment["BOXCAR_LAYER_PYTHON"] = sys.executable
    for folder in ("functions", "layers/shared"):  # packaged as they are; what Python left there would change each zip
        for compiled in Path(folder).rglob("__pycache__"):
            shutil.rmtree(compiled, ignore_errors=True)
    build_options = ["--build-dir", str(build_folder)] if build_folder else []
    deploy_options = ["--template-file", str(build_folder / "template.yaml")] if build_folder else []
    # Named, because SAM looks for it beside the template, and that lies in the build folder.
    config = ["--config-file", str(Path("samconfig.toml").resolve()), "--config-env", config_env]
    _sam(["build", *config, *build_options], environment, quiet)
    if session.local:
        zip_layers(build_folder or Path(".boxcar/build"))  # as in samconfig.toml
        deploy_options += ["--parameter-overrides", f"{_overrides(config_env)} ReviewsUrl={_reviews_url(session)}"]
    _sam(["deploy", *config, *deploy_options], environment, quiet)


def _overrides(config_env: str) -> str:
    """The parameters in samconfig.toml. SAM forgets them when others are given to it."""
    with Path("samconfig.toml").open("rb") as file:
        known = tomllib.load(file)
    return str(known.get(config_env, {}).get("deploy", {}).get("parameters", {}).get("parameter_overrides", ""))


def _reviews_url(session: Session) -> str:
    """Where a browser on this machine finds pages of the stack: the embedded cloud's names of APIs are in no DNS."""
    return embedded_url("https://{id}/v1", session.cloud.endpoint)


def _sam(arguments: list[str], environment: dict[str, str], quiet: bool) -> None:
    with tempfile.TemporaryFile(mode="w+") as log:
        output = log if quiet else None
        done = subprocess.run(
            ["sam", *arguments], env=environment, stdout=output, stderr=subprocess.STDOUT, check=False
        )
        if done.returncode:
            log.seek(0)
            click.echo(log.read(), nl=False)
            raise click.ClickException(f"sam {' '.join(arguments)} failed with exit code {done.returncode}")


@click.command("deploy")
@click.option("--config-env", help="Section of samconfig.toml. [default: local with --local, else default]")
@click.pass_obj
def deploy_command(session: Session, config_env: str | None) -> None:
    """Build the stack of this folder and deploy it."""
    deploy(session, config_env or ("local" if session.local else "default"))


@click.command()
@click.argument("name", required=False)
@click.pass_obj
def outputs(session: Session, name: str | None) -> None:
    """Print the outputs of the deployed stack, or one of them."""
    if name is None:
        for key, value in sorted(session.outputs.items()):
            click.echo(f"{key}  {value}")
        return
    if name not in session.outputs:
        raise click.ClickException(f"{name!r} is not an output; write one of {', '.join(sorted(session.outputs))}")
    click.echo(session.outputs[name])
