"The live page: its algorithm computes what the package computes, and a reader can use it by mouse, touch and keyboard, wide and narrow, light and dark"
import base64
import sys

import numpy as np
import pages
import pytest
import torch
import torch.nn.functional as F
from conftest import TOP
from torch import nn

from colt.compare import interval
from colt.data import generator, load
from colt.data.seeds import batches, seeded
from colt.mask import apply_, full_mask, prune
from colt.models import Body, Net, init_
from colt.overlap import agreement, overlap
from colt.partition import by_class
from colt.rewind import rewind_, snapshot

sys.path.insert(0, str(TOP/'tools/site'))
import live_page

RATE, CYCLES, EPOCHS, LAYERS = .3, 3, 2, ('body.1.weight', 'body.3.weight')
RUNS = {f'{n} partitions, seed {seed}': (n, seed) for n in (1, 2, 5) for seed in range(3)}
SHOTS = TOP/'_shots'
# What is taken out of the page's algorithm, and has to be noticed
MUTANTS = {
    'rewinding': ('rewind(start(cycle, p, net), mask)', 'rewind(net, mask)'),
    'one vote': ('m.map((_, i) => votes.every(', 'm.map((_, i) => votes.slice(1).every('),
    'the mask after a step': ('        applyMask(net, mask) // after', '        // after'),
    'the magnitude': ('magnitude: Math.abs(net[l].w[i])', 'magnitude: net[l].w[i]'),
    "Adam's correction": ('rate*mean[i]/(Math.sqrt(square[i])/correction + 1e-8)', 'LEARNING_RATE*mean[i]/(Math.sqrt(square[i]) + 1e-8)')}
RUN = '''({source, runs, rate, epochs, cyclesWanted}) => {
    const names = 'cycles, readImages, ofDigits, partitionDigits, standardise, meanStd, agreement'
    const page = new Function(`${source}; return {${names}}`)(), train = page.readImages(DIGITS.train)
    const pack = array => btoa(String.fromCharCode(...new Uint8Array(array.buffer))), f64 = text => new Float64Array(Uint8Array.from(atob(text), c => c.charCodeAt()).buffer)
    return runs.map(({n, init, order}) => {
        const own = page.partitionDigits(n).map(range => page.ofDigits(train, range)), partitions = own.map(images => page.standardise(images, page.meanStd(images)))
        const theta0 = init.map(({inputs, outputs, w, b}) => ({inputs, outputs, w: f64(w), b: f64(b)})), found = []
        for (const state of page.cycles({init: theta0, partitions, rate, epochs, batches: (cycle, p, epoch) => order[cycle][p][epoch - 1]})) {
            if (state.phase == 'vote') found.push({mask: state.mask.map(pack), weights: state.nets.map(net => net.map(({w, b}) => [pack(w), pack(b)]))})
            if (state.phase == 'overlap') Object.assign(found.at(-1), {next: state.next.map(pack), overlap: state.overlap, chance: state.chance})
            if (state.phase == 'overlap' && state.cycle + 1 == cyclesWanted) break
        }
        return found
    })}'''


def packed(tensor): return base64.b64encode(tensor.numpy().tobytes()).decode()
def unpacked(text, dtype=np.float64): return np.frombuffer(base64.b64decode(text), dtype)


def network(outputs, seed):
    "The page's network, in float64"
    layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 24), nn.ReLU())
    net = Net(Body(layers, 24), outputs)
    with seeded(seed): init_(net)
    return net.double()


def standardised(images):
    "In float64, where the package uses float32"
    x = images.x.double()
    return (x - x.mean())/x.std(correction=0)


def train_epoch(net, batches, optimizer, mask):
    "The plain loop of nbs/api/12_train.ipynb"
    net.train()
    for images, labels in batches:
        loss = F.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        apply_(net, mask)


