// The algorithm of the page, alone: train, vote, overlap, rewind. It knows nothing of pages, computes in float64, and draws whatever is
// random from a generator with a name. The truth is the Python package: tests/test_live.py compares masks and weights with it.
//
// A network is a list of layers {inputs, outputs, w, b}; w[o*inputs + i] leads from input i to output o. The last layer is the head,
// which is never pruned. A mask has, for each other layer, a list of 0 (pruned) and 1 (kept). A vote is a mask.
'use strict'

const HIDDEN = [48, 24], BATCH = 64, EPOCHS = 8, LEARNING_RATE = .004
const total = list => list.reduce((a, b) => a + b, 0)

// Random numbers: a generator depends on its words and on nothing else. These seeds are the page's own: Python's give other numbers.
function generator(...words) {
    let state = 2166136261
    for (const c of words.join('/')) state = Math.imul(state ^ c.charCodeAt(), 16777619)
    return () => { // mulberry32: uniform, from 0 to 1
        state = state + 0x6D2B79F5 | 0
        let t = Math.imul(state ^ state >>> 15, 1 | state)
        t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t
        return ((t ^ t >>> 14) >>> 0)/4294967296
    }
}
const normal = random => Math.sqrt(-2*Math.log(1 - random()))*Math.cos(2*Math.PI*random())

function shuffled(list, random) {
    const found = Array.from(list)
    for (let i = found.length - 1; i > 0; i--) {
        const j = Math.floor(random()*(i + 1));
        [found[i], found[j]] = [found[j], found[i]]
    }
    return found
}

// The n images of an epoch in a new order, cut into batches whose sizes differ by at most one
function drawBatches(n, random) {
    const order = shuffled(Array(n).keys(), random), count = Math.ceil(n/BATCH), size = Math.floor(n/count), larger = n % count
    const begin = b => b*size + Math.min(b, larger)
    return Array.from({length: count}, (_, b) => order.slice(begin(b), begin(b + 1)))
}

// Images are {x: for each image its 64 pixels, y: its label}. In a file each pixel is one character, from 0 to g (16).
function readImages({x, y}) {
    const pixels = Float64Array.from(x, c => Math.round(parseInt(c, 17)*255/16)) // bytes, as in Python
    return {x: Array.from(y, (_, i) => pixels.slice(64*i, 64*i + 64)), y: Array.from(y, Number)}
}
function meanStd({x}) {
    const n = 64*x.length, mean = total(x.map(total))/n
    return {mean, std: Math.sqrt(total(x.map(image => total(image.map(v => (v - mean)**2))))/n)}
}
const standardise = ({x, y}, {mean, std}) => ({x: x.map(image => image.map(v => (v - mean)/std)), y})
function ofDigits({x, y}, [first, last]) { // labels start at 0
    const inside = (_, i) => first <= y[i] && y[i] <= last
    return {x: x.filter(inside), y: y.filter(inside).map(label => label - first)}
}
const partitionDigits = n => Array.from({length: n}, (_, i) => [Math.ceil(10*i/n), Math.ceil(10*(i + 1)/n) - 1])

// Networks: weights from Glorot's normal distribution, biases 0. Body and head have generators of their own.
function createLayer(inputs, outputs, random) {
    const std = Math.sqrt(2/(inputs + outputs))
    return {inputs, outputs, w: Float64Array.from({length: inputs*outputs}, () => std*normal(random)), b: new Float64Array(outputs)}
}
function createNet(outputs, seed) {
    const random = generator(seed, 'body'), sizes = [64, ...HIDDEN], head = createLayer(HIDDEN.at(-1), outputs, generator(seed, 'head', outputs))
    return [...HIDDEN.map((size, l) => createLayer(sizes[l], size, random)), head]
}
const copyNet = net => net.map(layer => ({...layer, w: layer.w.slice(), b: layer.b.slice()}))
const zerosLike = net => net.map(({w, b}) => ({w: new Float64Array(w.length), b: new Float64Array(b.length)}))
const parameters = net => net.flatMap(({w, b}) => [w, b])

