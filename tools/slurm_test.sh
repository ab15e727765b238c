#!/usr/bin/env bash
# Test on a Slurm cluster: tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options of test.py]
# GPUS, GPUS_PER_NODE, CPUS_PER_TASK and SRUN_ARGS are MMSegmentation's.
set -euo pipefail
read -ra srun_args <<<"${SRUN_ARGS:-}"
exec srun -p "$1" --job-name="$2" --gres=gpu:"${GPUS_PER_NODE:-4}" --ntasks="${GPUS:-4}" \
    --ntasks-per-node="${GPUS_PER_NODE:-4}" --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 "${srun_args[@]}" \
    python -u "$(dirname "$0")/test.py" "$3" "$4" --launcher slurm "${@:5}"