def computed(digits, n, seed):
    "θ0 and the batches of a run; and its masks and trained weights, by the package and the plain loop"
    partitions = by_class(digits, n)
    net = network(max(len(p.classes) for p in partitions), seed)
    init, mask, orders, found = snapshot(net), full_mask(net, ('linear',)), [], []
    for cycle in range(CYCLES):
        order = [[batches(len(p.train), 64, generator(seed, 'live', cycle, p.name, e)) for e in range(EPOCHS)] for p in partitions]
        trained = []
        for partition, epochs in zip(partitions, order, strict=True):
            rewind_(net, init, mask)
            optimizer, x = torch.optim.Adam(net.parameters(), .004), standardised(partition.train)
            for epoch in epochs: train_epoch(net, [(x[i], partition.train.y[i]) for i in epoch], optimizer, mask)
            trained.append(snapshot(net))
        votes = [prune(weights, mask, RATE) for weights in trained]
        found.append((mask, trained, overlap(votes), agreement(votes, mask)))
        orders.append([[[b.tolist() for b in epoch] for epoch in epochs] for epochs in order])
        mask = found[-1][2]
    names = [*LAYERS, 'head.weight']
    layers = [dict(zip(('outputs', 'inputs'), init[w].shape, strict=True)) | {'w': packed(init[w]), 'b': packed(init[w.replace('weight', 'bias')])} for w in names]
    return {'n': n, 'init': layers, 'order': orders}, found


def differences(page, source, told):
    "Where the page's masks and weights are not those of Python"
    runs, expected = zip(*told.values(), strict=True)
    found = page.evaluate(RUN, dict(source=source, runs=runs, rate=RATE, epochs=EPOCHS, cyclesWanted=CYCLES))
    for name, theirs, ours in zip(told, found, expected, strict=True):
        for cycle, (seen, (mask, trained, following, agreed)) in enumerate(zip(theirs, ours, strict=True)):
            for what, true in ('mask', mask), ('next', following):
                for layer, text in zip(LAYERS, seen[what], strict=True):
                    if (unpacked(text, np.uint8) != true[layer].flatten().numpy()).any(): yield f'{name}, cycle {cycle}: {what} of {layer}'
            for p, (net, weights) in enumerate(zip(seen['weights'], trained, strict=True)):
                far = max(np.abs(unpacked(text) - weights[layer.replace('weight', kind)].flatten().numpy()).max()
                          for layer, texts in zip([*LAYERS, 'head.weight'], net, strict=True) for kind, text in zip(('weight', 'bias'), texts, strict=True))
                if not far < 1e-6: yield f'{name}, cycle {cycle}: weights of network {p} are {far:.1g} off'
            if max(abs(seen['overlap'] - agreed.all), abs(seen['chance'] - agreed.chance)) > 1e-12: yield f'{name}, cycle {cycle}: mask overlap'


@pytest.fixture(scope='module')
def address(tmp_path_factory):
    "The page as one file, opened as a file"
    path = tmp_path_factory.mktemp('live')/'page.html'
    path.write_text(live_page.alone(), encoding='utf-8')
    assert path.stat().st_size < 300_000
    return path.as_uri()


@pytest.fixture(scope='module')
def page(chromium, address):
    with pages.fresh(chromium) as page:
        page.goto(address)
        settled(page)
        yield page
        assert (page.errors, page.elsewhere) == ([], [])


@pytest.fixture(scope='module')
def truth():
    digits = load('digits')
    return {name: computed(digits, *run) for name, run in RUNS.items()}


def settled(page, state='waiting'): page.wait_for_function('state => document.querySelector(".live")?.dataset.state == state', arg=state, timeout=60_000)


def open_at(page, address, setting=''):
    page.goto('about:blank')
    page.goto(f'{address}#{setting}')
    settled(page)


def source(page): return page.locator('#live-ticket-program').text_content()


def test_masks_and_weights_are_those_of_the_package(page, truth): assert list(differences(page, source(page), truth)) == []


