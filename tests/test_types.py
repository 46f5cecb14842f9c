"The types fit: as a test, so that others run beside it"
import subprocess
import sys

from conftest import TOP


def test_the_types_fit():
    done = subprocess.run([sys.executable, '-m', 'mypy'], cwd=TOP, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
