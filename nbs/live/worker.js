// In the Web Worker, after ticket.js: an experiment is the cycles, and after each of them a test of its ticket on all ten digits. The page
// asks for one state after the other. So it is never flooded, and a pause is a question that it does not ask.
const TRAIN = readImages(DIGITS.train), SCALE = meanStd(TRAIN)
const WHOLE = standardise(TRAIN, SCALE), TEST = standardise(readImages(DIGITS.test), SCALE)

// Train a network on all ten digits, from `init` under `mask`, and test it on images that it has not seen
function* fit(kind, init, mask, batches) {
    const net = rewind(init, mask), update = adam(net)
    for (let epoch = 1; epoch <= EPOCHS; epoch++) {
        trainEpoch(net, mask, WHOLE, batches(epoch), update)
        yield {phase: 'test', kind, epoch, net, mask}
    }
    return {net, mask, sparsity: sparsity(mask), accuracy: accuracy(net, TEST)}
}

// Where each network goes back to: what a cycle starts from
const STARTS = {
    theta0: init => init,
    own: (init, seed, cycle, p) => p ? createNet(init.at(-1).outputs, `${seed} of network ${p}`) : init,
    new: (init, seed, cycle) => cycle ? createNet(init.at(-1).outputs, `${seed} of cycle ${cycle}`) : init,
    trained: (init, seed, cycle, p, trained) => trained}

// What the ticket is compared with: each control takes one property away. [initial weights, mask]
const TESTS = {
    matched: (state, whole, {net, mask}) => [whole, prune(net, mask, 1 - countKept(state.mask)/countKept(mask))],
    reinit: (state, whole, last, seed) => [createNet(10, `${seed} drawn anew`), state.mask],
    shuffled: (state, whole, last, seed) => [whole, randomMask(state.mask, generator(seed, 'mask', state.cycle))]}

function* experiment({partitions: n, rate, seed, start, compare}) {
    const ranges = partitionDigits(n), own = ranges.map(range => ofDigits(TRAIN, range)).map(images => standardise(images, meanStd(images)))
    const outputs = Math.max(...ranges.map(([first, last]) => last - first + 1))
    const init = createNet(outputs, seed), whole = createNet(10, seed) // one body under two heads
    const order = (cycle, digits, images) => epoch => drawBatches(images.x.length, generator(seed, 'order', cycle, digits, epoch))
    const batches = (cycle, p, epoch) => order(cycle, ranges[p], own[p])(epoch)
    const results = {}
    const backTo = (...where) => STARTS[start](init, seed, ...where)
    for (const state of cycles({init, partitions: own, rate, batches, start: backTo})) {
        yield state
        if (state.phase !== 'rewind') continue
        const {cycle, mask, nets} = state, now = order(cycle, [0, 9], WHOLE)
        results.ticket = yield* fit('ticket', [...nets[0].slice(0, -1), whole.at(-1)], mask, now)
        for (const kind of cycle ? compare : []) results[kind] = yield* fit(kind, ...TESTS[kind](state, whole, results[kind], seed), now)
        if (!cycle) results.full = results.matched = results.ticket
        yield {phase: 'tested', cycle, results: {...results}}
    }
}

let states
onmessage = ({data: {setting, phases}}) => {
    if (setting) states = experiment(setting)
    let next
    do next = states.next(); while (!next.done && phases && !phases.includes(next.value.phase))
    postMessage(next.done ? {phase: 'end'} : next.value)
}
