#!/usr/bin/env bash
# Train with several processes: tools/dist_train.sh CONFIG NUM_PROCESSES [options of train.py]
# NNODES, NODE_RANK, MASTER_ADDR and PORT place it on several machines.
set -euo pipefail
torchrun --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$2" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    "$(dirname "$0")/train.py" "$1" "${@:3}" --launcher pytorch
