#!/usr/bin/env bash
# Test with several processes: tools/dist_test.sh CONFIG CHECKPOINT NUM_PROCESSES [options of test.py]
# NNODES, NODE_RANK, MASTER_ADDR and PORT place it on several machines.
set -euo pipefail
exec torchrun --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$3" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    "$(dirname "$0")/test.py" "$1" "$2" "${@:4}" --launcher pytorch