// What each layer gives for one image: first the image itself, last a number for each class
function forward(net, image) {
    const values = [image]
    net.forEach(({inputs, outputs, w, b}, l) => {
        const x = values[l], y = new Float64Array(outputs), isHead = l === net.length - 1
        for (let o = 0, k = 0; o < outputs; o++) {
            let sum = b[o]
            for (let i = 0; i < inputs; i++, k++) sum += w[k]*x[i]
            y[o] = isHead ? sum : Math.max(0, sum)
        }
        values.push(y)
    })
    return values
}
function softmax(values) {
    const highest = Math.max(...values), powers = values.map(v => Math.exp(v - highest)), sum = total(powers)
    return powers.map(p => p/sum)
}
const classify = (net, image) => softmax(forward(net, image).at(-1))
function accuracy(net, images) { // 0 to 1
    const isRight = (image, i) => { const y = forward(net, image).at(-1); return y.indexOf(Math.max(...y)) === images.y[i] }
    return images.x.filter(isRight).length/images.x.length
}

// Add a layer's gradients to `grad`; return those of its inputs
function backward({inputs, outputs, w}, grad, x, delta) {
    const back = new Float64Array(inputs)
    for (let o = 0; o < outputs; o++) {
        const d = delta[o], row = o*inputs
        if (d === 0) continue
        grad.b[o] += d
        for (let i = 0; i < inputs; i++) {
            grad.w[row + i] += d*x[i]
            back[i] += d*w[row + i]
        }
    }
    for (let i = 0; i < inputs; i++) if (x[i] <= 0) back[i] = 0 // what ReLU stopped does not pass back
    return back
}
// Add the gradients of one image's cross-entropy loss, times `share`; return the loss
function addGradients(net, grads, image, label, share) {
    const values = forward(net, image), chances = softmax(values.at(-1))
    let delta = chances.map((p, i) => share*(p - (i === label)))
    for (let l = net.length - 1; l >= 0; l--) delta = backward(net[l], grads[l], values[l], delta)
    return -Math.log(chances[label])
}

// Adam, as in PyTorch: a function that takes the gradients of a batch and updates the network
function adam(net) {
    const slots = parameters(net).map(p => ({mean: new Float64Array(p.length), square: new Float64Array(p.length)}))
    let t = 0
    return grads => {
        const gradients = parameters(grads), rate = LEARNING_RATE/(1 - .9**++t), correction = Math.sqrt(1 - .999**t)
        parameters(net).forEach((p, n) => {
            const g = gradients[n], {mean, square} = slots[n]
            for (let i = 0; i < p.length; i++) {
                mean[i] = .9*mean[i] + (1 - .9)*g[i]
                square[i] = .999*square[i] + (1 - .999)*g[i]*g[i]
                p[i] -= rate*mean[i]/(Math.sqrt(square[i])/correction + 1e-8)
            }
        })
    }
}

// The plain loop of nbs/api/12_train.ipynb: loss, gradients, update, mask. Return the mean loss of the batches.
function trainEpoch(net, mask, images, batches, update) {
    const losses = batches.map(batch => {
        const grads = zerosLike(net)
        const loss = total(batch.map(i => addGradients(net, grads, images.x[i], images.y[i], 1/batch.length)))/batch.length
        update(grads)
        applyMask(net, mask) // after the update, which moves pruned weights, too
        return loss
    })
    return total(losses)/losses.length
}

// Masks
const fullMask = net => net.slice(0, -1).map(({w}) => new Uint8Array(w.length).fill(1))
const layersKept = mask => mask.map(total)
const countKept = mask => total(layersKept(mask))
const sparsity = mask => 1 - countKept(mask)/total(mask.map(m => m.length))
function applyMask(net, mask) {
    mask.forEach((m, l) => { const {w} = net[l]; for (let i = 0; i < w.length; i++) if (!m[i]) w[i] = 0 })
}
const randomMask = (mask, random) => mask.map(m => Uint8Array.from(shuffled(m, random))) // as many weights of each layer

