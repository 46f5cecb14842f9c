// Draw the figures of a page when they come into sight, with the site's own plotly.js.
// Figures that have a name are a choice: one of them is shown, and another beneath it if the reader wants.
(() => {
    const figures = [...document.querySelectorAll('.colt-figure')]
    if (!figures.length) return
    const here = new URL('.', document.currentScript.src)
    let loaded
    const plotly = () => loaded ??= new Promise((yes, no) => {
        const script = Object.assign(document.createElement('script'), {src: new URL('plotly.min.js', here), onload: () => yes(window.Plotly), onerror: no})
        document.head.append(script)
    })
    const draw = async figure => {
        const Plotly = await plotly(), {data, layout, frames} = JSON.parse(figure.firstElementChild.textContent)
        const place = figure.appendChild(document.createElement('div'))
        const clear = {autosize: true, width: undefined, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)'}
        await Plotly.newPlot(place, data, {...layout, ...clear}, {displaylogo: false, responsive: true})
        if (frames) await Plotly.addFrames(place, frames)
        if (layout.sliders?.length) keys(Plotly, figure, place)
        figure.classList.add('drawn')
    }
    const keys = (Plotly, figure, place) => { // the arrows move the slider of a figure that has the focus
        figure.tabIndex = 0
        figure.setAttribute('aria-description', 'the left and right arrow keys move the slider')
        figure.addEventListener('keydown', event => {
            const way = {ArrowLeft: -1, ArrowRight: 1}[event.key], slider = place._fullLayout.sliders[0], to = slider.active + way
            if (!way || event.target !== figure) return
            event.preventDefault()
            event.stopPropagation() // these keys also turn the pages of the site
            if (!slider.steps[to]) return
            const {method, args} = slider.steps[to]
            Plotly[method](place, ...args)
            Plotly.relayout(place, {'sliders[0].active': to})
        })
    }
    const seen = new IntersectionObserver(entries => entries.filter(e => e.isIntersecting).forEach(e => { seen.unobserve(e.target); draw(e.target) }), {rootMargin: '600px'})
    const named = figures.filter(figure => figure.dataset.name)
    if (named.length > 1) choice(named)
    figures.forEach(figure => seen.observe(figure))

    function choice(named) {
        const bar = document.createElement('div'), names = named.map(figure => figure.dataset.name)
        const pick = (label, options, value) => {
            const select = Object.assign(document.createElement('select'), {ariaLabel: label})
            select.append(...options.map(name => new Option(name)))
            select.value = value
            select.onchange = show
            bar.append(Object.assign(document.createElement('label'), {textContent: `${label} `}), select)
            bar.lastChild.previousSibling.append(select)
            return select
        }
        const first = pick('run', names, names[0]), second = pick('beneath it', ['nothing', ...names], 'nothing')
        const holder = document.createElement('div')
        bar.className = 'colt-choice'
        named[0].before(bar, holder)
        holder.append(...named)
        function show() {
            named.forEach(figure => { figure.hidden = ![first.value, second.value].includes(figure.dataset.name) })
            holder.prepend(named[names.indexOf(first.value)])
            window.dispatchEvent(new Event('resize'))
        }
        show()
    }
})()