@pytest.mark.parametrize('what', MUTANTS)
def test_it_is_noticed_what_is_missing(page, truth, what):
    whole, (old, new) = source(page), MUTANTS[what]
    assert whole.count(old) == 1
    assert list(differences(page, whole.replace(old, new), {name: truth[name] for name in ('2 partitions, seed 0',)}))


@pytest.mark.parametrize('rate', [.1, .25, .5, .75])
def test_equal_magnitudes_and_halves_are_pruned_as_in_python(page, rate):
    weights = torch.tensor([.5, -.5, .1, .5, 0., -.1, .5, 2., -.5, .1])
    mask = torch.tensor([1, 1, 1, 0, 1, 1, 1, 1, 1, 1]).bool()
    for kept in range(10):
        some = mask & (torch.arange(10) <= kept)
        layers = [{'w': weights[:6].tolist()}, {'w': weights[6:].tolist()}]
        seen = page.evaluate('([net, mask, rate]) => prune(net, mask.map(m => Uint8Array.from(m)), rate).map(m => [...m])',
                             [layers, [some[:6].int().tolist(), some[6:].int().tolist()], rate])
        assert seen[0] + seen[1] == prune({'w': weights}, {'w': some}, rate)['w'].int().tolist(), (rate, kept)


def test_an_interval_is_that_of_the_package(page):
    values = [.93, .91, .955, .92, .9]
    for n in range(3, 6):
        seen = page.evaluate('values => interval(values)', values[:n])
        assert (seen['mean'], seen['half']) == pytest.approx(interval(values[:n]), rel=1e-4)


def draw(page, points):
    "A line through these points of the pad, by the mouse"
    pad = page.locator('#live-pad')
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    (x, y), *rest = [(box['x'] + x*box['width'], box['y'] + y*box['height']) for x, y in points]
    page.mouse.move(x, y)
    page.mouse.down()
    for x, y in rest: page.mouse.move(x, y, steps=5)
    page.mouse.up()


def answer(page, kind='full'): return page.locator(f'#live-answers .{kind}').get_attribute('data-answer')


ZERO = [(.5 + .22*np.sin(a), .5 - .35*np.cos(a)) for a in np.linspace(0, 2*np.pi, 17)]
DIGITS = {'0': ZERO, '1': [(.35, .3), (.52, .15), (.52, .88)], '7': [(.25, .2), (.75, .2), (.45, .85)],
          '3': [(.3, .15), (.65, .15), (.68, .4), (.45, .5), (.7, .6), (.65, .85), (.3, .85)]}


@pytest.mark.parametrize('digit', DIGITS)
def test_a_drawn_digit_is_read(page, digit):
    page.click('#live-clear')
    draw(page, DIGITS[digit])
    assert answer(page) == digit


def test_the_address_restores_the_setting(page, address):
    setting = 'partitions=3&rate=0.45&start=own&seed=7&compare=reinit+shuffled&question=matched'
    open_at(page, address, setting)
    values = '() => Object.fromEntries(new FormData(document.querySelector("#live-settings")))'
    assert page.evaluate(values) == {'partitions': '3', 'rate': '45', 'start': 'own', 'seed': '7', 'compare': 'shuffled'}
    assert page.locator('#live-question').is_visible() and page.url.endswith(setting)
    page.select_option('[name=partitions]', '1')
    settled(page)
    changed = page.url
    assert 'partitions=1' in changed and 'question=matched' not in changed
    page.goto('about:blank')
    page.goto(changed)
    settled(page)
    assert page.evaluate(values)['partitions'] == '1' and page.locator('[value=matched]').is_disabled()
    open_at(page, address, 'partitions=99&rate=x&start=nowhere&seed=-3&compare=all&question=none')
    assert page.evaluate(values) == {'partitions': '5', 'rate': '30', 'start': 'theta0', 'seed': '0'}


