// What the page draws: weights as images, and charts. Nothing here decides anything.
const WIDE = 71, HIGH = 76, COLUMNS = 8 // of a picture of all weights, in cells; units in a row
const LAYERS = [{top: 0, high: 8, space: 9}, {top: 56, high: 6, space: 7}] // where a layer's units are; each is 8 cells wide
const css = name => getComputedStyle(document.querySelector('.live')).getPropertyValue(name).trim()
const rgb = color => color.match(/\w\w/g).map(hex => parseInt(hex, 16))
const percent = (x, digits = 0) => `${(100*x).toFixed(digits)}\u00a0%`

// The cell of a picture that shows weight i of a layer
function cellOf(l, i) {
    const {top, high, space} = LAYERS[l], unit = Math.floor(i/(8*high)), inside = i % (8*high)
    const x = 9*(unit % COLUMNS) + inside % 8, y = top + space*Math.floor(unit/COLUMNS) + Math.floor(inside/8)
    return y*WIDE + x
}
// A picture of a mask: color(l, i) gives the colour and opacity of each weight, undefined where it stays blank
function weightPicture(mask, color) {
    const picture = new Float32Array(4*WIDE*HIGH)
    mask.forEach((m, l) => m.forEach((_, i) => picture.set(color(l, i) ?? [128, 128, 128, .08], 4*cellOf(l, i))))
    return picture
}
// The larger a kept weight, the darker; a weight of 2.5 standard deviations of θ0 or more is darkest
function magnitudes(net, mask, color) {
    const shade = rgb(color), scale = net.map(({inputs, outputs}) => 2.5*Math.sqrt(2/(inputs + outputs)))
    return weightPicture(mask, (l, i) => mask[l][i] ? [...shade, .25 + .75*Math.min(1, Math.abs(net[l].w[i])/scale[l])] : undefined)
}
function voteCounts(votes, mask) {
    const [all, some, none] = ['--ticket', '--some', '--none'].map(name => rgb(css(name)))
    return weightPicture(mask, (l, i) => {
        const keeps = votes.filter(vote => vote[l][i]).length
        return mask[l][i] ? [...keeps === votes.length ? all : keeps ? some : none, 1] : undefined
    })
}

// Put a picture onto a canvas; it fades from what was there
function show(canvas, picture, fade) {
    const before = canvas.picture, still = matchMedia('(prefers-reduced-motion: reduce)').matches, begun = performance.now()
    canvas.picture = picture
    const step = now => {
        const share = fade && before && !still ? Math.min(1, Math.max(0, now - begun)/350) : 1
        if (canvas.picture !== picture) return
        paint(canvas, share < 1 ? picture.map((v, k) => v*share + before[k]*(1 - share)) : picture)
        if (share < 1) requestAnimationFrame(step)
    }
    step(begun)
}
function paint(canvas, picture) {
    const cell = Math.max(1, Math.ceil(canvas.clientWidth*devicePixelRatio/WIDE)) // whole pixels
    const small = new ImageData(WIDE, HIGH), pixels = new OffscreenCanvas(WIDE, HIGH)
    picture.forEach((v, k) => { small.data[k] = k % 4 === 3 ? 255*v : v })
    pixels.getContext('2d').putImageData(small, 0, 0)
    if (canvas.width !== cell*WIDE) Object.assign(canvas, {width: cell*WIDE, height: cell*HIGH})
    const context = canvas.getContext('2d')
    context.imageSmoothingEnabled = false
    context.clearRect(0, 0, canvas.width, canvas.height)
    context.drawImage(pixels, 0, 0, canvas.width, canvas.height)
}

// An image of 8 x 8 pixels from 0 to 255, in the page's ink
function drawPixels(canvas, pixels) {
    const context = Object.assign(canvas, {width: 8, height: 8}).getContext('2d'), image = context.createImageData(8, 8), ink = rgb(css('--ink'))
    pixels.forEach((v, i) => image.data.set([...ink, v], 4*i))
    context.putImageData(image, 0, 0)
}

// Elements by name, as in el('p', {class: 'x'}, 'text'); svg(...) for those of drawings
function build(e, attributes, inner) {
    for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value)
    e.append(...inner)
    return e
}
const el = (tag, attributes = {}, ...inner) => build(document.createElement(tag), attributes, inner)
const svg = (tag, attributes = {}, ...inner) => build(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, inner)
const text = (x, y, words, attributes = {}) => svg('text', {x, y, ...attributes}, words)
const line = (x1, y1, x2, y2, attributes = {}) => svg('line', {x1, y1, x2, y2, ...attributes})

