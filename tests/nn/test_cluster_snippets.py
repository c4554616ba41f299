"""The snippets of docs/distributed.md for SLURM and Kubernetes, with processes of this machine as jobs and pods."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tinygrad_scalar as ts

pytestmark = pytest.mark.peers
da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")
config = pytest.importorskip("dask.config")

PAGE = (Path(__file__).parent.parent.parent / "docs/distributed.md").read_text("utf-8")
rng = np.random.default_rng(0)
X, Y = (da.from_array(rng.normal(size=(200, n)), chunks=(50, -1)) for n in (3, 1))


def snippet(name, sizes):
    """The page's block of Python with this name, up to the client and from there, with sizes for this machine."""
    (text,) = [block for block in re.findall(r"```py\n(.*?)```", PAGE, re.DOTALL) if name in block]
    for theirs, ours in sizes.items():
        assert theirs in text
        text = text.replace(theirs, ours)
    cluster, client = text.split("client = ")
    return cluster, f"client = {client}"


def bits_of_training(**options):
    net = ts.MLP(3, [4, 1], "tanh", "linear", seed=0)
    ts.fit(net, X, Y, epochs=4, batch_size=20, progress=False, **options)
    return [p.data.hex() for p in net.parameters()]


COMMANDS = {  # of SLURM: a job is a group of processes, with its leader's number
    "sbatch": 'setsid sh -c "$(cat "$1")" >/dev/null 2>&1 & echo "Submitted batch job $!"',
    "scancel": 'for job; do kill -- "-$job"; done',
}


def test_the_snippet_for_slurm_replaces_jobs_that_end_in_mid_training(monkeypatch, tmp_path):
    pytest.importorskip("dask_jobqueue")
    for name, command in COMMANDS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{command}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    make_cluster, make_client = snippet(
        "SLURMCluster", {"=80": "=2", "workers(8, timeout=3600)": "workers(2, timeout=60)", "history = ": "# "}
    )
    names, ended = {}, []

    def end_all_jobs(epoch):
        if epoch.number == 2:
            ended.extend(job.job_id for job in names["cluster"].workers.values())
            subprocess.run(["scancel", *ended], check=True)

    with config.set(
        {"distributed.deploy.lost-worker-timeout": "0.1s", "distributed.scheduler.no-workers-timeout": "60s"}
    ):
        exec(make_cluster, names)
        with names["cluster"]:
            exec(make_client, names)
            with names["client"] as client:
                assert bits_of_training(client=client, callbacks=end_all_jobs) == bits_of_training()
    assert len(ended) == 2


def test_the_snippet_for_kubernetes_makes_pods_whose_commands_run(monkeypatch, tmp_path):
    operator = pytest.importorskip("dask_kubernetes.operator")
    address, pods = tmp_path / "scheduler.json", []

    def start(role, *more, **env):
        (container,) = role["spec"]["containers"]
        program, *arguments = [text.replace("$(DASK_WORKER_NAME)", "worker") for text in container["args"]]
        assert program == "dask"
        env |= {variable["name"]: variable["value"] for variable in container["env"]}
        command = [sys.executable, "-m", "dask", *arguments, *more]
        pods.append(subprocess.Popen(command, env={**os.environ, **env}, stderr=subprocess.DEVNULL))

    class KubeCluster:
        def __init__(self, custom_cluster_spec):
            start(custom_cluster_spec["spec"]["scheduler"], "--port", "0", "--scheduler-file", str(address))
            while not address.exists():
                time.sleep(0.02)
            assert custom_cluster_spec["spec"]["worker"]["replicas"] == 1
            start(custom_cluster_spec["spec"]["worker"], "--scheduler-file", str(address))

        def get_client(self):
            return distributed.Client(scheduler_file=str(address), set_as_default=False)

    monkeypatch.setattr(operator, "KubeCluster", KubeCluster)
    make_cluster, make_client = snippet(
        "KubeCluster", {"n_workers=8": "n_workers=1", "workers(8, timeout=600)": "workers(1, timeout=60)"}
    )
    try:
        exec(make_cluster + make_client, names := {})
        with names["client"] as client:
            assert client.run(os.getenv, "NAME") == dict.fromkeys(client.nthreads(), "value")
            assert set(client.nthreads().values()) == {1}
            assert bits_of_training(client=client) == bits_of_training()
    finally:
        for pod in pods:
            pod.terminate()
        for pod in pods:
            pod.wait()
