"Notebooks in a real browser: JupyterLab, Notebook 7 and Voila as processes on 127.0.0.1, and what a test does with their pages"
import json
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

FLAGS = '--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync'.split()
ELSEWHERE = re.compile(r'^(?!(http|ws)://127\.0\.0\.1[:/]|data:|blob:|about:|file:)')
TOKEN = 'only-for-tests'
LAB, NOTEBOOK = 'doc/workspaces/{0}/tree/{0}.ipynb', 'notebooks/{0}.ipynb'  # where a server shows a notebook alone
KERNEL = 'jupyterapp.shell.currentWidget.context.sessionContext'  # of the notebook that is shown
FILES = {
    'config/jupyter_server_config.json': {
        'ServerApp': {'ip': '127.0.0.1', 'allow_root': True, 'terminals_enabled': False},
        'LabApp': {'expose_app_in_browser': True, 'extension_manager': 'readonly', 'news_url': None,
                   'check_for_updates_class': 'jupyterlab.handlers.announcements.NeverCheckForUpdate'},
        'JupyterNotebookApp': {'expose_app_in_browser': True}},
    'config/labconfig/page_config.json': {'buildCheck': False, 'disabledExtensions': {'@jupyterlab/apputils-extension:announcements': True}},
    'config/labconfig/default_setting_overrides.json': {'@jupyterlab/notebook-extension:tracker': {'windowingMode': 'none', 'scrollPastEnd': False}},
    'data/kernels/python3/kernel.json': {'display_name': 'Python', 'language': 'python',
        'argv': [sys.executable, '-m', 'ipykernel_launcher', '-f', '{connection_file}']}}
PLAIN = '''e => {
    const types = {i1: Int8Array, u1: Uint8Array, i2: Int16Array, u2: Uint16Array, i4: Int32Array, u4: Uint32Array, f4: Float32Array, f8: Float64Array}
    const rows = (x, [n, ...rest]) => rest.length ? Array.from({length: n}, (_, i) => rows(x.slice(i * x.length / n, (i + 1) * x.length / n), rest)) : x
    const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt()).buffer
    const decode = x => rows(Array.from(new types[x.dtype](bytes(x.bdata))), `${x.shape ?? ''}`.split(',').map(Number))
    const plain = x => ArrayBuffer.isView(x) ? Array.from(x, Number) : Array.isArray(x) ? x.map(plain) : !x || typeof x != 'object' ? x : x.bdata ? decode(x)
        : Object.fromEntries(Object.entries(x).filter(([k]) => k[0] != '_').map(([k, v]) => [k, plain(v)]))
    return JSON.stringify({data: plain(e.data), layout: plain(e.layout)})}''' # as text: Playwright takes half a second for as many values


def until(page, true, timeout=40): # of a slow machine
    "The first true answer of `true()`, asked 20 times a second for at most `timeout` seconds, while the page (if any) lives on"
    end = time.monotonic() + timeout
    while not (answer := true()):
        if time.monotonic() > end: raise TimeoutError(f'not within {timeout} s')
        page.wait_for_timeout(50) if page else time.sleep(.05)
    return answer


def write(path, cells):
    "A notebook of these code cells"
    book = [dict(cell_type='code', id=f'cell-{i}', metadata={}, execution_count=None, outputs=[], source=c) for i, c in enumerate(cells)]
    kernel = {'name': 'python3', 'display_name': 'Python'}
    path.write_text(json.dumps(dict(cells=book, metadata={'kernelspec': kernel}, nbformat=4, nbformat_minor=5)))


@dataclass(frozen=True)
class Server:
    "A server that runs: its address, and the folder whose notebooks it shows"
    url: str
    root: Path

    def ask(self, path, method='GET'):
        with urlopen(Request(self.url + path, method=method, headers={'Authorization': f'token {TOKEN}'}), timeout=20) as r: return r.read()

    def open(self, page, cells, name='lab', at=LAB, dark=False, seconds=60):
        "Write a notebook of these cells, show it alone in the page and run it"
        write(self.root/f'{name}.ipynb', cells)
        page.goto(f'{self.url}{at.format(name)}?token={TOKEN}', wait_until='commit')
        ready(page)
        theme(page, dark)
        run(page, seconds)

    def rest(self):
        "End every kernel"
        for session in json.loads(self.ask('api/sessions')): self.ask(f'api/sessions/{session["id"]}', 'DELETE')


