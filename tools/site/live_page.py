"""Put the live page together: one piece of HTML that needs no other file

    python tools/site/live_page.py PAGE          (writes it as a page of its own)

Browsers start no worker from a file of a page that was opened as a file. So styles, programs and digits all stand in the page, and its
worker starts from their text.
"""
import json
import sys
from pathlib import Path

from colt.data import load

live = Path(__file__).resolve().parents[2]/'nbs/live'
PROGRAMS = 'ticket', 'worker', 'words', 'pictures', 'pad', 'page'


def digits():
    "The images to train and to test on, one character a pixel: 0 to g (16)"
    dataset = load('digits')
    def written(images):
        pixels = (images.x.flatten().double()*16/255).round().int().tolist()
        return {'x': ''.join('0123456789abcdefg'[v] for v in pixels), 'y': ''.join(map(str, images.y.tolist()))}
    return {'train': written(dataset.train), 'test': written(dataset.test)}


def program(name, text):
    "A script whose text the worker can be started from; the worker's own is not run by the page"
    assert '</script' not in text
    kind = 'text/plain' if name == 'worker' else 'text/javascript'
    return f'<script type="{kind}" id="live-{name}-program">\n{text}</script>'


def assembled(page=live/'page.html'):
    "The live part of the page, without head and body"
    programs = {'digits': f'const DIGITS = {json.dumps(digits())}\n'} | {name: (live/f'{name}.js').read_text() for name in PROGRAMS}
    style = (live/'live.css').read_text()
    return '\n'.join([f'<style>\n{style}</style>', page.read_text(), *(program(*item) for item in programs.items())])


def alone():
    "A page that has nothing but this"
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>A ticket, found live</title>'
    style = '<style>:root {color-scheme: light dark} body {font-family: sans-serif; max-width: 56rem; margin: 1rem auto; padding: 0 1rem}</style>'
    return f'{head}{style}<body>{assembled()}</body></html>'


if __name__ == '__main__': Path(sys.argv[1]).write_text(alone(), encoding='utf-8')
