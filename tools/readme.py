"""Make README.md from nbs/index.ipynb: prose as it is, code and what it printed as blocks.

    python tools/readme.py [--check]      (--check: change nothing, and fail if it is not current)
"""
import re
import sys
from pathlib import Path

import nbformat

top = Path(__file__).resolve().parents[1]


def printed(cell):
    "The text that a code cell shows"
    texts = [o.text if o.output_type == 'stream' else o.get('data', {}).get('text/plain', '') for o in cell.outputs]
    return ''.join(t if t.endswith('\n') else t + '\n' for t in texts if t)


def block(language, text): return f'```{language}\n{text.rstrip()}\n```'


def readme(path):
    parts = ['<!-- made from nbs/index.ipynb by `make export`: change it there -->']
    for cell in nbformat.read(path, 4).cells:
        if cell.source.startswith('#|'): continue
        parts.append(re.sub(r'\]\((?!https?:)', '](nbs/', cell.source) if cell.cell_type == 'markdown' else block('python', cell.source))
        if cell.cell_type == 'code' and printed(cell): parts.append(block('text', printed(cell)))
    return '\n\n'.join(parts) + '\n'


if __name__ == '__main__':
    made, file = readme(top/'nbs/index.ipynb'), top/'README.md'
    if '--check' in sys.argv[1:]: sys.exit(0 if file.read_text(encoding='utf-8') == made else 'README.md is not what nbs/index.ipynb says; run make export')
    file.write_text(made, encoding='utf-8')
