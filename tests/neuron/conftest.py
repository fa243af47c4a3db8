"""What needs the container's packages: run there by tests/unit/neuron/test_container.py, left out everywhere else."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]
