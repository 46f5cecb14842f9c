// The page: its settings and address, the run that it shows, the questions, and the repetition over five seeds.
{
const byId = id => document.getElementById(`live-${id}`), live = document.querySelector('.live'), form = byId('settings')
const DEFAULTS = {partitions: 2, rate: .3, start: 'theta0', seed: 0, compare: ['matched'], question: ''}, TARGET = .95
const TEST = readImages(DIGITS.test), SCALE = meanStd(readImages(DIGITS.train))
const program = ['digits', 'ticket', 'worker'].map(name => byId(`${name}-program`).textContent).join('\n')
const startWorker = () => new Worker(URL.createObjectURL(new Blob([program]))) // works in a page that was opened as a file
let run, pad, seen = {pixels: TEST.x[0], digit: TEST.y[0]} // the image that the networks are asked about; a drawn one has no `digit`

// Settings: in the address and in the form
function fromAddress() {
    const asked = location.hash.replace('#question-', '')
    if (asked in QUESTIONS) return {...DEFAULTS, ...QUESTIONS[asked].setting, question: asked}
    const told = Object.fromEntries(new URLSearchParams(location.hash.slice(1)))
    const number = (key, low, high) => isFinite(parseFloat(told[key])) ? Math.min(high, Math.max(low, told[key])) : DEFAULTS[key]
    return {
        partitions: Math.round(number('partitions', 1, 5)), rate: number('rate', .1, .8), seed: Math.round(number('seed', 0, 9999)),
        start: told.start in FROM ? told.start : DEFAULTS.start,
        compare: told.compare?.split(' ').filter(kind => CONTROLS.includes(kind)) ?? DEFAULTS.compare,
        question: told.question in QUESTIONS ? told.question : ''}
}
function addressOf(setting) {
    const {question, compare, ...rest} = {...DEFAULTS, ...setting}
    return `#${new URLSearchParams({...rest, compare: compare.join(' '), ...(question && {question})})}`
}
function fromForm() {
    const {partitions, rate, seed, start} = form.elements, checked = form.querySelectorAll('[name=compare]:checked')
    const compare = Array.from(checked, box => box.value).filter(kind => kind !== 'matched' || partitions.value > 1)
    const numbers = {partitions: +partitions.value, rate: rate.value/100, seed: Math.abs(Math.round(seed.value)) % 10000}
    return {...DEFAULTS, ...numbers, start: start.value, compare}
}
function fillForm({partitions, rate, seed, start, compare}) {
    Object.entries({partitions, rate: Math.round(100*rate), seed, start}).forEach(([name, value]) => { form.elements[name].value = value })
    for (const box of form.querySelectorAll('[name=compare]')) {
        box.checked = compare.includes(box.value)
        box.disabled = box.value === 'matched' && partitions === 1 // IMP is its own baseline
    }
    form.querySelector('output').value = percent(rate)
}

// A run: the page asks its worker for one state after the other, until its goal is reached: none, `step` or `play`
function begin(setting) {
    run?.worker.terminate()
    run = {setting, worker: startWorker(), goal: null, tested: [], votes: [], losses: [], target: setting.question === 'collapse' ? 1 : TARGET}
    run.worker.onmessage = ({data}) => take(data)
    history.replaceState(null, '', addressOf(setting))
    fillForm(setting)
    buildCards()
    byId('five-result').replaceChildren()
    for (const link of byId('examples').children) link.ariaCurrent = link.dataset.question === setting.question ? 'true' : null
    for (const show of [drawQuestion, drawCharts, showControls]) show()
    ask(setting)
}
function ask(setting) {
    if (run.asked || run.ended) return
    run.asked = true
    run.worker.postMessage({setting})
}
function take(state) {
    run.asked = false
    if (state.phase === 'end') run.ended = true
    else {
        run.state = state
        record(state)
        draw(state)
    }
    const {phase, epoch} = state, isEnd = phase === 'train' ? epoch === EPOCHS : phase !== 'test' // the end of a phase
    const isReached = phase === 'tested' && state.results.ticket.sparsity >= run.target
    if (run.ended || isReached || (isEnd && run.goal === 'step' && run.tested.length)) run.goal = null
    if (isReached) run.target = 1 // Play goes on from here
    drawQuestion()
    showControls()
    if (run.goal || !run.tested.length) run.timer = setTimeout(ask, run.goal === 'play' && isEnd ? pause(state) : 0)
}
// The first cycle is told slowly, the others go by
const pause = ({phase, cycle}) => cycle > (phase === 'rewind' || phase === 'tested' ? 1 : 0) ? 150 : 1600
function record(state) {
    if (state.phase === 'rewind') run.losses = state.nets.map(() => [])
    if (state.phase === 'train') state.losses.forEach((loss, p) => run.losses[p].push(loss))
    if (state.phase === 'overlap') run.votes.push(state)
    if (state.phase === 'tested') run.tested.push(state)
}
function go(goal) {
    run.goal = goal
    clearTimeout(run.timer)
    showControls()
    if (goal) ask()
}
function showControls() {
    byId('play').textContent = run.goal === 'play' ? '❚❚ Pause' : '▶ Play'
    byId('play').disabled = byId('step').disabled = Boolean(run.ended)
    live.dataset.state = run.ended ? 'ended' : run.goal ?? (run.tested.length ? 'waiting' : 'preparing')
}

// What a state shows
const shadeOf = p => css(`--p${p + 1}`), nameOf = ([first, last]) => `digits ${first}–${last}`
function buildCards() {
    const card = (name, color) => el('figure', {style: `--accent: var(${color})`},
        el('figcaption', {}, el('b', {}, name), el('output')),
        el('canvas', {role: 'img', 'aria-label': `the weights of ${name}`, width: WIDE, height: HIGH}),
        svg('svg', {class: 'losses', 'aria-hidden': true, preserveAspectRatio: 'none'}))
    const ranges = partitionDigits(run.setting.partitions)
    byId('nets').replaceChildren(...ranges.map((range, p) => card(nameOf(range), `--p${p + 1}`)), card('the ticket', '--ticket'))
    byId('nets').dataset.count = ranges.length + 1
    byId('votes-key').hidden = byId('similar').hidden = ranges.length === 1 // one vote has nothing to overlap with
}
function draw(state) {
    const isReady = state.phase === 'tested' && !state.cycle && !run.goal
    drawWeights(state)
    drawLoss()
    if (state.phase === 'overlap' || state.phase === 'tested') drawCharts()
    if (state.phase === 'tested') drawAnswers()
    const sentence = SENTENCES[!run.tested.length ? 'preparing' : isReady ? 'ready' : state.phase](run)
    if (byId('said').textContent !== sentence) byId('said').textContent = sentence
    for (const li of byId('phases').children) {
        const isNow = run.tested.length > 0 && !isReady && state.phase.startsWith(li.dataset.phase)
        li.ariaCurrent = isNow ? 'step' : null
    }
}
function drawWeights({phase, cycle, mask, next, nets, votes, net, kind, results}) {
    const cards = [...byId('nets').children], canvas = card => card.querySelector('canvas'), ticket = cards.at(-1)
    const isStep = phase !== 'train' && phase !== 'test' // epochs are drawn as they come, the other phases fade
    if (nets && phase !== 'overlap') nets.forEach((net, p) => show(canvas(cards[p]), magnitudes(net, votes?.[p] ?? mask, shadeOf(p)), isStep))
    if (phase === 'overlap') show(canvas(ticket), voteCounts(votes, mask), isStep)
    if (phase === 'rewind') show(canvas(ticket), magnitudes(nets[0], mask, css('--ticket')), isStep)
    if (kind === 'ticket') show(canvas(ticket), magnitudes(net, mask, css('--ticket')), isStep)
    const kept = next ?? mask ?? results.ticket.mask, share = sparsity(mask ?? kept)
    ticket.querySelector('output').value = `${countKept(kept).toLocaleString('en')} weights`
    byId('where').textContent = `cycle ${cycle ?? run.votes.length} · ${percent(share, share > .985 ? 1 : 0)} sparse`
}
function drawLoss() {
    run.losses.forEach((losses, p) => {
        const card = byId('nets').children[p]
        if (!losses.length) return // those of the cycle before stay
        card.querySelector('output').value = `loss ${losses.at(-1).toFixed(3)}`
        drawLosses(card.querySelector('.losses'), losses, shadeOf(p))
    })
}
function drawCharts() {
    const {tested, votes, setting: {compare, rate, partitions: n}} = run, all = tested.map(({results}) => results), now = all.at(-1) ?? {}
    const pointsOf = kind => all.filter(results => results[kind]).map(results => ({sparsity: results.ticket.sparsity, accuracy: results[kind].accuracy}))
    drawAccuracy(byId('accuracy'), [...compare, 'ticket'].map(kind => ({color: css(`--${kind}`), points: pointsOf(kind)})), now.full?.accuracy)
    const known = ['ticket', ...compare, 'full'].filter(kind => now[kind])
    byId('accuracy-key').replaceChildren(...known.map(kind => el('span', {}, el('i', {class: kind}), `${KINDS[kind]} ${percent(now[kind].accuracy, 1)}`)))
    drawVotes(byId('votes'), votes, rate, n)
    drawOverlap(byId('overlap'), votes)
    byId('votes-said').textContent = votes.length ? VOTES_SAID(votes.at(-1), rate, n) : ''
    byId('overlap-said').textContent = votes.length ? OVERLAP_SAID(votes.at(-1)) : ''
}
// What the networks answer to the digit on the pad, or to a test image
function drawAnswers() {
    const {results} = run.tested.at(-1) ?? {results: {}}, {pixels, digit} = seen, input = pixels.map(v => (v - SCALE.mean)/SCALE.std)
    drawPixels(byId('seen'), pixels)
    byId('shown').textContent = digit === undefined ? 'your digit' : `a test image of ${digit}`
    byId('answers').replaceChildren(...['ticket', 'full', ...run.setting.compare].filter(kind => results[kind]).map(kind => {
        const chances = classify(results[kind].net, input), answer = chances.indexOf(Math.max(...chances))
        const cells = Array.from(chances, (p, digit) => el('span', {style: `--share: ${p}`, class: p > .5 ? 'sure' : ''}, `${digit}`))
        return el('p', {class: kind, 'data-answer': answer}, el('b', {}, KINDS[kind]), ...cells, el('b', {}, `${answer}`))
    }))
}

// Questions: predict, then watch. The answer is what this run did.
const joined = words => words.replaceAll(' %', '\u00a0%') // no line ends between a number and its sign
function drawQuestion() {
    const question = QUESTIONS[run.setting.question], place = byId('question'), {chosen, tested} = run
    place.hidden = !question
    if (!question) return
    const isChosen = chosen !== undefined, isKnown = isChosen && tested.length > 0 && question.ready(run), [right, told] = isKnown ? question.tell(run) : []
    const verdict = isKnown ? `${right === chosen ? 'As' : 'Not as'} you said. In this run: ${told}` : isChosen ? 'Now press Play.' : 'Choose an answer first.'
    const shown = [run.setting.question, chosen, verdict].join()
    if (place.dataset.shown === shown) return
    place.dataset.shown = shown
    const focused = [...place.querySelectorAll('button')].indexOf(document.activeElement)
    const buttons = question.choices.map((choice, k) => {
        const button = el('button', {type: 'button', 'aria-pressed': chosen === k, class: k === right ? 'right' : ''}, joined(choice))
        button.onclick = () => { run.chosen = k; drawQuestion() }
        return button
    })
    const asked = el('p', {}, el('b', {}, question.title), joined(` ${question.ask}`)), answer = el('p', {class: 'verdict', role: 'status'}, joined(verdict))
    place.replaceChildren(asked, el('div', {}, ...buttons), answer)
    buttons[focused]?.focus()
}
function buildQuestions() {
    const links = Object.entries(QUESTIONS).map(([question, {title, setting}]) => el('a', {href: addressOf({...setting, question}), 'data-question': question}, title))
    byId('examples').append(...links)
}

// Five seeds, each a run of its own, in a second worker
async function runOnce(worker, setting, report) {
    const tested = [], answer = message => new Promise(done => { worker.onmessage = ({data}) => done(data); worker.postMessage(message) })
    for (let first = setting; ; first = undefined) {
        const state = await answer({setting: first, phases: ['tested']})
        if (state.phase === 'end') return tested
        report(tested.push(state))
        if (state.results.ticket.sparsity >= TARGET) return tested
    }
}
async function repeat() {
    const {setting} = run, worker = startWorker(), said = byId('five-said'), runs = []
    byId('five').disabled = true
    for (let k = 0; k < 5; k++) {
        const seed = setting.seed + k
        runs.push(await runOnce(worker, {...setting, seed}, cycles => { said.textContent = `Seed ${seed}, ${k + 1} of 5: cycle ${cycles - 1} …` }))
    }
    worker.terminate()
    byId('five').disabled = false
    said.textContent = `Seeds ${setting.seed} to ${setting.seed + 4}: mean test accuracy (%) ± half the width of its 95 % interval.`
    if (addressOf(setting) === addressOf(run.setting)) drawRepetition(runs, ['ticket', ...setting.compare])
}
function drawRepetition(runs, kinds) {
    const rows = [...Array(Math.min(...runs.map(tested => tested.length))).keys()].map(cycle => {
        const results = runs.map(tested => tested[cycle].results)
        const of = kind => results[0][kind] && results.map(found => found[kind].accuracy)
        return {sparsity: interval(results.map(({ticket}) => ticket.sparsity)).mean, of}
    })
    const pointOf = ({sparsity, of}, kind) => { const {mean, half} = interval(of(kind)); return {sparsity, accuracy: mean, half} }
    const chart = svg('svg', {role: 'img', 'aria-label': 'Accuracy against sparsity, means over five seeds'})
    const series = kinds.map(kind => ({color: css(`--${kind}`), points: rows.filter(({of}) => of(kind)).map(row => pointOf(row, kind))}))
    drawAccuracy(chart, series.reverse(), interval(rows[0].of('full')).mean)
    const head = el('tr', {}, el('th', {}, 'sparsity'), ...kinds.map(kind => el('th', {}, el('i', {class: kind}), KINDS[kind])))
    const body = rows.map(({sparsity, of}) => el('tr', {}, el('td', {}, percent(sparsity, 1)), ...kinds.map(kind => entry(of, kind))))
    byId('five-result').replaceChildren(chart, el('div', {}, el('table', {}, head, ...body)))
}
// A mean with its interval; and how the ticket compares, seed by seed
function entry(of, kind) {
    if (!of(kind)) return el('td') // a full network needs no control
    const {mean, half} = interval(of(kind)), difference = interval(of('ticket').map((v, k) => v - of(kind)[k]))
    const isSignificant = Math.abs(difference.mean) > difference.half, isSame = difference.half === 0 // as the ticket of cycle 0 is
    const verdict = isSame ? '' : isSignificant ? `ticket ${difference.mean > 0 ? 'higher' : 'lower'}` : 'no significant difference'
    return el('td', {}, el('b', {}, `${(100*mean).toFixed(1)} ± ${(100*half).toFixed(1)}`), el('small', {}, verdict))
}

// Controls
function newTestImage() {
    pad.clear()
    const i = Math.floor(Math.random()*TEST.x.length)
    seen = {pixels: TEST.x[i], digit: TEST.y[i]}
    drawAnswers()
}
function redraw() { // in other colours, or another width
    if (!run.state) return
    for (const show of [() => draw(run.state), drawCharts, drawAnswers, pad.draw]) show()
}
byId('play').onclick = () => go(run.goal === 'play' ? null : 'play')
byId('step').onclick = () => go('step')
byId('restart').onclick = () => begin(run.setting)
byId('five').onclick = repeat
byId('clear').onclick = () => pad.clear()
byId('example').onclick = newTestImage
form.oninput = () => { form.querySelector('output').value = percent(form.elements.rate.value/100) }
form.onchange = () => begin(fromForm())
form.onsubmit = e => e.preventDefault()
window.onhashchange = () => {
    if (location.hash && !/=|#question-/.test(location.hash)) return // a place of the page, not a setting
    begin(fromAddress())
    if (run.setting.question) byId('question').scrollIntoView({block: 'center'})
}
matchMedia('(prefers-color-scheme: dark)').onchange = redraw
new MutationObserver(redraw).observe(document.body, {attributeFilter: ['data-theme']})
pad = makePad(byId('pad'), drawn => { if (drawn) { seen = {pixels: drawn}; drawAnswers() } })
buildQuestions()
begin(fromAddress())
new ResizeObserver(redraw).observe(byId('nets'))
}