// A line of losses that ends at the latest one
function drawLosses(place, losses, color) {
    const highest = Math.max(...losses, .1), points = losses.map((v, k) => `${100*k/(EPOCHS - 1)},${24 - 22*v/highest}`)
    place.setAttribute('viewBox', '-2 0 104 26')
    place.replaceChildren(svg('polyline', {points: points.join(' '), fill: 'none', stroke: color, 'stroke-width': 2, 'vector-effect': 'non-scaling-stroke'}))
}

// Accuracy against sparsity. Each series is {color, points: [{sparsity, accuracy, half}]}; `half` is half the width of an interval.
const MARKS = [0, .5, .75, .9, .95, .98, .99, .995, .999]
const sparsityPlace = s => -Math.log10(Math.max(1 - s, 1e-4)) // every weight less counts more, the fewer there are
function drawAccuracy(place, series, full) {
    const all = series.flatMap(({points}) => points), highest = Math.max(.95, ...all.map(p => p.sparsity))
    const low = Math.max(0, Math.min(.85, ...all.map(p => p.accuracy - (p.half ?? 0) - .01))), step = [.02, .05, .1, .2].find(s => (1 - low)/s <= 6)
    const x = s => 52 + 365*sparsityPlace(s)/sparsityPlace(highest), y = a => 12 + 210*(1 - a)/(1 - low)
    const ticks = [...Array(11).keys()].map(k => 1 - k*step).filter(a => a >= low - 1e-9), marks = MARKS.filter(s => s <= highest + .003)
    const across = (a, kind) => line(52, y(a), 425, y(a), {class: kind})
    const middle = {'text-anchor': 'middle'}, stroke = {fill: 'none', 'stroke-width': 2.5}
    const drawSeries = ({color, points}) => [
        svg('polyline', {points: points.map(p => `${x(p.sparsity)},${y(p.accuracy)}`).join(' '), stroke: color, ...stroke}),
        ...points.filter(p => p.half).map(p => bar(x(p.sparsity), y(p.accuracy - p.half), y(Math.min(1, p.accuracy + p.half)), color)),
        ...points.map(p => svg('circle', {cx: x(p.sparsity), cy: y(p.accuracy), r: 4, fill: color}))]
    place.setAttribute('viewBox', '0 0 440 265')
    place.replaceChildren(
        ...ticks.flatMap(a => [across(a, 'grid'), text(46, y(a) + 4, percent(a), {'text-anchor': 'end'})]),
        ...marks.map(s => text(x(s), 243, percent(s, s > .99 ? 1 : 0), middle)),
        text(238, 262, 'of the prunable weights are pruned', middle),
        ...(full ? [across(full, 'full')] : []), ...series.flatMap(drawSeries))
}
const bar = (x, low, high, color) => line(x, low, x, high, {stroke: color, 'stroke-width': 6, opacity: .3})

// A row for each cycle, on a scale from 0 to 100 %
const ROW = 27
function drawRows(place, cycles, drawRow, marks = []) {
    const bottom = 8 + ROW*Math.max(4, cycles.length), x = share => 62 + 350*share
    place.setAttribute('viewBox', `0 0 440 ${bottom + 24}`)
    place.replaceChildren(
        ...[0, .25, .5, .75, 1].flatMap(s => [
            line(x(s), 4, x(s), bottom, {class: 'grid'}),
            text(x(s), bottom + 17, percent(s), {'text-anchor': 'middle'})]),
        ...(cycles.length ? [] : [text(x(.5), bottom/2 + 4, 'from the first vote on', {'text-anchor': 'middle'})]),
        ...cycles.flatMap((cycle, row) => [
            text(54, 8 + ROW*row + 17, `cycle ${row}`, {'text-anchor': 'end'}),
            ...drawRow(cycle, x, 8 + ROW*row)]),
        ...(cycles.length ? marks : []).map(({at, dash}) => line(x(at), 2, x(at), bottom, {class: 'mark', 'stroke-dasharray': dash})))
}
function drawVotes(place, cycles, rate, n) {
    drawRows(place, cycles, ({counts: {unpruned, all, any}}, x, top) => {
        const shares = [['all', 0, all], ['some', all, any], ['none', any, unpruned]]
        const place = (from, to) => ({x: x(from/unpruned), width: x(to/unpruned) - x(from/unpruned), y: top + 3, height: ROW - 7})
        return shares.map(([name, from, to]) => svg('rect', {class: name, ...place(from, to)}))
    }, n > 1 ? [{at: 1 - rate, dash: '1 0'}, {at: (1 - rate)**n, dash: '4 4'}] : [])
}
function drawOverlap(place, cycles) {
    drawRows(place, cycles, ({overlap, chance}, x, top) => [
        line(x(chance), top + ROW/2, x(overlap), top + ROW/2, {class: 'mark'}),
        svg('circle', {cx: x(chance), cy: top + ROW/2, r: 5, class: 'ring'}),
        svg('circle', {cx: x(overlap), cy: top + ROW/2, r: 6, class: 'dot'})])
}
