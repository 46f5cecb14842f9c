const loaded = globalThis.coltPrograms ??= {}
const load = async program => {
    const url = URL.createObjectURL(new Blob([`const module = {exports: {}};\n${program.get('source')}\nexport default module.exports`], {type: 'text/javascript'}))
    try { return (await import(url)).default }
    finally { URL.revokeObjectURL(url) }
}
async function render({model, el}) {
    const other = name => model.widget_manager.get_model(model.get(name).slice('IPY_MODEL_'.length)), paper = await other('paper')
    const id = model.get('program'), forget = e => { delete loaded[id]; throw e }
    const {react, restyle, purge, Plots} = await (loaded[id] ??= other('program').then(load)).catch(forget)
    const figure = document.createElement('div'), told = name => JSON.parse(paper.get(name)), clear = 'rgba(0,0,0,0)'
    const look = {paper_bgcolor: clear, plot_bgcolor: clear, modebar: {bgcolor: clear, color: '#888888', activecolor: '#aa3377'}}
    const all = () => { const {data, layout} = told('picture'); react(figure, data, {...layout, ...look}, CONFIG) }
    const some = () => { const moved = told('losses'); if (moved.x) restyle(figure, moved, [...moved.x.keys()]) }
    const fit = new ResizeObserver(() => el.offsetWidth && Plots.resize(figure))
    el.replaceChildren(figure)
    all()
    paper.on('change:picture', all)
    paper.on('change:losses', some)
    fit.observe(el)
    return () => { fit.disconnect(); paper.off('change:picture', all); paper.off('change:losses', some); purge(figure) }
}
export default {render}
