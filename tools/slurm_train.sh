#!/usr/bin/env bash
# Train on a Slurm cluster: tools/slurm_train.sh PARTITION JOB_NAME CONFIG [options of train.py]
# GPUS, GPUS_PER_NODE, CPUS_PER_TASK and SRUN_ARGS are MMSegmentation's.
# Exit code 75: a signal stopped it, and with --resume it continues; docs/cluster.md says how.
set -euo pipefail
read -ra srun_args <<<"${SRUN_ARGS:-}"
exec srun -p "$1" --job-name="$2" --gres=gpu:"${GPUS_PER_NODE:-4}" --ntasks="${GPUS:-4}" \
    --ntasks-per-node="${GPUS_PER_NODE:-4}" --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 "${srun_args[@]}" \
    python -u "$(dirname "$0")/train.py" "$3" --launcher slurm "${@:4}"
