#!/usr/bin/python3
"""Brings a cluster up on this machine, prints how to look inside, and takes it down again at Enter or Ctrl-C.

tests/bed/cluster/up.py PROFILE [--detach]
"""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import cluster
from common import Failed, read


def main():
    arguments = [word for word in sys.argv[1:] if not word.startswith("-")]
    if len(arguments) != 1 or set(sys.argv[1:]) - {*arguments}:
        sys.exit(__doc__)
    bed = cluster.Cluster("up", read(arguments[0]))
    try:
        start = time.monotonic()
        bed.power_on()
        print("powered on:", ", ".join(bed.machines))
        bed.wait_api()
        bed.time("API ready", start)
        bed.wait_ready()
        bed.time("all nodes Ready", start)
        enter = f"nsenter --net=/run/netns/{bed.switch.name}"
        print(f"\n  {enter} {bed.kubectl_path()} --kubeconfig {bed.kubeconfig} get nodes")
        for name, one in bed.machines.items():
            print(f"  nsenter -a -r -w -t {one.init()} docker -H unix:///run/system-docker.sock ps    # {name}")
        input("\nEnter takes it down. ")
    except (KeyboardInterrupt, EOFError):
        pass
    except Failed as failed:
        folder = f"{os.getcwd()}/bed-logs"
        bed.collect_logs(folder)
        sys.exit(f"error: {failed}\nlogs of every service: {folder}")
    finally:
        bed.remove()


main()
