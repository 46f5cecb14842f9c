"`colt-lab` as a process: it is there for this machine and this user alone, overwrites nothing, and leaves nothing behind"
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, build_opener, urlopen

import psutil
import pytest
from conftest import COMMAND, TOP

LAB = COMMAND.with_name('colt-lab')
plain = build_opener(type('Stay', (HTTPRedirectHandler,), {'redirect_request': lambda *_: None})).open


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def until(true, seconds=40):
    end = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < end: time.sleep(.1)
    assert found, f'waited {seconds} seconds in vain'
    return found


def said(log, words):
    "What stands in the log after the address begins"
    return (m := re.search(words, log.read_text())) and m[0]


@pytest.fixture
def lab(tmp_path, interruptible):
    "Start `colt-lab`; at the end nothing of it is alive"
    started = []
    def start(*line):
        port, log = free_port(), tmp_path/f'log{len(started)}'
        with log.open('w') as out:
            process = subprocess.Popen([LAB, *line, '--browser', 'no', '--port', str(port)], cwd=tmp_path, stdout=out, stderr=out,
                                       env=os.environ | {f'JUPYTER_{d}_DIR': str(tmp_path/'jupyter'/d) for d in ('CONFIG', 'DATA', 'RUNTIME')})
        started.append(process)
        return process, port, log
    yield start
    for process in started:
        for p in [*(psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []), process]: p.kill()
        process.wait()


def is_serving(process):
    "Whether its server is under way; whatever its imports start for a moment does not count"
    try: return any('jupyterlab' in child.cmdline() for child in psutil.Process(process.pid).children())
    except psutil.NoSuchProcess: return False


def status(url):
    try: return plain(url, timeout=20).status
    except HTTPError as e: return e.code
    except URLError: return 0


def ends(process, log, how=signal.SIGINT):
    "It ends at a signal with code 0, its children end with it, and no traceback is seen"
    family = psutil.Process(process.pid).children(recursive=True)
    assert family
    before = len(log.read_text())
    process.send_signal(how)
    assert process.wait(20) == 0
    assert psutil.wait_procs(family, timeout=5)[1] == []
    assert not re.search('Traceback|colt-lab: ', log.read_text()[before:])


def test_the_lab_is_there_for_this_user_alone_and_leaves_nothing_behind(lab, tmp_path):
    process, port, log = lab('a folder')
    address = until(lambda: said(log, rf'http://127\.0\.0\.1:{port}/lab/tree/tour\.ipynb\?token=\w+'))
    until(lambda: status(address) == 200)
    assert status(f'http://127.0.0.1:{port}/lab/tree/tour.ipynb') in (302, 403) and status(f'http://127.0.0.1:{port}/api/contents') == 403
    server = psutil.Process(process.pid).children()[0]
    assert {c.laddr.ip for c in server.net_connections('inet') if c.status == psutil.CONN_LISTEN} == {'127.0.0.1'}
    assert (tmp_path/'a folder/tour.ipynb').read_bytes() == (TOP/'colt/tour.ipynb').read_bytes()
    token = address.rpartition('=')[2]
    read = lambda path: json.load(urlopen(f'http://127.0.0.1:{port}/{path}?token={token}', timeout=20))
    assert [f['name'] for f in read('api/contents')['content']] == ['tour.ipynb']
    assert read('lab/api/news') == {'news': []} and read('lab/api/update') == {'notification': None}
    ends(process, log)
    assert status(address) == 0


def test_voila_serves_the_panel_with_a_token_and_nothing_from_elsewhere(lab, tmp_path):
    process, port, log = lab('app', '--voila')
    address = until(lambda: said(log, rf'http://127\.0\.0\.1:{port}/\?token=\w{{20,}}'))
    assert status(f'http://127.0.0.1:{port}/') in (302, 403)
    page = plain(address, timeout=40)                                     # the notebook has run: there is a kernel now
    assert page.status == 200 and page.headers['Content-Security-Policy'].startswith("default-src 'self'")
    assert b'data-jp-theme-light="true"' in page.read()
    server = psutil.Process(process.pid).children()[0]
    assert {c.laddr.ip for c in server.net_connections('inet') if c.status == psutil.CONN_LISTEN} == {'127.0.0.1'}
    cell, = json.loads((tmp_path/'app/lab.ipynb').read_text())['cells']
    assert cell['source'] == 'from colt.panel import Lab\nLab()' and not (tmp_path/'app/tour.ipynb').exists()
    assert len(psutil.Process(process.pid).children(recursive=True)) > 1
    ends(process, log)


@pytest.mark.parametrize('how', [signal.SIGINT, signal.SIGTERM])
def test_it_can_be_stopped_before_it_has_begun_and_a_notebook_that_is_there_stays_as_it_is(lab, how, tmp_path):
    mine = tmp_path/'lesson/tour.ipynb'
    mine.parent.mkdir()
    mine.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    process, _, log = lab('lesson')
    until(lambda: is_serving(process))
    ends(process, log, how)
    assert json.loads(mine.read_text())['cells'] == [] and [p.name for p in mine.parent.iterdir()] == ['tour.ipynb']


MISTAKES = {'--port 0': '1 to 65535', '--port 65536': '1 to 65535', '--port x': "'x'", '--port TAKEN': "can't be used", 'file': "'file'",
            'file/lab': 'is a file', '--browser maybe': 'yes or no', 'one two': 'two', '--frobnicate': 'frobnicate', '/proc/none': "can't be written"}


@pytest.mark.parametrize('line', MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(line, tmp_path, monkeypatch, capsys):
    from colt.cli import colt_lab
    monkeypatch.chdir(tmp_path)
    (tmp_path/'file').write_text('')
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        try: code = colt_lab(line.replace('TAKEN', str(taken.getsockname()[1])).split())
        except SystemExit as e: code = e.code
    shown = capsys.readouterr()
    assert code == 2 and shown.out == '' and shown.err.startswith('colt-lab: ') and shown.err.count('\n') == 1 and MISTAKES[line] in shown.err
    assert [p.name for p in tmp_path.iterdir()] == ['file']


@pytest.mark.parametrize('program, flags', [('jupyterlab', []), ('voila', ['--voila'])])
def test_what_is_not_installed_is_named(program, flags, tmp_path, monkeypatch, capsys):
    from colt.cli import colt_lab
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, program, None)
    assert colt_lab(flags) == 2 and f'pip install {program} brings it' in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch, capsys):
    from colt.cli import colt_lab
    monkeypatch.setattr('colt.cli.command.os.access', lambda *_: False)           # root may write anywhere, and would not be refused
    assert colt_lab([str(tmp_path/'lab')]) == 2 and "can't be written" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_server_that_fails_is_told_in_one_line_and_exit_code_1(tmp_path, monkeypatch, capsys):
    from colt.cli import colt_lab
    monkeypatch.setattr('colt.cli.lab._voila', lambda *_: [sys.executable, '-c', 'raise SystemExit(3)'])
    assert colt_lab([str(tmp_path/'lab'), '--voila', '--browser', 'no']) == 1
    assert re.fullmatch('colt-lab: .* has ended with code 3.*\n', capsys.readouterr().err)
