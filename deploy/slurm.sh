#!/usr/bin/env bash
# Trains on the nodes of a Slurm cluster. From the folder of the repository, which all nodes must see:
#
#   sbatch deploy/slurm.sh run recipes/laptop.toml name=demo
#   sbatch --nodes=4 --gpus-per-node=8 deploy/slurm.sh pretrain recipes/openwebtext.toml name=big steps=20000
#
# Out of time or preempted: it saves, returns to the queue and resumes where it stopped. Slurm 20.11 or newer.
# To do the same by hand: scancel --batch --signal=TERM JOB      To end it: scancel JOB

#SBATCH --job-name=yaya
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log

set -euo pipefail

[ $# -gt 0 ] || set -- run recipes/laptop.toml
if [ -f .venv/bin/activate ]; then . .venv/bin/activate; fi

HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
HEAD=${HEAD%%$'\n'*}
PORT=$((20000 + SLURM_JOB_ID % 10000))
PROCESSES=${PROCESSES:-${SLURM_GPUS_ON_NODE:-1}} # on each node
NOTE=${TMPDIR:-/tmp}/yaya-$SLURM_JOB_ID          # where a node keeps its torchrun's process id
export HEAD PORT PROCESSES NOTE
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1} # since Slurm 22.05, srun no longer takes this from the job
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=100           # torchrun lets a save take so long, less than the 120 s above

# Slurm would send a signal to torchrun and to its processes, which get it from torchrun once more, and a second one
# means: quit without saving. So this goes to torchrun only.
stop() {
    stopping=yes
    srun --overlap --nodes="$SLURM_NNODES" --ntasks-per-node=1 \
        bash -c 'kill -TERM "$(cat "$NOTE-$SLURM_NODEID")"' || true
}
stopping=
trap stop TERM

for ATTEMPT in 1 2 3; do
    export ATTEMPT
    # No restarts by torchrun, whose nodes would not agree on their number: one failure ends all, and all start over.
    srun --kill-on-bad-exit=1 bash -c '
        echo $$ >"$NOTE-$SLURM_NODEID"
        exec torchrun --nnodes="$SLURM_NNODES" --nproc-per-node="$PROCESSES" --max-restarts=0 \
            --rdzv-backend=c10d --rdzv-endpoint="$HEAD:$PORT" --rdzv-id="$SLURM_JOB_ID-$ATTEMPT" \
            --local-addr="$SLURMD_NODENAME" -m yaya "$@"' yaya "$@" &
    step=$! code=0
    wait "$step" || code=$?
    while kill -0 "$step" 2>/dev/null; do # a signal ends `wait`, but not yet the training
        code=0
        wait "$step" || code=$?
    done
    if [ "$code" = 0 ] || [ -n "$stopping" ]; then break; fi
    echo "Attempt $ATTEMPT of 3 ended with exit code $code." >&2
done

if [ "$code" != 0 ] && [ -n "$stopping" ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
