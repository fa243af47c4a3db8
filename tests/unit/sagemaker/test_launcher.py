"""Processes that are forked from a warm interpreter behave as processes that were started."""

import signal
import sys
from pathlib import Path

import pytest

from local.client import wait_for
from local.sagemaker.launcher import Interpreter


@pytest.fixture(scope="module")
def interpreter():
    warm = Interpreter(Path(sys.executable), ("json", "no_such_module"), 1)
    yield warm
    warm.close()


@pytest.fixture
def run(interpreter, tmp_path):
    def go(text, *arguments, env=None, module=False):
        script = tmp_path / "script.py"
        script.write_text(text)
        argv = [sys.executable, *(("-m", "script") if module else (str(script),)), *arguments]
        process = interpreter.start(argv, {"A": "1", **(env or {})}, tmp_path, tmp_path / "log")
        return process.wait(60), (tmp_path / "log").read_text()

    return go


def test_arguments_environment_folder_and_streams(run, tmp_path):
    text = "import os, sys\nprint(sys.argv[1:], dict(os.environ), os.getcwd(), __name__, sys.stdin.read())\nprint('err', file=sys.stderr)"
    code, log = run(text, "--x", "y z")
    assert code == 0
    assert log == f"['--x', 'y z'] {{'A': '1'}} {tmp_path} __main__ \nerr\n"


@pytest.mark.parametrize("module", [False, True])
def test_modules_beside_the_script_are_found_and_ours_are_not(run, tmp_path, module):
    (tmp_path / "beside.py").write_text("WORD = 'mine'")
    text = "import beside, sys\nprint(beside.WORD)\ntry:\n    import warm\nexcept ImportError:\n    print('no warm')"
    assert run(text, module=module) == (0, "mine\nno warm\n")


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('why')", 1, "why\n"),
        ("raise SystemExit", 0, ""),
        ("import os; os._exit(7)", 7, ""),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
        ("import atexit; atexit.register(print, 'bye')", 0, "bye\n"),
        (
            "import threading, time; threading.Thread(target=lambda: (time.sleep(.1), print('late'))).start()",
            0,
            "late\n",
        ),
        ("import subprocess; subprocess.run(['echo', 'child'])", 0, "child\n"),
    ],
)
def test_how_it_ends(run, text, code, said):
    assert run(text) == (code, said)


def test_a_traceback_shows_the_scripts_frames_alone(run, tmp_path):
    code, log = run("def f():\n    raise ValueError('x')\nf()")
    assert code == 1
    assert log.startswith("Traceback (most recent call last):\n") and log.endswith("ValueError: x\n")
    assert log.count('File "') == 2 and "warm.py" not in log and "runpy" not in log


def test_variables_that_an_interpreter_reads_at_its_start_count(run):
    code, log = run("import sys; print(sys.flags.hash_randomization, hash('a'))", env={"PYTHONHASHSEED": "0"})
    assert code == 0 and log.startswith("0 ")
    assert run("import sys; print(sys.flags.hash_randomization, hash('a'))", env={"PYTHONHASHSEED": "0"})[1].endswith(
        log
    )


def test_what_is_no_python_and_what_is_not_there(interpreter, tmp_path):
    log = tmp_path / "log"
    assert (
        interpreter.start(["sh", "-c", "echo $B; exit 4"], {"B": "b", "PATH": "/usr/bin:/bin"}, tmp_path, log).wait(60)
        == 4
    )
    assert log.read_text() == "b\n"
    assert interpreter.start(["/no/such/program"], {}, tmp_path, log).wait(60) == 127
    assert "cannot run /no/such/program" in log.read_text()


def test_a_signal_reaches_the_whole_group(interpreter, tmp_path):
    (tmp_path / "script.py").write_text("import subprocess, sys\nsubprocess.run(['sleep', '60'])\nsys.exit(5)")
    process = interpreter.start(
        [sys.executable, str(tmp_path / "script.py")], {"PATH": "/bin:/usr/bin"}, tmp_path, tmp_path / "log"
    )
    process.signal(signal.SIGTERM)
    assert process.wait(60) == -signal.SIGTERM


def test_a_killed_interpreter_is_replaced(tmp_path):
    warm = Interpreter(Path(sys.executable), (), 1)
    (tmp_path / "script.py").write_text("import time; time.sleep(60)")
    argv = [sys.executable, str(tmp_path / "script.py")]
    process = warm.start(argv, {}, tmp_path, tmp_path / "log")
    warm._process.kill()
    assert process.wait(60) == -signal.SIGKILL
    (tmp_path / "script.py").write_text("print('again')")
    assert warm.start(argv, {}, tmp_path, tmp_path / "log").wait(60) == 0
    warm.close()


def test_what_a_job_leaves_running_ends_with_it(interpreter, tmp_path):
    (tmp_path / "script.py").write_text("import subprocess\nprint(subprocess.Popen(['sleep', '60']).pid)")
    argv = [sys.executable, str(tmp_path / "script.py")]
    assert interpreter.start(argv, {"PATH": "/bin:/usr/bin"}, tmp_path, tmp_path / "log").wait(60) == 0
    pid = int((tmp_path / "log").read_text())
    wait_for(lambda: _is_gone(pid))  # killed at once, but it dies when it is next scheduled


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True
