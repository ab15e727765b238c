"""A Ray cluster of a head without CPUs and two nodes with one each, told what to do by its input.

It prints the address. A line `kill` ends a node with all that runs there, one `join` adds one;
both are answered with `done`. The end of its input ends the cluster.
"""

import sys

from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args=dict(num_cpus=0, include_dashboard=False))
nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
cluster.wait_for_nodes()
print(cluster.address, flush=True)
for line in sys.stdin:
    if line == 'kill\n':
        cluster.remove_node(nodes.pop(), allow_graceful=False)
    else:
        nodes.append(cluster.add_node(num_cpus=1))
    print('done', flush=True)
cluster.shutdown()
