// What the page says: a sentence for each phase, and six questions that set the page up
const NUMBERS = ['No network', 'One network', 'Two networks', 'Three networks', 'Four networks', 'Five networks']
const CONTROLS = ['matched', 'reinit', 'shuffled']
const KINDS = {full: 'full network', ticket: 'ticket', matched: 'matched baseline', reinit: 'new weights', shuffled: 'random mask'}
const COMPARED = {matched: 'IMP, made just as sparse', reinit: 'the same mask with new weights', shuffled: 'θ0 under a random mask'}
const FROM = {theta0: 'from the same θ0', own: 'each from a θ0 of its own', new: 'from new weights', trained: 'on from where they were'}
const BACK = {theta0: 'go back to θ0', own: "go back to each network's own θ0", new: 'get new values', trained: 'stay as they were trained'}

const SENTENCES = {
    preparing: () => 'One moment: the full network is trained, to compare with …',
    ready: () => '4,224 weights with random first values, θ0. Press Play, and watch which stay.',
    rewind: ({setting, state: {cycle, mask}}) =>
        `The kept weights ${BACK[setting.start]}. This is the ticket of cycle ${cycle}: ${percent(sparsity(mask))} sparse.`,
    test: ({state: {kind}}) => kind === 'ticket' ? 'Is it any good? It is trained on all ten digits, and tested on images that it has not seen.'
        : `For comparison: ${COMPARED[kind]}, trained alike.`,
    tested({setting, state: {results: {ticket, full, matched}}}) {
        if (ticket === full) return `Trained on all ten digits, the full network has ${percent(full.accuracy, 1)} of the test images right.`
        const [other, found] = setting.compare.includes('matched') ? ['Its matched baseline', matched] : ['The full network', full]
        const said = ticket.sparsity < .95 ? 'Tested' : 'The ticket is found'
        return `${said}: ${percent(ticket.accuracy, 1)} right, with ${percent(1 - ticket.sparsity)} of the weights. ${other} has ${percent(found.accuracy, 1)}.`
    },
    train({setting: {partitions: n, start}, state: {cycle}}) {
        const from = FROM[cycle || start === 'own' ? start : 'theta0']
        return n > 1 ? `${NUMBERS[n]} train ${from}, each on its own digits.` : `One network trains ${from.replace('they were', 'it was')}, on all ten digits.`
    },
    vote: ({setting: {partitions: n, rate}}) => `${n > 1 ? 'Each' : 'It'} votes to keep its largest weights and to prune the smallest ${percent(rate)}.`,
    overlap({setting: {partitions: n}, state: {counts, collapsed, next}}) {
        const share = percent(counts.all/counts.unpruned), empty = layersKept(next).indexOf(0) + 1
        if (collapsed) return `Collapse: ${empty ? `layer ${empty} has lost its last weight, and no image gets through` : 'there is nothing left to prune'}. The search ends.`
        return n > 1 ? `Only weights that ${n === 2 ? 'both' : 'all'} keep stay: ${share} of those that were left.` : `One vote decides: ${share} of the weights that were left stay.`
    }}
const VOTES_SAID = ({counts: {all, unpruned}}, rate, n) => n === 1 ? 'With one vote, each cycle prunes just its share.'
    : `The last cycle pruned ${percent(1 - all/unpruned, 1)}. Equal votes would prune ${percent(rate)} (—), independent votes ${percent(1 - (1 - rate)**n)} (- -).`
const OVERLAP_SAID = ({overlap, chance}) =>
    `Mask overlap ● ${overlap.toFixed(2)}, by chance ○ ${chance.toFixed(2)}: kept by all, divided by kept by any.`

// The share of layer 1's weights that a mask keeps in these columns of pixels
function keptInColumns(mask, columns) {
    const inside = mask[0].filter((_, i) => columns.includes(i % 8))
    return total(inside)/inside.length
}
const firstBeyond = (run, share) => run.tested.find(({results}) => results.ticket.sparsity > share)?.results
const accuracies = (results, kinds) => kinds.map(kind => `${KINDS[kind]} ${percent(results[kind].accuracy, 1)}`).join(', ')

