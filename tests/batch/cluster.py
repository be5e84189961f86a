"""A Ray cluster of two nodes on this machine, one of which is lost on the way, run as a program: Ray keeps what it has
begun until its process ends.

    python -m tests.batch.cluster FOLDER COUNT
"""

import sys
import threading
import time
from pathlib import Path

from tests.batch.work import make


def main(folder: Path, count: int) -> None:
    """Make pieces on the cluster; the second node ends when a third of them is there."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=1)

    def lose() -> None:
        while len(list(folder.glob("*.txt"))) < count // 3:
            time.sleep(0.05)
        cluster.remove_node(second, allow_graceful=False)
        (folder.parent / "lost").write_text(f"{len(list(folder.glob('*.txt')))}")

    thread = threading.Thread(target=lose, daemon=True)
    thread.start()
    try:
        make(folder, count, None, ray=cluster.address, pause=0.2, deadly=(1,))
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
