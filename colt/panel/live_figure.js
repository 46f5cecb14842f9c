const programs = globalThis.coltPrograms ??= {}
const clear = 'rgba(0,0,0,0)'
const look = {paper_bgcolor: clear, plot_bgcolor: clear, modebar: {bgcolor: clear, color: '#888888', activecolor: '#aa3377'}}

// plotly comes from the kernel as text; a page loads it once
async function load(program) {
    const text = `const module = {exports: {}};\n${program.get('source')}\nexport default module.exports`
    const url = URL.createObjectURL(new Blob([text], {type: 'text/javascript'}))
    try { return (await import(url)).default }
    finally { URL.revokeObjectURL(url) }
}

// break a text of plotly's HTML into lines of at most so many letters; the name after a sign is not broken
function wrap(html, letters) {
    let length = 0, last = ''
    const whole = html.replace(/(?<=(?:■<\/span>|[◆○]) )[^<(◆○┆]*[^<(◆○┆ ]/g, name => name.replaceAll(' ', '\u00a0'))
    return whole.replace(/<br>|<[^>]*>|[^< ]+| +(?=((?:<[^>]*>)*)([^< ]*))/g, (token, tags, next) => {
        if (token == '<br>') return length = 0, token
        if (token[0] == '<') return token
        if (token.trim()) return length += token.length, last = token
        if (last.length < 2 || length + 1 + next.length <= letters) return length++, ' '
        return length = 0, '<br>'
    })
}

// the panels of a figure, in reading order: name, number of the axes, and texts
function panelsOf(layout) {
    const found = {}
    for (const text of layout.annotations ?? []) {
        const [name, number] = (text.name ?? '').split(' ')
        if (number !== undefined) (found[name] ??= {name, number, texts: []}).texts.push(text)
    }
    const place = ({number}) => [-layout['yaxis' + number].domain[1], layout['xaxis' + number].domain[0]]
    return Object.values(found).sort((a, b) => place(a)[0] - place(b)[0] || place(a)[1] - place(b)[1])
}

// the columns of a map of tiles that make half of it, so that its lower half can stand below the upper one
function half({z: [row]}) {
    const tile = row.indexOf(null) + 1
    return tile * Math.ceil(row.length / tile / 2)
}

// put the panels that are shown into columns that fit; where there is one column, a map of tiles is folded in two
function arrange({data, layout}, width, all) {
    const panels = panelsOf(layout), columns = width < 600 ? 1 : all || width < 900 ? 2 : 3
    if (!panels.length) return {data, layout}
    const {t, b, l} = layout.margin, before = layout.height - t - b
    const shown = panels.filter(({name}) => all || OPEN.includes(name))
    const rows = []
    for (const panel of shown) {
        if (rows.length && rows.at(-1).length < columns) rows.at(-1).push(panel)
        else rows.push([panel])
    }
    const changed = {...layout, annotations: [], margin: {l: 0, r: 0, t: 0, b: 0}}
    const tiles = columns == 1 && data.find(({meta}) => meta?.shown)
    let bottom = 0
    for (const row of rows) {
        const space = width / row.length
        for (const panel of row) {
            panel.letters = Math.floor((space - 12) / 7.6)
            panel.texts[0] = {...panel.texts[0], text: wrap(panel.texts[0].text, panel.letters)}
        }
        const lines = Math.max(...row.map(({texts}) => texts[0].text.split('<br>').length))
        const high = Math.max(...row.map(({number, name, texts}) => {
            if (texts.length > 1) return 40 // it is empty, and says so
            const [low, top] = layout['yaxis' + number].domain
            const usual = (top - low) * before
            if (name == 'filters') return tiles ? 2 * tiles.z.length * (width - 52) / half(tiles) : usual
            return all ? usual : name == 'survival' && columns == 1 ? Math.min(240, usual) : 200
        }))
        row.top = bottom + 16 * lines + 15
        row.bottom = row.top + high
        bottom = row.bottom + 44
    }
    changed.height = bottom
    rows.forEach(row => row.forEach((panel, column) => {
        const {name, number, texts} = panel, space = width / row.length, left = column * space
        const named = name == 'survival' || name == 'votes'
        const x = [left + (named ? Math.min(l, .4 * space) + 4 : 40), left + space - (name == 'survival' ? 60 : 12)].map(v => v / width)
        const y = [row.bottom, row.top].map(v => 1 - v / bottom)
        changed['xaxis' + number] = {...layout['xaxis' + number], domain: x, automargin: false}
        if (name == 'filters' && tiles) changed['xaxis' + number].range = [-.5, half(tiles) - 1.5] // without the last gap
        changed['yaxis' + number] = {...layout['yaxis' + number], domain: y, ...(named ? {showticklabels: true, ticks: 'outside', ticklen: 4, tickcolor: clear} : {})}
        const [title, ...rest] = texts
        changed.annotations.push({...title, x: (left + 4) / width, y: y[1], yshift: 9}) // above the axis' highest label
        for (const text of rest) changed.annotations.push({...text, x: (x[0] + x[1]) / 2, y: (y[0] + y[1]) / 2})
        panel.bar = {x: x[1] + 4 / width, y: (y[0] + y[1]) / 2, len: y[1] - y[0]}
    }))
    const hidden = new Set(panels.filter(panel => !shown.includes(panel)).map(({number}) => 'x' + number))
    for (const axis of hidden) for (const letter of 'xy') {
        const key = `${letter}axis${axis.slice(1)}`
        changed[key] = {...layout[key], visible: false}
    }
    changed.shapes = (layout.shapes ?? []).filter(({xref}) => !hidden.has(xref))
    const folded = data.flatMap(trace => trace == tiles ? [trace, {...trace, x0: -half(trace), y0: trace.z.length}] : [trace])
    const moved = folded.map(trace => {
        const axis = trace.xaxis ?? 'x'
        if (hidden.has(axis)) return {...trace, visible: false}
        const {bar} = shown.find(({number}) => 'x' + number == axis) ?? {}
        return bar && trace.colorbar ? {...trace, colorbar: {...trace.colorbar, ...bar}} : trace
    })
    return {data: moved, layout: changed}
}

// what a screen reader says, and where a panel that is kept in sight comes to rest
function attend(panel) {
    if (!panel) return
    for (const slider of panel.querySelectorAll('.widget-slider')) {
        const name = slider.querySelector('label')?.textContent
        for (const part of slider.querySelectorAll('[role=slider], .widget-readout')) part.setAttribute('aria-label', name)
    }
    for (const field of panel.querySelectorAll('input[placeholder]')) field.setAttribute('aria-label', field.placeholder)
    const cell = panel.closest('.jp-Cell')
    const above = cell ? panel.getBoundingClientRect().top - cell.getBoundingClientRect().top : 0
    cell?.style.setProperty('--colt-top', `${-above}px`)
}

async function render({model, el}) {
    const submodel = name => model.widget_manager.get_model(model.get(name).slice('IPY_MODEL_'.length))
    const shown = await submodel('shown')
    const id = model.get('program')
    programs[id] ??= submodel('program').then(load)
    const {react, restyle, purge} = await programs[id].catch(error => { delete programs[id]; throw error })

    const figure = document.createElement('div')
    figure.setAttribute('role', 'group')
    figure.setAttribute('aria-label', 'plots of the run')
    let width = 0
    const draw = () => {
        const {data, layout} = arrange(JSON.parse(shown.get('figure')), width || el.offsetWidth || 1000, model.get('all_plots'))
        react(figure, data, {...layout, ...look}, CONFIG)
    }
    const drawLosses = () => {
        const losses = JSON.parse(shown.get('losses'))
        if (losses.x) restyle(figure, losses, [...losses.x.keys()])
    }
    const redraw = () => { draw(); drawLosses() }
    const fit = new ResizeObserver(() => {
        attend(el.closest('.colt-lab'))
        if (!el.offsetWidth || el.offsetWidth == width) return
        width = el.offsetWidth
        redraw()
    })
    el.replaceChildren(figure)
    redraw()
    shown.on('change:figure', draw)
    shown.on('change:losses', drawLosses)
    model.on('change:all_plots', redraw)
    fit.observe(el)
    return () => {
        fit.disconnect()
        shown.off('change:figure', draw)
        shown.off('change:losses', drawLosses)
        model.off('change:all_plots', redraw)
        purge(figure)
    }
}
export default {render}
