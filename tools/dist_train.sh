#!/usr/bin/env bash
# Train with several processes: tools/dist_train.sh CONFIG NUM_PROCESSES [options of train.py]
# NNODES, NODE_RANK, MASTER_ADDR and PORT place it on several machines. With MAX_RESTARTS=N it is
# elastic: if a process or machine is lost, the others continue from the last checkpoint.
set -uo pipefail
options=("${@:3}")
master=${MASTER_ADDR:-127.0.0.1} port=${PORT:-29500}
rendezvous=(--node_rank="${NODE_RANK:-0}" --master_addr="$master" --master_port="$port")
if [ "${MAX_RESTARTS:-0}" -gt 0 ]; then
    rendezvous=(--rdzv_backend=c10d --rdzv_endpoint="$master:$port" --rdzv_id="${JOB_ID:-train}"
        --max_restarts="$MAX_RESTARTS")
    options+=(--resume)
fi

torchrun --nnodes="${NNODES:-1}" --nproc_per_node="$2" "${rendezvous[@]}" \
    "$(dirname "$0")/train.py" "$1" "${options[@]}" --launcher pytorch &
agent=$!
# torchrun passes a SIGTERM on to the processes, but exits with its own code.
trap 'stopped=75; kill -TERM "$agent"' TERM USR1
trap 'kill -TERM "$agent"' INT
code=0
wait "$agent" || code=$?
while kill -0 "$agent" 2>/dev/null; do # a signal ends wait
    code=0
    wait "$agent" || code=$?
done
[ "$code" -eq 0 ] && exit 0
exit "${stopped:-$code}"
