"A report says what the folder of its run says, in any light, and nothing in it runs"
import json
import re
import shlex
import shutil
from dataclasses import asdict
from html.parser import HTMLParser
from itertools import pairwise, permutations
from math import sqrt

import pages
import pytest
from scipy.stats import binomtest, fisher_exact

from colt.cli.prune import asked_recipe, parser
from colt.compare import group_replicates
from colt.files import seal
from colt.plans import plan
from colt.plot.card import card_of
from colt.plot.report import comparison_page, report_page, save_report
from colt.recipe import Recipe
from colt.records import RunFolder, correct_images
from colt.runs import create_run, execute

PAIRED, UNPAIRED = "McNemar's exact test, paired", "Fisher's exact test, unpaired"

SHORT = dict(arch='fc1', conv_prune_ratio=0., linear_prune_ratio=.6, lr=2e-3, end_iter=1, sparsity=.9)
HOSTILE = '</title></style></svg><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>\'"&lt;\ud800'
LIGHT = '''() => {
    const linear = x => (x /= 255) <= .04045 ? x/12.92 : ((x + .055)/1.055)**2.4
    const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(linear); return .2126*r + .7152*g + .0722*b }
    const ratio = (a, b) => (Math.max(a, b) + .05)/(Math.min(a, b) + .05)
    const card = light(getComputedStyle(document.querySelector('.card')).backgroundColor)
    const colour = (e, what) => getComputedStyle(e)[what]
    const all = (query, what, most=40) => [...document.querySelectorAll(query)].slice(0, most).map(e => ratio(card, light(colour(e, what))))
    return {page: light(getComputedStyle(document.body).backgroundColor), card,
            texts: [...all('p, dt, dd, small, td, th, summary, .name, .value, .ends, .against', 'color'), ...all('svg text', 'fill')],
            lines: [...all('svg g[class^=c]', 'color'), ...all('.track svg path', 'stroke')]}}'''


class Parts(HTMLParser):
    "The texts of a page: facts by their label, rows of tables and of accuracies, what marks say, commands"
    def __init__(self, page):
        super().__init__()
        self.texts = []                                   # (elements around it, classes around it, text)
        self.open = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag not in ('meta', 'br'): self.open.append((tag, dict(attrs).get('class') or ''))
        if tag in ('dd', 'td', 'li', 'tr', 'pre', 'title', 'p', 'span', 'dt', 'small'): self.texts.append((tag, self.open[-1][1], ''))

    def handle_endtag(self, tag):
        while self.open.pop()[0] != tag: pass

    def handle_data(self, text):
        if not self.texts or not self.open: return
        tag, kind, before = self.texts[-1]
        if any(tag == name for name, _ in self.open): self.texts[-1] = tag, kind, before + text

    def all(self, *tags): return [text for tag, _, text in self.texts if tag in tags]
    def kind(self, name): return [text for _, kind, text in self.texts if kind == name]

    @property
    def facts(self):
        "Label -> value and note"
        found, label = {}, None
        for tag, _, text in self.texts:
            if tag == 'dt': label, found[text] = text, []
            elif tag in ('dd', 'small') and label: found[label].append(text)
            else: label = None
        return {label: tuple(texts) for label, texts in found.items()}

    @property
    def table(self):
        "The rows of the table of cycles"
        rows = []
        for (tag, _, text), (_, _, _) in pairwise([*self.texts, ('', '', '')]):
            if tag == 'tr': rows.append([])
            elif tag == 'td': rows[-1].append(text)
        return [row for row in rows if len(row) > 3]


@pytest.fixture(scope='module')
def top(tmp_path_factory): return tmp_path_factory.mktemp('report')/'runs'


def make(top, name, cycles=99, **changes):
    p = plan(Recipe(**SHORT | changes))
    folder = create_run(p, top/name)
    for record in execute(p, folder):
        if record.cycle == cycles: break
    return folder


@pytest.fixture(scope='module')
def run(top): return make(top, 'run', evaluate='each', controls='shuffle,random')


@pytest.fixture(scope='module')
def lines(run): return [json.loads(line) for line in (run.path/'cycles.jsonl').read_text().splitlines()]


def text(run): return report_page(run).decode()
def percent(x): return f'{100*x:.2f} %'


