"""The files in deploy/: they name real fields and options, and what they start trains as one process does."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.commands import resolved
from tests.conftest import ROOT, yaya
from torch.distributed.run import get_args_parser

DEPLOY = ROOT / "deploy"
JOBSET, TRAINJOB = (DEPLOY / "kubernetes" / name for name in ("jobset.yaml", "trainjob.yaml"))
STEPS = 80
KEYS = ["dtype=float32", "threads=1", "from=base", f"steps={STEPS}", "optimizer=adamw", "learning_rate=3e-3"]
KEYS += ["hidden_size=64", "num_hidden_layers=2", "context_length=128", "batch_tokens=1024", "samples=1"]


def documents(path: Path) -> dict[str, Any]:
    """The manifests of a file, by kind."""
    return {found["kind"]: found for found in yaml.safe_load_all(path.read_text("utf-8"))}


def pod(path: Path) -> dict[str, Any]:
    """The pod template of the training's only job."""
    found = documents(path)
    spec = found["JobSet"]["spec"] if "JobSet" in found else found["TrainingRuntime"]["spec"]["template"]["spec"]
    [job] = spec["replicatedJobs"]
    return job["template"]["spec"]["template"]["spec"]


def container(path: Path) -> dict[str, Any]:
    [only] = pod(path)["containers"]
    return only


def torchrun_lines(text: str) -> list[list[str]]:
    """The words of each torchrun command in a script or a page; its variables are filled with 2."""
    text = re.sub(r"\\\n\s*", " ", text)
    found = re.findall(r"^(?!\s*#).*?\btorchrun (-.*)$", text, re.M)
    return [shlex.split(re.sub(r"\$\(.*?\)|\$\w+", "2", line.replace("'", ""))) for line in found]


# ---------------------------------------------------------------- words


PAGES = [ROOT / f"docs/{language}/scale.md" for language in ("en", "zh")]
SCRIPTS = [JOBSET, TRAINJOB, DEPLOY / "sky.yaml", DEPLOY / "slurm.sh", *PAGES]


