"""The end of a search does not depend on who collects the exit status of what it started."""

import subprocess
import sys
import time

import psutil

from tools.repair import engine

PARENT = "import os, time\npid = os.fork() or os._exit(0)\nprint(pid, flush=True)\ntime.sleep(60)\n"


def test_a_dead_process_that_nobody_collects_is_not_waited_for() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        dead = psutil.Process(int(parent.stdout.readline()))
        begun = time.monotonic()
        engine._wait_for([dead])
        assert time.monotonic() - begun < engine.ENDING_S / 2
        assert dead.status() == psutil.STATUS_ZOMBIE
    finally:
        parent.kill()
        parent.communicate()