def wilson(k, n, z=1.959963984540054):
    "Wilson's interval as his formula says it"
    p, a = k/n, z*z/n
    middle, half = (p + a/2)/(1 + a), z*sqrt(p*(1 - p)/n + a/(4*n))/(1 + a)
    return middle - half, middle + half


def test_every_number_is_that_of_the_folder(run, lines):
    parts, (first, *_, last) = Parts(text(run)), lines
    facts = parts.facts
    kept, total = (sum(sum(counts) for counts in line['votes'].values()) for line in (last, first))
    assert facts['sparsity'] == (percent(last['sparsity']), f'{kept:,} of {total:,} prunable weights are kept; the first cycle that reaches the target of 90 %')
    assert facts['pruning rounds'] == (str(len(lines) - 1), 'cycle 0 prunes nothing')
    assert facts['prune rate'][0] == f"{last['prune_rate']:.2f} %"
    ticket, dense = ((run.path/file).stat().st_size for file in (f"tickets/cycle-{last['cycle']:03}.safetensors", 'init.safetensors'))
    assert facts['file of the ticket'] == (f'{ticket/1e3:,.0f} KB', f'dense: {dense/1e3:,.0f} KB; the ticket stores positions, too')
    assert facts['mask overlap'] == (f"{last['agreement']['all']:.3f}", f"{last['agreement']['chance']:.3f} by chance; the votes of cycle {last['cycle']}")
    assert facts['images seen'][0] == f"{last['samples_seen']:,}"
    assert facts['time'][0] == f"{last['seconds']:.1f} s"
    of_dense = sum(part['samples'] for part in first['parts'])
    assert facts['ticket finding'][0] == f"{100*(1 - of_dense/last['samples_seen']):.0f} %"
    about = json.loads((run.path/'recipe.json').read_text())
    assert [facts[name] for name in about['versions']] == [(version,) for version in about['versions'].values()]
    assert facts['fingerprint of the images'] == (about['data']['fingerprint'],) and facts['test images'] == (f"{about['data']['test_images']:,}",)


def mcnemar(answers, others):
    only_one, only_other = (sum(a and not b for a, b in zip(*pair)) for pair in permutations((answers, others)))
    return binomtest(only_one, only_one + only_other).pvalue


def fisher(one, other, images=359):
    right = [round(images*accuracy) for accuracy in (one, other)]
    return fisher_exact([right, [images - n for n in right]]).pvalue


def holm(p_values):
    "Of the p-values up to this one, the largest product with the number of those that are not below"
    products = {p: min(1., p*sum(q >= p for q in p_values.values())) for p in p_values.values()}
    return {what: max(products[q] for q in products if q <= p) for what, p in p_values.items()}


def test_one_run_is_compared_image_by_image_if_it_kept_which_were_right(run, top, lines):
    last, test = lines[-1]['cycle'], plan(run.recipe).dataset.test
    def right(n): return (run.model(n)(test.x).argmax(1) == test.y).tolist()
    kept = correct_images(run, run.records()[-1])
    others = {'dense': right(0)} | {name: kept[name] for name in ('shuffle', 'random')}
    expected = holm({name: mcnemar(right(last), answers) for name, answers in others.items()})
    ticket, *compared = card_of(run).measured
    measured = {m.what: m for m in compared}
    assert {name: m.p for name, m in measured.items()} == pytest.approx(expected)
    assert all((m.p < .05) == (m.against != 'no significant difference') for m in compared)
    assert 'p-values are corrected for 3 comparisons (Holm)' in text(run)
    assert measured['dense'].against == 'lower' and PAIRED in text(run) and UNPAIRED not in text(run)
    shutil.copytree(run.path, top/'bare')
    shutil.rmtree(top/'bare'/'correct')
    bare = {m.what: m for m in card_of(top/'bare').measured}
    accuracies = {'dense': lines[0]['ticket'], **lines[-1]['controls']}
    expected = holm({name: fisher(ticket.accuracy, found['test_accuracy']) for name, found in accuracies.items()})
    assert {name: bare[name].p for name in expected} == pytest.approx(expected)
    page = text(RunFolder(top/'bare'))
    assert UNPAIRED in page and PAIRED not in page
    bits = bytearray((run.path/f'correct/cycle-{last:03}.safetensors').read_bytes())
    bits[-1] ^= 128
    (top/'bare/correct').mkdir()
    (top/'bare/correct'/f'cycle-{last:03}.safetensors').write_bytes(bits)
    damaged = text(RunFolder(top/'bare'))
    assert 'Missing or damaged' in damaged and f'correct/cycle-{last:03}.safetensors' in damaged and PAIRED not in damaged