def scripts(path: Path) -> str:
    if path == TRAINJOB:
        trainer = documents(path)["TrainJob"]["spec"]["trainer"]
        return shlex.join([*trainer["command"], *trainer["args"]])
    if path == JOBSET:
        return container(path)["args"][0]
    return yaml.safe_load(path.read_text("utf-8"))["run"] if path.suffix == ".yaml" else path.read_text("utf-8")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_torchrun_knows_the_options_and_yaya_the_keys(path: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    lines = torchrun_lines(scripts(path))
    assert lines
    for words in lines:
        options = get_args_parser().parse_args(words)
        assert options.module and options.training_script == "yaya"
        if "--nnodes" in " ".join(words) or path == TRAINJOB:
            assert options.max_restarts == 0  # agents of several nodes do not agree on the number of a restart
        command = [word.removeprefix("/opt/yaya/") for word in options.training_script_args]
        if "=" not in command[0] and command[0].isalpha():
            resolved(*command)


@pytest.mark.parametrize("path", [*PAGES, DEPLOY / "sky.yaml", DEPLOY / "slurm.sh"], ids=lambda path: path.name)
def test_commands_that_are_handed_on_are_real(path: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """`sbatch deploy/slurm.sh COMMAND` and `sky ... --env COMMAND=...`, in pages and in the files' own comments."""
    monkeypatch.chdir(tmp_path)
    text = path.read_text("utf-8")
    found = re.findall(r"sbatch.* deploy/slurm\.sh (\S.*)|COMMAND=\"(.+?)\"|^  COMMAND: (.+)$", text, re.M)
    assert found
    for groups in found:
        resolved(*shlex.split("".join(groups)))
    for file in re.findall(r"\bdeploy/[\w./]+\w", text):
        assert (ROOT / file).is_file()


# ---------------------------------------------------------------- fields

# What these kinds may hold where we use them, written by hand from their schemas: Kubeflow Trainer 2.3, JobSet 0.12,
# Kubernetes. A dict: an object, or a list of such objects; None: anything.
META = {"name": None, "labels": None, "annotations": None}
RESOURCES = {"requests": None, "limits": None}
PVC = {"accessModes": None, "storageClassName": None, "resources": RESOURCES}
POD = {
    "restartPolicy": None,
    "terminationGracePeriodSeconds": None,
    "automountServiceAccountToken": None,
    "securityContext": dict.fromkeys(
        ["runAsNonRoot", "runAsUser", "runAsGroup", "fsGroup", "fsGroupChangePolicy", "seccompProfile"]
    ),
    "containers": {
        **dict.fromkeys(["name", "image", "imagePullPolicy", "command", "args"]),
        "env": {"name": None, "value": None, "valueFrom": {"fieldRef": {"fieldPath": None}}},
        "resources": RESOURCES,
        "securityContext": dict.fromkeys(["allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities"]),
        "volumeMounts": {"name": None, "mountPath": None},
    },
    "volumes": {
        "name": None,
        "persistentVolumeClaim": {"claimName": None},
        "emptyDir": {"medium": None, "sizeLimit": None},
    },
}
JOB = {
    **dict.fromkeys(["parallelism", "completions", "completionMode", "backoffLimit"]),
    "podFailurePolicy": {"rules": {"action": None, "onPodConditions": {"type": None, "status": None}}},
    "template": {"metadata": META, "spec": POD},
}
JOBSET_SPEC = {
    "network": dict.fromkeys(["enableDNSHostnames", "publishNotReadyAddresses", "subdomain"]),
    "failurePolicy": {
        "maxRestarts": None,
        "restartStrategy": None,
        "rules": dict.fromkeys(["name", "action", "onJobFailureReasons", "targetReplicatedJobs"]),
    },
    "replicatedJobs": {"name": None, "replicas": None, "template": {"metadata": META, "spec": JOB}},
}
TRAINER = dict.fromkeys(["image", "command", "args", "env", "numNodes", "numProcPerNode"])
KINDS = {
    ("v1", "PersistentVolumeClaim"): PVC,
    ("jobset.x-k8s.io/v1alpha2", "JobSet"): JOBSET_SPEC,
    ("trainer.kubeflow.org/v1alpha1", "TrainingRuntime"): {
        "mlPolicy": {"numNodes": None, "torch": {}},
        "template": {"metadata": META, "spec": JOBSET_SPEC},
    },
    ("trainer.kubeflow.org/v1alpha1", "TrainJob"): {
        "runtimeRef": dict.fromkeys(["apiGroup", "kind", "name"]),
        "trainer": {**TRAINER, "resourcesPerNode": RESOURCES},
        "suspend": None,
    },
}
REQUIRED = {  # wherever an object of this name stands
    "rules": {"action"},
    "containers": {"name", "image"},
    "volumes": {"name"},
    "volumeMounts": {"name", "mountPath"},
    "onPodConditions": {"type", "status"},
    "replicatedJobs": {"name", "template"},
    "runtimeRef": {"name"},
}


def unknown(value: Any, known: dict | None, where: str) -> list[str]:
    """Fields that the description does not name, and required ones that are missing."""
    if known is None:
        return []
    wrong = []
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, dict):
            return [f"{where}: {item!r}"]
        wrong += [f"{where} lacks {name}" for name in REQUIRED.get(where.rpartition(".")[2], set()) - item.keys()]
        for name, inner in item.items():
            wrong += unknown(inner, known[name], f"{where}.{name}") if name in known else [f"{where}.{name}"]
    return wrong


@pytest.mark.parametrize("path", [JOBSET, TRAINJOB], ids=["jobset", "trainjob"])
def test_kubernetes_manifests_name_known_fields(path: Path) -> None:
    for kind, found in documents(path).items():
        assert found.keys() == {"apiVersion", "kind", "metadata", "spec"}
        assert unknown(found["metadata"], META, "metadata") == []
        assert unknown(found["spec"], KINDS[found["apiVersion"], kind], kind) == []


def test_an_unknown_field_would_be_found() -> None:
    found = documents(JOBSET)["JobSet"]["spec"]
    found["failurePolicy"]["maxRestart"] = 1
    del found["failurePolicy"]["rules"][0]["action"]
    assert unknown(found, JOBSET_SPEC, "") == [".failurePolicy.rules lacks action", ".failurePolicy.maxRestart"]


@pytest.mark.parametrize("path", [JOBSET, TRAINJOB], ids=["jobset", "trainjob"])
def test_pods_are_safe_save_in_time_and_share_a_folder(path: Path) -> None:
    """What the cluster would refuse or not do, and what the image has to have."""
    found, spec, only = documents(path), pod(path), container(path)
    inside, image = only["securityContext"], (DEPLOY / "Dockerfile").read_text("utf-8")
    assert (
        spec["securityContext"]["runAsNonRoot"]
        and spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    )
    assert f"USER {spec['securityContext']['runAsUser']}:{spec['securityContext']['runAsGroup']}" in image
    assert inside["readOnlyRootFilesystem"] and inside["capabilities"] == {"drop": ["ALL"]}
    assert inside["allowPrivilegeEscalation"] is False and spec["automountServiceAccountToken"] is False
    env = {variable["name"]: variable.get("value") for variable in only["env"]}
    assert spec["terminationGracePeriodSeconds"] > int(env["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"])
    assert spec["restartPolicy"] == "Never"  # podFailurePolicy demands it
    claim = found["PersistentVolumeClaim"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in only["volumeMounts"]}
    assert mounts["/work"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"] and "WORKDIR /work" in image
    assert "emptyDir" in mounts[env["HOME"]] and "emptyDir" in mounts["/dev/shm"]


def test_jobset_agrees_with_itself() -> None:
    jobset = documents(JOBSET)["JobSet"]
    [job] = jobset["spec"]["replicatedJobs"]
    env = {variable["name"]: variable.get("value") for variable in container(JOBSET)["env"]}
    assert job["template"]["spec"]["parallelism"] == job["template"]["spec"]["completions"] == int(env["NODES"])
    assert env["ENDPOINT"].startswith(
        f"{jobset['metadata']['name']}-{job['name']}-0-0.{jobset['spec']['network']['subdomain']}:"
    )
    assert job["template"]["spec"]["completionMode"] == "Indexed"  # else there is no JOB_COMPLETION_INDEX


def test_trainjob_agrees_with_itself() -> None:
    found = documents(TRAINJOB)
    runtime, reference = found["TrainingRuntime"], found["TrainJob"]["spec"]["runtimeRef"]
    assert (reference["kind"], reference["name"]) == ("TrainingRuntime", runtime["metadata"]["name"])
    [job] = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    # Trainer finds the job by this label, and its container by this name
    assert job["template"]["metadata"]["labels"] == {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
    assert job["name"] == container(TRAINJOB)["name"] == "node"


def test_image_is_built_from_files_that_are_there() -> None:
    image = (DEPLOY / "Dockerfile").read_text("utf-8")
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    copied = {name for line in re.findall(r"^COPY (.+)$", image, re.M) for name in line.split()[:-1]}
    assert copied == let_in and all((ROOT / name).exists() for name in copied)
    [index] = re.findall(r"python -c '(import bootstrap.*?)'", image)
    found = subprocess.run([sys.executable, "-c", index], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip().endswith("/cpu")
    assert re.search(r"^torch==", (ROOT / "constraints.txt").read_text("utf-8"), re.M)
    assert (
        ROOT / "recipes/laptop.toml"
    ).exists() and "WORKDIR /opt/yaya" in image  # /opt/yaya/recipes in the manifests


def test_sky_task_names_known_fields() -> None:
    task = yaml.safe_load((DEPLOY / "sky.yaml").read_text("utf-8"))
    assert task.keys() <= {"name", "num_nodes", "envs", "resources", "workdir", "file_mounts", "setup", "run"}
    assert task["resources"].keys() <= {"use_spot", "job_recovery", "disk_size", "any_of"}
    assert [choice["infra"] for choice in task["resources"]["any_of"]] == ["aws", "gcp", "azure"]
    assert task["file_mounts"] == {"~/bucket": {"name": "${BUCKET}", "mode": "MOUNT_CACHED"}}


@pytest.mark.parametrize("part", ["setup", "run", "slurm"])
def test_scripts_parse(part: str) -> None:
    task = yaml.safe_load((DEPLOY / "sky.yaml").read_text("utf-8"))
    script = task.get(part) or (DEPLOY / "slurm.sh").read_text("utf-8")
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0


# ---------------------------------------------------------------- two nodes that are this machine


@pytest.fixture(scope="module")
def work(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny run's data as run `base`, and what one process makes of it as run `alone`."""
    folder = tmp_path_factory.mktemp("deploy")
    (folder / "runs" / "base").mkdir(parents=True)
    for name in ("prepare", "tokenize"):
        os.symlink(tiny_run / name, folder / "runs" / "base" / name)
    yaya("pretrain", "name=alone", *KEYS, cwd=folder)
    return folder


def losses(work: Path, name: str) -> list[float]:
    lines = (work / f"runs/{name}/pretrain/metrics.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["loss"] for line in lines]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def environment(*folders: Path, **more: str) -> dict[str, str]:
    """Ours, where `torchrun` is the one of this Python."""
    path = os.pathsep.join([*map(str, folders), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, **more}


def both_end_well(nodes: list[subprocess.Popen]) -> None:
    said = [node.communicate(timeout=200)[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], "\n".join(said)


def start(command: list[str], work: Path, env: dict[str, str]) -> subprocess.Popen:
    return subprocess.Popen(command, cwd=work, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def pods_of_the_jobset(work: Path, *keys: str) -> list[subprocess.Popen]:
    """The container's own command on two nodes, in the environment that JobSet gives it; it does what `keys` say."""
    only = container(JOBSET)
    env = {variable["name"]: variable["value"] for variable in only["env"] if "value" in variable}
    env |= {"ENDPOINT": f"127.0.0.1:{free_port()}", "POD_IP": "127.0.0.1"}
    training = "-m yaya run /opt/yaya/recipes/laptop.toml name=demo"
    assert only["args"][0].count(training) == 1
    command = [*only["command"], only["args"][0].replace(training, shlex.join(["-m", "yaya", "pretrain", *keys]))]
    return [start(command, work, environment(**env, JOB_COMPLETION_INDEX=str(index))) for index in (1, 0)]


def test_two_pods_of_the_jobset_train_what_one_process_trains(work: Path) -> None:
    both_end_well(pods_of_the_jobset(work, "name=jobset", *KEYS))
    assert losses(work, "jobset") == pytest.approx(losses(work, "alone"), abs=1.1e-5)


@pytest.mark.slow
def test_a_pod_that_is_evicted_makes_all_save_and_leave(work: Path) -> None:
    keys = ["name=evicted", *KEYS, "save_seconds=1000"]
    pods = pods_of_the_jobset(work, *keys)
    wait_for_rows(work, "evicted", 3, pods[0])
    pods[0].send_signal(signal.SIGTERM)
    for evicted in pods:
        evicted.communicate(timeout=60)
        assert evicted.returncode != 0
    [first, saved] = sorted((work / "runs/evicted/.pretrain.partial/trainer").glob("step-*"))
    assert int(first.name[5:]) == 0 and int(saved.name[5:]) >= 3
    both_end_well(pods_of_the_jobset(work, *keys))
    assert losses(work, "evicted") == pytest.approx(losses(work, "alone"), abs=1.1e-5)


@pytest.mark.slow
def test_two_pods_of_the_trainjob_train_what_one_process_trains(work: Path) -> None:
    """The same with the PET_ variables that Kubeflow Trainer sets."""
    spec = documents(TRAINJOB)["TrainJob"]["spec"]["trainer"]
    command = [*spec["command"], "pretrain", "name=trainjob", *KEYS]
    env = {"PET_NNODES": str(spec["numNodes"]), "PET_NPROC_PER_NODE": str(spec["numProcPerNode"])}
    env |= {"PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": str(free_port())}
    both_end_well([start(command, work, environment(**env, PET_NODE_RANK=str(index))) for index in (1, 0)])
    assert losses(work, "trainjob") == pytest.approx(losses(work, "alone"), abs=1.1e-5)


@pytest.fixture
def sky(work: Path, tmp_path: Path) -> tuple[str, dict[str, str]]:
    """The script that SkyPilot runs, and the environment of its first node; runs/ is the bucket."""
    script = yaml.safe_load((DEPLOY / "sky.yaml").read_text("utf-8"))["run"]
    assert script.count(":29400") == 1
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/activate").touch()
    os.symlink(work / "runs", tmp_path / "bucket")
    env = {"SHARED": "", "SKYPILOT_NODE_RANK": "0", "SKYPILOT_NODE_IPS": "127.0.0.1\n127.0.0.2", "HOME": str(tmp_path)}
    env |= {"COMMAND": shlex.join(["pretrain", "name=sky", *KEYS]), "SKYPILOT_TASK_ID": "sky-1"}
    return script.replace(":29400", f":{free_port()}"), {**env, "SKYPILOT_NUM_GPUS_PER_NODE": "0"}


def test_sky_refuses_nodes_that_share_nothing(sky: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    script, env = sky
    node = start(["bash", "-c", script], tmp_path, environment(**env, SKYPILOT_NUM_NODES="2"))
    assert "--env SHARED" in node.communicate(timeout=60)[0] and node.returncode == 1


@pytest.mark.slow
def test_sky_trains_in_the_bucket(work: Path, sky: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    script, env = sky
    node = start(["bash", "-c", script], tmp_path, environment(**env, SKYPILOT_NUM_NODES="1"))
    assert "runs/sky/pretrain" in node.communicate(timeout=200)[0] and node.returncode == 0
    assert losses(work, "sky") == losses(work, "alone")


FAKES = {
    "srun": """
        # Runs a command on both nodes, as srun does: options first
        while [[ $1 == -* ]]; do shift; done
        code=0 pids=()
        for node in 0 1; do SLURM_NODEID=$node SLURMD_NODENAME=localhost "$@" & pids+=($!); done
        for pid in "${pids[@]}"; do wait "$pid" || code=$?; done
        exit $code
    """,
    "scontrol": """
        if [ "$1 $2 $3" = "show hostnames n[1-2]" ]; then printf 'localhost\\nn2\\n'; else echo "$@" >>scontrol.log; fi
    """,
}


@pytest.fixture
def slurm(work: Path, tmp_path: Path) -> tuple[dict[str, str], list[str]]:
    """The environment of a job with two nodes, and the command that its script is, without a run's name."""
    for name, script in FAKES.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{script}")
        (tmp_path / name).chmod(0o755)
    job = {"SLURM_JOB_ID": str(free_port()), "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_NNODES": "2", "PROCESSES": "1"}
    env = environment(tmp_path, **job, TMPDIR=str(tmp_path))
    return env, ["bash", str(DEPLOY / "slurm.sh"), "pretrain", *KEYS, "save_seconds=1000"]


def wait_for_rows(work: Path, name: str, count: int, process: subprocess.Popen) -> None:
    """Until training has done `count` steps."""
    rows = work / f"runs/{name}/.pretrain.partial/metrics.jsonl"
    deadline = time.monotonic() + 120
    while not rows.exists() or rows.read_text("utf-8").count("\n") < count:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_two_nodes_of_slurm_save_requeue_and_go_on(work: Path, slurm: tuple[dict[str, str], list[str]]) -> None:
    """SIGTERM to the batch script, as Slurm sends it: a save, the queue again, and the losses of one process."""
    env, command = slurm
    first = start([*command, "name=slurm"], work, env)
    wait_for_rows(work, "slurm", 3, first)
    first.send_signal(signal.SIGTERM)
    said = first.communicate(timeout=120)[0]
    assert first.returncode == 1 and "saving" in said, said
    assert (work / "scontrol.log").read_text("utf-8") == f"requeue {env['SLURM_JOB_ID']}\n"
    again = start([*command, "name=slurm"], work, env)
    said = again.communicate(timeout=200)[0]
    assert again.returncode == 0 and "resumes at step" in said, said
    assert losses(work, "slurm") == pytest.approx(losses(work, "alone"), abs=1.1e-5)


@pytest.mark.slow
def test_a_process_that_dies_is_no_end_with_slurm(work: Path, slurm: tuple[dict[str, str], list[str]]) -> None:
    env, command = slurm
    job = start([*command, "name=dies", "save_steps=1"], work, env)
    wait_for_rows(work, "dies", 5, job)
    agent = (Path(env["TMPDIR"]) / f"yaya-{env['SLURM_JOB_ID']}-1").read_text("utf-8").strip()
    children = subprocess.run(["pgrep", "-P", agent], capture_output=True, text=True).stdout.split()
    os.kill(int(children[-1]), signal.SIGKILL)
    said = job.communicate(timeout=200)[0]
    assert job.returncode == 0 and "Attempt 1 of 3 ended" in said and "resumes at step" in said, said
    assert losses(work, "dies") == pytest.approx(losses(work, "alone"), abs=1.1e-5)