// `ready` says whether the run can answer; `tell` gives the number of the right choice in this run, and the reason
const QUESTIONS = {
    mask: {
        title: 'What does a mask look like as it forms?', setting: {partitions: 1, rate: .4, compare: []},
        ask: `One network learns all ten digits (IMP). Each small square in the upper block is a hidden unit's weights, one for each pixel of an
            image. Where do the weights go first?`,
        choices: ['at the left and right edges', 'in the middle', 'everywhere alike'],
        ready: run => run.tested.length > 3,
        tell(run) {
            const {mask} = run.tested[3].results.ticket, [edge, middle] = [[0, 7], [3, 4]].map(columns => keptInColumns(mask, columns))
            return [edge < .8*middle ? 0 : middle < .8*edge ? 1 : 2, `the mask of cycle 3 keeps ${percent(edge)} of the weights at the two edges,
                and ${percent(middle)} in the two middle columns. At the edges nearly all images are white: there is little to learn.`]
        }},
    controls: {
        title: 'Is it the ticket, or would any sparse network do?', setting: {partitions: 1, rate: .4, compare: ['reinit', 'shuffled']},
        ask: `Two controls have as many weights as the ticket. One has the same mask with newly drawn weights, the other has θ0 under a random
            mask. All are trained alike. Which is best at about 95 % sparsity?`,
        choices: ['the ticket', 'new weights', 'the random mask', 'all about alike'],
        ready: run => firstBeyond(run, .94),
        tell(run) {
            const results = firstBeyond(run, .94), kinds = ['ticket', 'reinit', 'shuffled'], found = kinds.map(kind => results[kind].accuracy)
            const [best, second] = [...found].sort((a, b) => b - a)
            return [best - second < .01 ? 3 : found.indexOf(best), `${accuracies(results, kinds)}. A ticket is a mask together with the weights that it
                was found with. At low sparsities nearly every network does: look at the left of the plot.`]
        }},
    cycles: {
        title: 'Why does COLT need fewer cycles?', setting: {partitions: 2, rate: .3, compare: ['matched']},
        ask: 'Two networks vote, and each prunes 30 % of the weights. A weight stays only if both keep it. What share does the cycle prune?',
        choices: ['30 %', 'more than 30 %, but less than 51 %', '51 %', '60 %'],
        ready: run => run.votes.length > 0,
        tell(run) {
            const {counts: {all, unpruned}} = run.votes[0], pruned = 1 - all/unpruned
            return [pruned < .305 ? 0 : pruned < .505 ? 1 : pruned < .55 ? 2 : 3, `the first cycle pruned ${percent(pruned, 1)}. Equal votes would
                prune 30 %, independent votes 1 − 0.7 × 0.7 = 51 %, and only if no weight were pruned by both would it be 60 %. More votes prune
                more, whatever they are worth.`]
        }},
    matched: {
        title: 'At the same sparsity, is COLT’s ticket better?', setting: {partitions: 3, rate: .3, compare: ['matched']},
        ask: `Three networks choose COLT's ticket. The matched baseline is IMP: one network for all ten digits, made exactly as sparse in each
            cycle. Both are trained on all ten digits. Which is better at 90 %?`,
        choices: ['COLT’s ticket', 'the matched baseline', 'about alike'],
        ready: run => firstBeyond(run, .89),
        tell(run) {
            const results = firstBeyond(run, .89), gap = results.ticket.accuracy - results.matched.accuracy
            return [Math.abs(gap) < .01 ? 2 : gap > 0 ? 0 : 1, `at ${percent(results.ticket.sparsity)}: ${accuracies(results, ['ticket', 'matched'])}. COLT needs fewer cycles because it prunes
                more in each. Whether it also chooses better is another question, and only the matched baseline can answer it.`]
        }},
    collapse: {
        title: 'How far can it go?', setting: {partitions: 5, rate: .6, compare: []},
        ask: 'Five networks vote, and each prunes 60 %. Press Play until it ends. What ends it?',
        choices: ['a layer loses its last weight', 'nothing: it reaches 100 %', 'the votes become equal'],
        ready: run => run.ended,
        tell(run) {
            const {next} = run.votes.at(-1)
            return [layersKept(next).includes(0) ? 0 : 2, `the last mask keeps ${layersKept(next).join(' and ')} weights in the two layers. The ticket
                before it had ${percent(run.tested.at(-1).results.ticket.accuracy)} of the images right, and guessing gives 10 %. Both layers are ranked together,
                so one of them can lose everything.`]
        }},
    chance: {
        title: 'How much overlap is mere chance?', setting: {partitions: 2, rate: .3, start: 'own', compare: ['matched']},
        ask: `Now each network starts from a θ0 of its own. Each vote keeps 70 %. How large is the mask overlap: the weights that both keep, divided
            by those that at least one keeps?`,
        choices: ['0', 'about 0.54', 'about 0.68, as from one θ0', '1'],
        ready: run => run.votes.length > 0,
        tell(run) {
            const {overlap, chance} = run.votes[0], off = [0, chance, .68, 1].map(guess => Math.abs(guess - overlap))
            return [off.indexOf(Math.min(...off)), `${overlap.toFixed(2)}, and by chance ${chance.toFixed(2)}: random votes that keep 70 % have
                0.7 × 0.7 in common, of 1 − 0.3 × 0.3. From one θ0 it is about 0.68. So an overlap says nothing without its value by chance; and what
                lies above it needs the common start, since the hidden units of two networks have no common order.`]
        }}}