@contextmanager
def serve(folder, module='jupyterlab', *args, seconds=60):
    "`python -m module` on a free port, from its first answer to the end of the block. Jupyter's own files are all below `folder`"
    for path, x in FILES.items():
        (folder/path).parent.mkdir(parents=True, exist_ok=True)
        (folder/path).write_text(json.dumps(x))
    (folder/'root').mkdir(exist_ok=True)
    own = {'IPYTHONDIR': 'ipython'} | {f'JUPYTER_{x.upper()}_DIR': x for x in ('config', 'data', 'runtime')}
    env = {k: v for k, v in os.environ.items() if not k.startswith('JUPYTER')} | {k: str(folder/v) for k, v in own.items()}
    env |= {'JUPYTER_TOKEN': TOKEN, 'JUPYTER_PREFER_ENV_PATH': '0', 'HOME': os.environ.get('HOME') or str(folder)}
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]
    command = [sys.executable, '-m', module, *args, '--no-browser', f'--port={port}']
    server, log = Server(f'http://127.0.0.1:{port}/', folder/'root'), folder/f'{module}.log'
    with log.open('wb') as out, subprocess.Popen(command, env=env, cwd=server.root, stdout=out, stderr=subprocess.STDOUT) as process:
        def up():
            if process.poll() is not None: raise RuntimeError(f'{module} ended: {log.read_text()[-2000:]}')
            try: return server.ask('api')
            except OSError as e: return isinstance(e, HTTPError)  # Voila has no such address, and says so
        try:
            until(None, up, seconds)
            yield server
        finally:
            process.terminate()
            try: process.wait(15)
            except subprocess.TimeoutExpired: process.kill()


@contextmanager
def fresh(chromium, width=1280, height=900):
    "A page of its own that gets nothing from outside 127.0.0.1: `page.elsewhere` lists what it asked for there, `page.errors` what went wrong"
    with chromium.new_context(viewport={'width': width, 'height': height}) as context:
        page = context.new_page()
        page.elsewhere, page.errors = [], []
        context.route(ELSEWHERE, lambda route: (page.elsewhere.append(route.request.url), route.abort()))
        context.route_web_socket(ELSEWHERE, lambda ws: (page.elsewhere.append(ws.url), ws.close()))
        page.on('console', lambda m: page.errors.append(m.text) if m.type == 'error' else None)
        page.on('pageerror', lambda e: page.errors.append(str(e)))
        yield page


def ready(page): page.wait_for_function(f'window.jupyterapp?.shell?.currentWidget && {KERNEL}?.isReady')
def interrupt(page): page.evaluate(f'{KERNEL}.session.kernel.interrupt()')
def restart(page): page.evaluate(f'{KERNEL}.restartKernel()')


def run(page, seconds=60):
    "Run all cells, to the end"
    late = f"new Promise((_, no) => setTimeout(no, {1000*seconds}, Error('cells: not within {seconds} s')))"
    if not page.evaluate(f"Promise.race([jupyterapp.commands.execute('notebook:run-all-cells'), {late}])"):
        raise AssertionError('\n'.join(page.locator('[data-mime-type$=stderr]').all_inner_texts()))


def theme(page, dark):
    name = f'JupyterLab {"Dark" if dark else "Light"}'
    page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", name)
    page.wait_for_function('name => document.body.dataset.jpThemeName == name', arg=name)


def plot(page, n=0):
    "What the page's n-th plotly figure shows, once it is drawn: its data and layout, in lists; None for what is not a number"
    figure = page.locator('.js-plotly-plot:visible').nth(n)
    figure.locator('.main-svg').first.wait_for()
    return json.loads(figure.evaluate(PLAIN))


def slide(page, name, to):
    "Type a value into the readout of the slider of this label"
    readout = page.locator('.widget-slider', has_text=name).locator('.widget-readout')
    readout.fill(str(to))
    readout.press('Enter')


def shot(page, path):
    "A picture of the page, made as high as what it shows"
    size = page.viewport_size
    more = page.locator(':root, .jp-WindowedPanel-outer, #rendered_cells').evaluate_all('all => Math.max(...all.map(e => e.scrollHeight - e.clientHeight))')
    page.set_viewport_size(size | {'height': size['height'] + more})
    page.wait_for_timeout(300)
    page.screenshot(path=path)
    page.set_viewport_size(size)