def test_it_trains_to_90_percent_and_stays_usable_beside_five_seeds(page, address):
    open_at(page, address, 'partitions=5&rate=0.8&compare=')
    page.click('#live-five')                          # in a worker of its own
    page.click('#live-play')
    page.wait_for_function("document.querySelectorAll('#live-votes .all').length == 1", timeout=30_000)
    page.click('#live-clear')
    draw(page, DIGITS['7'])                           # while both workers train
    assert answer(page) == '7' and page.locator('.live').get_attribute('data-state') == 'play'
    settled(page)
    assert float(page.locator('#live-where').inner_text().split('·')[1].split()[0]) >= 90
    assert page.locator('#live-accuracy circle').count() == 1 + page.locator('#live-votes .all').count()
    page.wait_for_selector('#live-five-result table', timeout=60_000)
    rows = page.locator('#live-five-result tr').all_inner_texts()
    assert len(rows) >= 2 and all('±' in row for row in rows[1:])


def test_a_question_is_answered_from_the_run(page, address):
    open_at(page, address, 'question-cycles')         # as the lessons link to it
    page.get_by_role('button', name='more than 30 %').click()
    for phase in ('training', 'votes', 'overlap'):
        page.click('#live-step')
        settled(page)
    assert 'As you said. In this run: the first cycle pruned 4' in page.locator('#live-question').inner_text().replace('\xa0', ' ')


def test_the_keyboard_does_it_all(page, address):
    open_at(page, address)
    page.keyboard.press('Tab')
    assert page.evaluate('document.activeElement.id') == 'live-play'
    page.keyboard.press('Tab')
    page.keyboard.press('Enter')
    page.wait_for_function("document.querySelector('#live-phases [aria-current]')?.textContent == 'Train'")
    settled(page)
    page.focus('#live-pad')
    for key in ['Space', *['ArrowDown']*10, 'Space']: page.keyboard.press(key)
    assert answer(page) == '1'


CONTRAST = '''() => {
    const linear = x => (x /= 255) <= .04045 ? x/12.92 : ((x + .055)/1.055)**2.4
    const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(linear); return .2126*r + .7152*g + .0722*b }
    const ratio = (a, b) => (Math.max(a, b) + .05)/(Math.min(a, b) + .05)
    const under = e => { const c = e ? getComputedStyle(e).backgroundColor : 'rgb(19, 20, 22)'; return c != 'rgba(0, 0, 0, 0)' ? light(c) : under(e.parentElement) }
    const texts = [...document.querySelectorAll('.live :is(p, b, button, label, select, figcaption, text, a, output, li)')].filter(e => e.textContent && e.getClientRects().length)
    return texts.map(e => [ratio(under(e), light(getComputedStyle(e)[e.closest('svg') ? 'fill' : 'color'])), e.outerHTML.slice(0, 90)]).filter(([r]) => r < 4.5)}'''


def test_a_phone_in_the_dark(chromium, address):
    with chromium.new_context(viewport=dict(width=390, height=800), color_scheme='dark', has_touch=True, is_mobile=True, device_scale_factor=2, reduced_motion='reduce') as context:
        page = context.new_page()
        page.goto(address)
        settled(page)
        page.tap('#live-step')
        settled(page)
        assert page.evaluate('document.documentElement.scrollWidth') <= 390
        assert page.evaluate(CONTRAST) == []
        small = page.locator('.live :is(button, select, a)').evaluate_all('all => all.map(e => e.getBoundingClientRect()).filter(b => b.height < 40)')
        assert small == [], 'a finger needs more room'
        touch(page, context.new_cdp_session(page), DIGITS['7'])
        assert answer(page) == '7'
        SHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SHOTS/'live-dark-390.png', full_page=True)


def touch(page, session, points):
    "A line through these points of the pad, by a finger"
    pad = page.locator('#live-pad')
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    for k, (x, y) in enumerate(points):
        where = [dict(x=box['x'] + x*box['width'], y=box['y'] + y*box['height'])]
        session.send('Input.dispatchTouchEvent', dict(type='touchMove' if k else 'touchStart', touchPoints=where))
    session.send('Input.dispatchTouchEvent', dict(type='touchEnd', touchPoints=[]))
