"""Learning from streams of text: what is a batch, and which classes of the softmax."""

from itertools import pairwise

import numpy as np

from ._sequences import Sequences
from ._training import Learner, weighted_mean

# One stream in this many chunks begins anew.
CHUNKS_PER_BEGIN = 4


class TextTrainer(Learner):
    """Learns to predict each token of some sequences from those before it.

    The sequences stand one after the other, cut into parallel streams of about equal
    length, which go on side by side in chunks of steps. States are carried from chunk to
    chunk, gradients are not (Zaremba et al., arXiv:1409.2329), and where a sequence begins
    within a chunk, so does a state of zeros: a stream's part of a chunk is one piece for each
    sequence in it, and the pieces are the batch.

    At every fourth chunk one of the streams begins anew, as if a sequence did. Without that
    a long text has a beginning once an epoch, and after the first one a network of 256 units
    went from a state of zeros to where it had never been and did not come back: 12 bits per
    character of text whose rest it read at 2.4.

    Parameters
    ----------
    network, optimizer, **settings
        As Learner takes them.
    texts : list of int arrays
        What is to be predicted of each sequence.
    boundary : int
        The token before the first of a sequence, and of a stream.
    batch_size : int
        Streams; fewer where there are fewer tokens.
    bptt_steps : int
        Steps of a chunk at most. Chunks are of about equal length: the mean over a short
        last one would move the weights as far as any other.
    n_sampled : int or None
        Classes that stand for all others in the softmax, drawn anew for each chunk.
    shuffle : bool
        Draw a new order of the sequences in each epoch.
    random_state : RandomState
    """

    def __init__(
        self,
        network,
        optimizer,
        texts,
        boundary,
        *,
        batch_size,
        bptt_steps,
        n_sampled,
        shuffle,
        random_state,
        **settings,
    ):
        self.texts = texts
        self.boundary = boundary
        self.n_samples = sum(map(len, texts))
        self.batch_size = min(batch_size, self.n_samples)
        self.bptt_steps = bptt_steps
        self.shuffle = shuffle and len(texts) > 1
        self.random_state = random_state
        self._shares = None
        n_classes = network.architecture.n_scores
        if n_sampled is not None and n_sampled < n_classes:
            counts = np.bincount(np.concatenate(texts), minlength=n_classes)
            self._shares = sampling_shares(counts, n_sampled)
        max_tokens = self.batch_size * min(bptt_steps, self.n_samples)
        super().__init__(network, optimizer, max_tokens, **settings)

    def epoch(self):
        """One pass over all tokens; return the mean objective over it."""
        return weighted_mean(self.steps_in_chunks(*self._lay_out()))

    def _lay_out(self):
        """Inputs and targets of all streams, one after the other; where streams and where
        pieces begin."""
        texts = self.texts
        if self.shuffle:
            texts = [texts[k] for k in self.random_state.permutation(len(texts))]
        tokens = np.concatenate(texts)
        n_streams = self.batch_size
        streams = np.arange(n_streams + 1) * len(tokens) // n_streams
        again = self._chunks(streams)[CHUNKS_PER_BEGIN:-1:CHUNKS_PER_BEGIN]
        which = (np.arange(len(again)) + self.random_state.randint(n_streams)) % n_streams
        anew = streams[which] + again
        begins = np.cumsum([0, *map(len, texts)])[:-1]
        begins = np.unique([*begins, *streams[:-1], *anew[anew < streams[which + 1]]])
        inputs = np.empty(len(tokens), np.int64)
        inputs[1:] = tokens[:-1]
        inputs[begins] = self.boundary
        return inputs, tokens.astype(self.network.dtype)[:, None], streams, begins

    def _chunks(self, streams):
        """Where chunks begin within their streams, and where the last one ends."""
        longest = int(np.diff(streams).max())
        n_chunks = -(-longest // self.bptt_steps)
        return np.arange(n_chunks + 1) * longest // n_chunks

    def steps_in_chunks(self, inputs, targets, streams, begins):
        """A step of the optimizer for each chunk; yield objective and weight of each."""
        network = self.network
        weights = np.ones(len(inputs), network.dtype)
        states = np.zeros((self.batch_size, network.architecture.n_state), network.dtype)
        for first, last in pairwise(self._chunks(streams)):
            starts = streams[:-1] + first
            running = np.flatnonzero(starts < streams[1:])
            starts = starts[running]
            stops = np.minimum(streams[running] + last, streams[running + 1])
            # Of each stream the begins within this chunk, its first step left out.
            low, high = begins.searchsorted(starts, "right"), begins.searchsorted(stops)
            states[running[begins[low - 1] == starts]] = 0
            within = np.concatenate([begins[i:j] for i, j in zip(low, high, strict=True)])
            cuts = np.sort(np.concatenate([starts, within]))
            head = cuts.searchsorted(starts)  # the first piece of each stream
            tail = np.append(head[1:], len(cuts)) - 1
            lengths = np.append(cuts[1:], 0) - cuts
            lengths[tail] = stops - cuts[tail]
            state = np.zeros((len(cuts), states.shape[1]), states.dtype)
            state[head] = states[running]
            yield self._learn(
                Sequences(None, cuts, lengths, inputs),
                targets,
                weights,
                np.arange(len(cuts)),
                update=self.optimizer.n_steps,
                state_in=state,
                state_out=state,  # read before it is written
                **self._sample(targets, starts, stops),
            )
            states[running] = state[tail]

    def _sample(self, targets, starts, stops):
        """Classes of a chunk's softmax: a sample, then the targets that it lacks."""
        if self._shares is None:
            return {}
        steps = [targets[i:j, 0] for i, j in zip(starts, stops, strict=True)]
        needed = np.unique(np.concatenate(steps)).astype(np.int64)
        drawn = self.random_state.random_sample(len(self._shares)) < self._shares
        sample = np.flatnonzero(drawn)
        return {
            "classes": np.concatenate([sample, needed[~drawn[needed]]]),
            "log_shares": np.log(self._shares[sample]).astype(targets.dtype),
        }


def sampling_shares(counts, n):
    """Probability of each class to be in a sample of n on average, at most 1: as the counts
    to the power of 3/4 (Mikolov et al., arXiv:1310.4546), and a tenth the same for all, so
    that none stands for too many."""
    weights = np.maximum(counts, 1) ** 0.75
    weights = 0.9 * weights / weights.sum() + 0.1 / len(weights)
    shares = np.zeros(len(weights))
    while (rest := shares < 1).any():
        wanted = weights * ((n - np.count_nonzero(~rest)) / weights[rest].sum())
        shares[rest] = np.minimum(wanted[rest], 1)
        if (wanted[rest] < 1).all():
            break
    return shares
