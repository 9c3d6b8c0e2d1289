"""Training on streams of text: what makes a batch, and which classes of the softmax."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ._sequences import Sequences
from ._training import BatchTrainer, weighted_mean

# In one of this many chunks a stream is restarted from a state of zeros.
CHUNKS_PER_RESTART = 4

# An automatic number of streams leaves so many steps of the optimizer to an epoch, up to a
# largest number of streams.
AUTO_STEPS, AUTO_STREAMS = 20, 32


class TextTrainer(BatchTrainer):
    """Trains a network to predict each token of some sequences from those before it.

    The sequences are concatenated and cut into parallel streams of about equal length, which
    are processed side by side in chunks of steps. States are carried from chunk to chunk,
    gradients are not (Zaremba et al., arXiv:1409.2329). Where a sequence starts within a
    chunk, its state is zero: a stream's part of a chunk is cut into pieces, one per sequence,
    and the pieces are the batch.

    In every fourth chunk one of the streams is restarted, as if a sequence started there.
    Otherwise a long text has a single start per epoch, and a network of 256 units, started
    from a state of zeros after the first epoch, moved to states that it had never been in and
    did not return: 12 bits per character of a text that it otherwise predicted at 2.4.

    Parameters
    ----------
    network, optimizer, **settings
        As BatchTrainer takes them.
    texts : list of int arrays
        The tokens to predict, per sequence.
    boundary : int
        The token before the first one of a sequence, and of a stream.
    batch_size : int or "auto"
        Number of streams; fewer if there are fewer tokens.
    bptt_steps : int
        Maximum number of steps of a chunk. Chunks have about equal lengths, since the mean
        over a short last one would move the weights as far as any other.
    n_sampled : int or None
        Number of classes in the sample of the softmax, drawn anew for each chunk.
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
        if batch_size == "auto":
            batch_size = min(max(self.n_samples // (AUTO_STEPS * bptt_steps), 1), AUTO_STREAMS)
        self.batch_size = int(min(batch_size, self.n_samples))
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
        """Inputs and targets of all streams, one after the other; where the streams and where
        the pieces start."""
        texts = self.texts
        if self.shuffle:
            texts = [texts[k] for k in self.random_state.permutation(len(texts))]
        tokens = np.concatenate(texts)
        n_streams = self.batch_size
        streams = np.arange(n_streams + 1) * len(tokens) // n_streams
        restarts = self._chunks(streams)[CHUNKS_PER_RESTART:-1:CHUNKS_PER_RESTART]
        which = (np.arange(len(restarts)) + self.random_state.randint(n_streams)) % n_streams
        restarts = streams[which] + restarts
        starts = np.cumsum([0, *map(len, texts)])[:-1]
        restarts = restarts[restarts < streams[which + 1]]
        starts = np.unique([*starts, *streams[:-1], *restarts])
        inputs = np.empty(len(tokens), np.int64)
        inputs[1:] = tokens[:-1]
        inputs[starts] = self.boundary
        return inputs, tokens.astype(self.network.dtype)[:, None], streams, starts

    def _chunks(self, streams):
        """Where chunks start within their streams, and where the last one ends."""
        longest = int(np.diff(streams).max())
        n_chunks = -(-longest // self.bptt_steps)
        return np.arange(n_chunks + 1) * longest // n_chunks

    def steps_in_chunks(self, inputs, targets, streams, piece_starts):
        """A step of the optimizer for each chunk; yield objective and weight of each."""
        network = self.network
        weights = np.ones(len(inputs), network.dtype)
        states = np.zeros((self.batch_size, network.architecture.n_state), network.dtype)
        for first, last in pairwise(self._chunks(streams)):
            starts = streams[:-1] + first
            running = np.flatnonzero(starts < streams[1:])
            starts = starts[running]
            stops = np.minimum(streams[running] + last, streams[running + 1])
            # The pieces that start within this chunk of a stream, after its first step.
            low = piece_starts.searchsorted(starts, "right")
            high = piece_starts.searchsorted(stops)
            states[running[piece_starts[low - 1] == starts]] = 0
            within = [piece_starts[i:j] for i, j in zip(low, high, strict=True)]
            cuts = np.sort(np.concatenate([starts, *within]))
            head = cuts.searchsorted(starts)  # the first piece of each stream
            tail = np.append(head[1:], len(cuts)) - 1
            lengths = np.append(cuts[1:], 0) - cuts
            lengths[tail] = stops - cuts[tail]
            state = np.zeros((len(cuts), states.shape[1]), states.dtype)
            state[head] = states[running]
            yield self._train_on(
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
        """Classes of a chunk's softmax: a sample, followed by the targets missing in it."""
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
    """Probability of each class to be in a sample of n classes on average: proportional to
    the counts to the power of 3/4 (Mikolov et al., arXiv:1310.4546), mixed with one tenth of
    a uniform distribution, so that no class gets too large a weight; at most 1."""
    weights = np.maximum(counts, 1) ** 0.75
    weights = 0.9 * weights / weights.sum() + 0.1 / len(weights)
    shares = np.zeros(len(weights))
    while (below := shares < 1).any():
        wanted = weights * ((n - np.count_nonzero(~below)) / weights[below].sum())
        shares[below] = np.minimum(wanted[below], 1)
        if (wanted[below] < 1).all():
            break
    return shares
