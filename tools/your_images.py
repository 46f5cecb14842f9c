"""The page of data sets, and what happens to each: nbs/explanations/your_images.md, from tests/own_sets.py

    python tools/your_images.py         (a test says when it is not current)
"""
import re
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

top = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(top), str(top/'tests')]
from own_sets import ROWS

from colt.data import as_dataset, from_arrays

PAGE = top/'nbs/explanations/your_images.md'
HEADS = {'pixels': 'Arrays', 'lists': 'Lists of pictures', 'labels': 'Labels', 'data sets': 'Data sets', 'folders': 'Folders',
         'drawn': 'Drawn from the kinds of pixels, layouts, containers and labels'}
START = """# Your images

What happens to data sets as people have them: each row was handed to `as_dataset`, and was read, or refused in the sentence beside it. *Read* means that a test has compared every byte and every label with what NumPy and Pillow give. (`tests/test_datasets.py` tries all {n} rows; `python tools/your_images.py` makes this page. Data sets of thirty pictures of 8 × 8 pixels, if nothing else is said.)

A row that is refused leaves nothing behind. The same sentences come from `from_arrays`, `from_dataset`, `from_folder` and `split`, which `as_dataset` calls.
"""


def happens(row, path):
    "What `as_dataset` does with a row, in words"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        try: sets = read(row.make(path), len(row.classes))
        except ValueError as e: said = [f'refused: {e}']
        else:
            shape, n = ' × '.join(map(str, sets[0].shape)), len(row.classes)
            said = [f'read: {sum(map(len, sets))} of {shape} in {n} {"classes" if n > 1 else "class"}']
    if row.said: said += [f'warning: {w.message}' for w in caught]
    return '; '.join(said).replace(str(path), 'pets')


def read(data, classes):
    "All sets of the images; those of a single class are no data set yet"
    if classes == 1: return [from_arrays(*data)]
    d = as_dataset(data, .3)
    return [d.train, d.valid, d.test]


def cell(text): return re.sub(r'([|*_`<>])', r'\\\1', text)


def page():
    lines = [START.format(n=len(ROWS))]
    for kind, head in HEADS.items():
        lines += [f'## {head}\n', '| what | what happens |', '|---|---|']
        for row in (row for row in ROWS if row.kind == kind):
            with TemporaryDirectory() as place:
                path = Path(place)/'pets'
                path.mkdir()
                lines.append(f'| {cell(row.what)} | {cell(happens(row, path))} |')
        lines.append('')
    return '\n'.join(lines)


if __name__ == '__main__':
    PAGE.write_text(page())
