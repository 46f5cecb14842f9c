// Draw the figures of a page when they come into sight, with the site's own plotly.js. Their buttons and sliders become the page's own:
// they stand above the figure, and the keyboard reaches them. Figures that have a name are a choice: one of them is shown, and another
// beneath it if the reader wants.
(() => {
    const figures = [...document.querySelectorAll('.colt-figure')]
    if (!figures.length) return
    const here = new URL('.', document.currentScript.src)
    const make = (kind, told, ...inner) => { const e = Object.assign(document.createElement(kind), told); e.append(...inner); return e }
    let loaded
    const plotly = () => loaded ??= new Promise((yes, no) =>
        document.head.append(make('script', {src: new URL('plotly.min.js', here), onload: () => yes(window.Plotly), onerror: no})))
    const draw = async figure => {
        const {data, layout: {sliders = [], updatemenus = [], width, ...layout}, frames, config} = JSON.parse(figure.firstElementChild.textContent)
        const Plotly = await plotly(), place = make('div'), view = make('div', {className: 'colt-view'}, place)
        const wide = Object.keys(layout).filter(key => key.startsWith('xaxis')).length > 1 || layout.legend?.orientation === 'h'
        const above = updatemenus.some(menu => menu.y > 1) ? 40 : 0, below = sliders.length ? 90 : 0 // what plotly's own would take
        Object.assign(layout, {autosize: true, height: (layout.height ?? 450) - above - below, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)'})
        if (above) layout.margin = {...layout.margin, t: Math.max(0, (layout.margin?.t ?? 100) - above)}
        const least = Math.min(width ?? 640, wide ? 640 : 300) // a narrower page scrolls the figure
        Object.assign(place.style, {minWidth: `${least}px`, maxWidth: width && `${width}px`})
        figure.append(view)
        await Plotly.newPlot(place, data, layout, {...config, responsive: true})
        if (frames) await Plotly.addFrames(place, frames)
        if (sliders.length + updatemenus.length) view.before(controls(Plotly, place, sliders, updatemenus))
        figure.style.minHeight = ''
        figure.classList.add('drawn')
    }
    const controls = (Plotly, place, sliders, menus) => {
        const run = ({method, args}) => Plotly[method](place, ...args)?.catch(() => {}) // another one has cut the animation short
        const bar = make('div', {className: 'colt-bar'})
        for (const {buttons, active = 0, showactive = true} of menus) {
            const all = buttons.map(button => make('button', {ariaLabel: button.label.replace('❚❚', 'pause'), onclick: () => { press(buttons.indexOf(button)); run(button) }}, button.label))
            const press = one => { if (showactive) all.forEach((button, i) => { button.ariaPressed = i === one }) }
            press(active)
            bar.append(make('div', {}, ...all))
        }
        for (const {steps, active = 0, currentvalue} of sliders) {
            const output = make('output'), range = make('input', {type: 'range', max: steps.length - 1, value: active, oninput: () => { tell(); run(steps[range.value]) }})
            const tell = () => { output.value = range.ariaValueText = steps[range.value].label }
            tell()
            place.on('plotly_animatingframe', ({name}) => { // the slider follows what plays
                const at = steps.findIndex(step => step.args[0]?.[0] === name)
                if (at >= 0) { range.value = at; tell() }
            })
            bar.append(make('label', {}, currentvalue?.prefix ?? 'step', range, output))
        }
        return bar
    }
    const seen = new IntersectionObserver(entries => entries.filter(e => e.isIntersecting).forEach(e => { seen.unobserve(e.target); draw(e.target) }), {rootMargin: '600px'})
    const named = figures.filter(figure => figure.dataset.name)
    if (named.length > 1) choice(named)
    figures.forEach(figure => seen.observe(figure))

    function choice(named) {
        const names = named.map(figure => figure.dataset.name), holder = make('div')
        const pick = (label, options) => make('select', {ariaLabel: label, onchange: show}, ...options.map(name => new Option(name)))
        const first = pick('run', names), second = pick('beneath it', ['nothing', ...names])
        named[0].before(make('div', {className: 'colt-bar'}, make('label', {}, 'run', first), make('label', {}, 'beneath it', second)), holder)
        holder.append(...named)
        function show() {
            named.forEach(figure => { figure.hidden = ![first.value, second.value].includes(figure.dataset.name) })
            holder.prepend(named[names.indexOf(first.value)])
            window.dispatchEvent(new Event('resize'))
        }
        show()
    }
})()
