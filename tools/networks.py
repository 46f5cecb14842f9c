"""Write the page of the site that says what happens with networks of all kinds

    python tools/networks.py          (about a minute)
"""
import sys
import tempfile
from pathlib import Path

top = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(top/'tests'))

from networks import CASES, as_promised

PAGE = '''# Your network

A network of your own is tried before a run begins ([trial](../api/13a_trial.ipynb)): two steps on a copy, interrupted and continued. Then it trains to
the end, or it is refused in one sentence that names the module, the reason and the way out, and nothing is written. Below is what happens with networks
of torchvision, with networks that were made by hand for one kind each, and with networks that were drawn at random; `tests/test_networks.py` tries them all.

*Trains* means two cycles of two networks, and the same tickets, votes and numbers if the run is interrupted in the middle and resumed. The network
that is kept has exactly the recorded test accuracy on the bytes of the images. *Trains, with a warning*: one of these promises does not hold for this
network, and the sentence says which.

| network | what happens | sentence |
|---|---|---|
{}
'''
WORDS = {'trains': 'trains', 'warned': 'trains, with a warning', 'refused': 'refused'}


def row(name):
    "What happens with a network, as a row of the table"
    with tempfile.TemporaryDirectory() as folder: outcome, said = as_promised(CASES[name], Path(folder))
    return f"| {name} | {WORDS[outcome]} | {said.replace('|', chr(92) + '|').replace('*', chr(92) + '*')} |"


if __name__ == '__main__': (top/'nbs/explanations/your_networks.md').write_text(PAGE.format('\n'.join(map(row, CASES))))