def test_every_accuracy_has_its_interval_over_the_test_images(run, lines):
    parts, (first, *_, last) = Parts(text(run)), lines
    shares = [last['ticket'], first['ticket'], *last['controls'].values()]
    accuracies = [share['test_accuracy'] for share in shares]
    assert parts.kind('value')[1:] == list(map(percent, accuracies))
    images = len(plan(run.recipe).dataset.test)
    ends = [wilson(round(images*accuracy), images) for accuracy in accuracies]
    assert parts.kind('ends')[1:] == [f'{100*low:.2f} to {100*high:.2f}' for low, high in ends]
    assert parts.kind('name')[1:] == ['Ticket', 'Dense network', 'Shuffled control', 'Random control']


def test_the_table_and_the_marks_have_every_cycle(run, lines):
    parts = Parts(text(run))
    expected = [[str(n), percent(line['sparsity']), *(percent(s['test_accuracy']) for s in (line['ticket'], *line['controls'].values())),
                 *(percent(part['test_accuracy']) for part in line['parts']),
                 f"{line['agreement']['all']:.3f}", f"{line['agreement']['chance']:.3f}", f"{line['samples_seen']:,}", f"{line['seconds']:.1f} s"]
                for n, line in enumerate(lines)]
    assert parts.table == expected
    said = parts.all('title')
    for n, line in enumerate(lines):
        where = f"cycle {n}, {percent(line['sparsity'])} sparse"
        for share in (line['ticket'], *line['controls'].values(), *line['parts']): assert f"{where}: {percent(share['test_accuracy'])}" in said
        for name, sparsity in line['layers'].items():
            mark = next(t for t in said if t.startswith(f"{name.removesuffix('.weight')}, cycle {n}: "))
            assert float(re.search(r'([\d.]+) % kept', mark)[1]) == pytest.approx(100*(1 - sparsity), rel=.005)
        assert f"cycle {n}: mask overlap {line['agreement']['all']:.3f}" in said


def as_typed(value): return ('yes' if value else 'no') if isinstance(value, bool) else 'none' if value in (None, '') else str(value).removesuffix('.0')


def test_the_command_and_the_settings_are_those_of_the_recipe(run):
    line = re.sub('<[^>]+>', '', re.search('<pre>(.*?)</pre>', text(run))[1])
    program, *words = shlex.split(line)
    recipe, _ = asked_recipe(parser().parse_args(words))
    assert (program, recipe) == ('colt-prune', run.recipe) and '--threads' in words
    first, every = (re.findall('<tr><td>((?:<strong>)?[^<]*(?:</strong>)?)</td><td>([^<]*)</td><td>([^<]*)</td></tr>', half) for half in text(run).split('Every setting'))
    kept, usual = json.loads((run.path/'recipe.json').read_text())['recipe'], asdict(Recipe.default('fc1', 'digits'))
    changed = {name for name in kept if kept[name] != usual[name]}
    expected = {name: (as_typed(kept[name]), as_typed(usual[name])) for name in kept}
    assert [(f'<strong>{name}</strong>' if name in changed else name, *expected[name]) for name in usual] == every
    assert [(name, *expected[name]) for name in usual if name in changed] == first and len(changed) > 3


def test_what_is_missing_is_said_with_what_mends_it(top, run):
    stopped = text(make(top, 'stopped', 1, evaluate='no'))
    for words in ('Not finished', 'colt-prune', '--resume', 'Not evaluated on all classes', 'colt-compare stopped', 'was not evaluated'):
        assert words in stopped
    assert 'What is missing' not in text(run)
    dense = text(make(top, 'dense', max_cycles=0))
    assert 'Nothing is pruned yet' in dense and '<figure' not in dense    # a single cycle has nothing to draw
    imp = text(make(top, 'imp', prune_type='lth', partition=1))
    assert 'verlap of the votes' not in imp and 'No control was trained' in imp
    old = json.loads((run.path/'recipe.json').read_text())
    shutil.copytree(run.path, top/'old')
    del old['data']['test_images'], old['digest']
    (top/'old'/'recipe.json').write_text(json.dumps(seal(old)))
    unknown = text(RunFolder(top/'old'))
    assert 'does not say how many test images' in unknown and 'interval over' not in unknown


