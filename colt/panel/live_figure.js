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

async function render({model, el}) {
    const submodel = name => model.widget_manager.get_model(model.get(name).slice('IPY_MODEL_'.length))
    const shown = await submodel('shown')
    const id = model.get('program')
    programs[id] ??= submodel('program').then(load)
    const {react, restyle, purge, Plots} = await programs[id].catch(error => { delete programs[id]; throw error })

    const figure = document.createElement('div')
    const draw = () => {
        const {data, layout} = JSON.parse(shown.get('figure'))
        react(figure, data, {...layout, ...look}, CONFIG)
    }
    const drawLosses = () => {
        const losses = JSON.parse(shown.get('losses'))
        if (losses.x) restyle(figure, losses, [...losses.x.keys()])
    }
    const fit = new ResizeObserver(() => el.offsetWidth && Plots.resize(figure))
    el.replaceChildren(figure)
    draw()
    shown.on('change:figure', draw)
    shown.on('change:losses', drawLosses)
    fit.observe(el)
    return () => {
        fit.disconnect()
        shown.off('change:figure', draw)
        shown.off('change:losses', drawLosses)
        purge(figure)
    }
}
export default {render}