// Prune the share `rate` of the kept weights: those with the smallest magnitudes, all layers ranked together. Of equal ones, the first.
function prune(net, mask, rate) {
    const kept = mask.flatMap((m, l) => Array.from(m.keys()).filter(i => m[i]).map(i => ({l, i, magnitude: Math.abs(net[l].w[i])})))
    kept.sort((a, b) => a.magnitude - b.magnitude) // stable: equal ones stay in their order
    const vote = mask.map(m => m.slice())
    for (const {l, i} of kept.slice(0, roundHalfEven(rate*kept.length))) vote[l][i] = 0
    return vote
}
const roundHalfEven = x => x % 1 === .5 ? 2*Math.round(x/2) : Math.round(x) // as Python's `round`

// A weight is kept only where every vote keeps it
const overlap = votes => votes[0].map((m, l) => m.map((_, i) => votes.every(vote => vote[l][i])))

// Kept weights go back to their initial values, pruned weights to 0
function rewind(init, mask) {
    const net = copyNet(init)
    applyMask(net, mask)
    return net
}

// How many of a layer's unpruned weights all votes keep, and how many any vote keeps; and both by chance: for random votes
function countVotes(votes, unpruned) {
    const shares = votes.map(vote => total(vote)/Math.max(1, unpruned)), keeps = votes[0].map((_, i) => total(votes.map(vote => vote[i])))
    return {
        unpruned,
        all: keeps.filter(k => k === votes.length).length,
        any: keeps.filter(k => k > 0).length,
        allByChance: unpruned*shares.reduce((a, b) => a*b),
        anyByChance: unpruned*(1 - shares.reduce((a, b) => a*(1 - b), 1))}
}
// The mask overlap of votes (Jaccard index), and its value by chance
function agreement(votes, mask) {
    const layers = mask.map((m, l) => countVotes(votes.map(vote => vote[l]), total(m)))
    const counts = Object.fromEntries(Object.keys(layers[0]).map(key => [key, total(layers.map(layer => layer[key]))]))
    const share = (all, any) => any ? Math.min(1, all/any) : 1
    return {counts, overlap: share(counts.all, counts.any), chance: share(counts.allByChance, counts.anyByChance)}
}

// The cycles, with a yield for each epoch and phase. `init` is θ0; a partition is its images; `batches(cycle, p, epoch)` are lists of
// indices of images; `start(cycle, p, trained)` are the weights that network p goes back to, by default θ0.
function* cycles({init, partitions, rate, batches, start = () => init, epochs = EPOCHS}) {
    let mask = fullMask(init), nets = partitions.map(() => init)
    for (let cycle = 0; ; cycle++) {
        nets = nets.map((net, p) => rewind(start(cycle, p, net), mask))
        yield {phase: 'rewind', cycle, mask, nets}
        const updates = nets.map(adam)
        for (let epoch = 1; epoch <= epochs; epoch++) {
            const losses = nets.map((net, p) => trainEpoch(net, mask, partitions[p], batches(cycle, p, epoch), updates[p]))
            yield {phase: 'train', cycle, epoch, mask, nets, losses}
        }
        const votes = nets.map(net => prune(net, mask, rate))
        yield {phase: 'vote', cycle, mask, nets, votes}
        const next = overlap(votes), collapsed = layersKept(next).includes(0) || countKept(next) === countKept(mask)
        yield {phase: 'overlap', cycle, mask, nets, votes, next, collapsed, ...agreement(votes, mask)}
        if (collapsed) return // a layer without weights, or nothing more to prune
        mask = next
    }
}

// What several seeds say: their mean, and half the width of its 95 % interval (Student's t; five seeds have four degrees of freedom)
function interval(values) {
    const n = values.length, mean = total(values)/n, variance = total(values.map(v => (v - mean)**2))/(n - 1)
    return {mean, half: [12.706, 4.3027, 3.1824, 2.7764][n - 2]*Math.sqrt(variance/n)}
}
