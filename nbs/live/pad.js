// Draw a digit. The digits of the data set were made from bitmaps of 32 x 32 pixels, whose ink was counted in blocks of 4 x 4; so is this one.
const SIDE = 32, PEN = 5.6 // width of the line, in pixels of the bitmap
function makePad(canvas, onchange) {
    let strokes = [], pen = {x: .5, y: .2, down: false}, isFocused = false
    const context = Object.assign(canvas, {width: 320, height: 320}).getContext('2d')

    // Paint strokes with points (x, y) into a square of this many pixels
    function ink(context, side, width, strokes) {
        Object.assign(context, {lineWidth: width, lineCap: 'round', lineJoin: 'round'})
        for (const [first, ...rest] of strokes) {
            context.beginPath()
            context.moveTo(first.x*side, first.y*side)
            for (const {x, y} of rest.length ? rest : [first]) context.lineTo(x*side, y*side)
            context.stroke()
        }
    }
    // The strokes as large as a digit of the data set, in the middle
    function fitted() {
        const points = strokes.flat(), xs = points.map(p => p.x), ys = points.map(p => p.y)
        const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)]
        const scale = Math.min((SIDE - PEN)/SIDE/Math.max(.05, bottom - top), .75/Math.max(.05, right - left))
        return strokes.map(stroke => stroke.map(({x, y}) => ({x: .5 + scale*(x - (left + right)/2), y: .5 + scale*(y - (top + bottom)/2)})))
    }
    function pixels() { // 64 numbers from 0 to 255
        const bitmap = new OffscreenCanvas(SIDE, SIDE).getContext('2d'), found = new Float64Array(64)
        ink(bitmap, SIDE, PEN, fitted())
        const {data} = bitmap.getImageData(0, 0, SIDE, SIDE)
        for (let k = 0; k < SIDE*SIDE; k++) found[8*Math.floor(k/SIDE/4) + Math.floor(k % SIDE/4)] += data[4*k + 3]/16
        return found
    }
    function draw() {
        context.clearRect(0, 0, 320, 320)
        context.strokeStyle = context.fillStyle = css('--ink')
        ink(context, 320, 320*PEN/SIDE, strokes)
        if (isFocused && pen.seen) context.fillRect(320*pen.x - 6, 320*pen.y - 6, 12, 12)
        canvas.classList.toggle('empty', !strokes.length)
    }
    function changed() { draw(); onchange(strokes.length ? pixels() : null) }
    const at = ({clientX, clientY}) => {
        const box = canvas.getBoundingClientRect()
        return {x: (clientX - box.left)/box.width, y: (clientY - box.top)/box.height}
    }
    canvas.onpointerdown = e => { canvas.setPointerCapture(e.pointerId); strokes.push([at(e)]); pen.seen = false; changed() }
    canvas.onpointermove = e => { if (e.buttons && strokes.length) { strokes.at(-1).push(at(e)); changed() } }
    canvas.onfocus = canvas.onblur = e => { isFocused = e.type === 'focus'; draw() }
    canvas.onkeydown = e => {
        const [dx, dy] = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[e.key] ?? [0, 0]
        if (!dx && !dy && e.key !== ' ') return
        e.preventDefault()
        const inside = v => Math.min(.95, Math.max(.05, v))
        pen = {x: inside(pen.x + dx/16), y: inside(pen.y + dy/16), down: pen.down !== (e.key === ' '), seen: true}
        if (e.key === ' ' && pen.down) strokes.push([pen])
        else if (pen.down) strokes.at(-1).push(pen)
        changed()
    }
    return {draw, clear() { strokes = []; pen.down = false; changed() }, empty: () => !strokes.length}
}