def hostile(run, path):
    "A copy of the run in which every name is hostile"
    shutil.copytree(run.path, path)
    about = json.loads((path/'recipe.json').read_text())
    about['recipe'] |= dict(dataset=HOSTILE, arch=HOSTILE)
    about['data'] |= dict(classes=[HOSTILE]*10, fingerprint=HOSTILE)
    about['versions']['machine'] = HOSTILE
    del about['digest']
    (path/'recipe.json').write_text(json.dumps(seal(about)))
    id = RunFolder(path).recipe.id
    rows = []
    for line in (path/'cycles.jsonl').read_text().splitlines():
        row = json.loads(line) | dict(recipe=id)
        del row['digest']
        for part in row['parts']: part['name'] += HOSTILE
        for key in ('layers', 'votes', 'kept'): row[key] = {name + HOSTILE: value for name, value in row[key].items()}
        for key in ('layers', 'chances'): row['agreement'][key] = {name + HOSTILE: value for name, value in row['agreement'][key].items()}
        rows.append(json.dumps(seal(row)) + '\n')
    (path/'cycles.jsonl').write_text(''.join(rows))
    return RunFolder(path)


def test_names_from_somebody_s_files_are_inert(run, top, chromium):
    page_of = report_page(hostile(run, top/'<b>hostile'))
    assert len(page_of) < 1_000_000
    with pages.fresh(chromium, 390) as page:
        page.set_content(page_of.decode())
        assert page.evaluate('window.hacked') is None and page.locator('img, script, b').count() == 0
        assert page.get_by_text('onerror').count() > 5                    # it is shown, as text
        assert (page.elsewhere, page.errors) == ([], [])
        assert page.evaluate('document.documentElement.scrollWidth') <= 390


@pytest.fixture(scope='module')
def written(run, top):
    "The pages: of a run, and of a comparison"
    seeds = [make(top, f'seed-{s}', seed=s, controls='random') for s in (1, 2, 3)]
    save_report(run)
    return [(run.path/'report.html').read_bytes(), comparison_page(group_replicates([*seeds, make(top, 'other', prune_type='lth', partition=1)]))]


def test_pages_are_small_and_ask_for_nothing(written):
    for page in written:
        assert len(page) < 200_000
        for words in (b'<script', b'<link', b'http-equiv', b'@import', b'url(', b'<iframe'): assert words not in page
        assert {*re.findall(rb'https?://[^\s"\'<]+', page)} <= {b'http://www.w3.org/2000/svg'}


def test_a_page_is_light_dark_narrow_and_printed(written, chromium):
    with pages.fresh(chromium) as page:
        for html in written:
            page.set_content(html.decode())
            for scheme, media, dark in (('light', 'screen', False), ('dark', 'screen', True), ('dark', 'print', False)):
                page.emulate_media(media=media, color_scheme=scheme)
                found = page.evaluate(LIGHT)
                assert (found['page'] < .05 and found['card'] < .05) if dark else (found['page'] > .85 and found['card'] > .99)
                assert min(found['texts']) >= 4.5 and min(found['lines']) >= 3 and len(found['lines']) > 5
            page.emulate_media(media='screen', color_scheme='light')
            for width in (1280, 800, 390, 320):
                page.set_viewport_size(dict(width=width, height=800))
                assert page.evaluate('document.documentElement.scrollWidth') <= width
                cut = page.evaluate('''() => [...document.querySelectorAll('.card *:not(.wide *, svg *)')]
                    .filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.className || e.tagName)''')
                assert cut == []
        assert (page.elsewhere, page.errors) == ([], [])


def test_the_same_recipe_gives_the_same_words_over_seeds(written):
    several = written[1].decode()
    assert 'Student&#x27;s t over seeds' in several or "Student's t over seeds" in several
    assert 'Too few seeds for an interval' in several and 'colt-prune' not in several
