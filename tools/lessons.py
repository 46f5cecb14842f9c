"""Run notebooks and keep what they show, or find those whose pictures are stale

    python tools/lessons.py NOTEBOOK ...            (run each from a fresh kernel, and save its outputs in it)
    python tools/lessons.py --check NOTEBOOK ...    (change nothing, and fail if the code of one is not the code that was run)
"""
import hashlib
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def code(book):
    "A fingerprint of what is run"
    return hashlib.sha256('\0'.join(c.source for c in book.cells if c.cell_type == 'code').encode()).hexdigest()[:16]


def stale(path): return (book := nbformat.read(path, 4)).metadata.get('ran') != code(book)


def run(path):
    "In its own folder, as a reader would"
    book, began = nbformat.read(path, 4), time.monotonic()
    book.metadata.pop('ran', None)
    NotebookClient(book, timeout=600, kernel_name='python3', store_widget_state=False, resources={'metadata': {'path': str(path.parent)}}).execute()
    book.metadata['ran'] = code(book)
    nbformat.write(book, path)
    print(f'{path}: {time.monotonic() - began:.0f} s', flush=True)


if __name__ == '__main__':
    os.environ['PLOTLY_RENDERER'] = 'plotly_mimetype'
    paths = [Path(a) for a in sys.argv[1:] if a != '--check']
    if '--check' not in sys.argv[1:]:
        for path in paths: run(path)
    elif old := [str(p) for p in paths if stale(p)]: sys.exit(f"not what was run: {', '.join(old)}; run make notebooks")
