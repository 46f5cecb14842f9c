// Draw the figures of a page when they come into sight, with the site's own plotly.js
(() => {
    const figures = document.querySelectorAll('.colt-figure')
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
        await Plotly.newPlot(place, data, {...layout, autosize: true, width: undefined, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)'}, {displaylogo: false, responsive: true})
        if (frames) await Plotly.addFrames(place, frames)
        figure.classList.add('drawn')
    }
    const seen = new IntersectionObserver(entries => entries.filter(e => e.isIntersecting).forEach(e => { seen.unobserve(e.target); draw(e.target) }), {rootMargin: '600px'})
    figures.forEach(figure => seen.observe(figure))
})()
