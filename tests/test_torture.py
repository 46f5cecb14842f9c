"A short form of each attack of torture.py, in a process of its own: it forks, which this one can't when it has trained"
import subprocess
import sys

import pytest
from conftest import TOP

ATTACKS = 'kills=5', 'faults=12', 'races=2', 'losses=16', 'mutations=200'               # together, since they attack the same runs


@pytest.mark.skipif(sys.platform != 'linux', reason='it reads /proc')
def test_nothing_is_lost_and_no_change_is_unnoticed():
    done = subprocess.run([sys.executable, TOP/'tests/torture.py', *ATTACKS], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    for told in 'as promised', 'killed at random', 'EIO at each operation', 'two commands', 'files lost or damaged', 'votes, data', 'a valid file': assert told in done.stdout
