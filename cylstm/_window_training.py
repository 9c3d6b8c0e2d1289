"""Training on windows of series: what an epoch draws, and its targets."""

from __future__ import annotations

from ._training import BatchTrainer, Trainer, automatic_batch

# The smallest and largest number of windows in an automatic batch, and the most that an epoch
# draws unless max_windows says otherwise.
AUTO_BATCH = 8, 256
AUTO_WINDOWS = 50_000

# Windows overlap: an epoch draws so many for each horizon that fits into the series. With
# more, a network learns a long series by heart.
WINDOWS_PER_HORIZON = 8


class WindowTrainer(Trainer):
    """Trains on windows that are drawn anew in each epoch.

    Parameters
    ----------
    network, optimizer, **settings
        As BatchTrainer takes them.
    draw : callable(n, random_state) -> Dataset
        So many windows in random order.
    n_samples : int
        Windows of an epoch.
    n_steps : int
        Of the longest window.
    batch_size : int or "auto"
    random_state : RandomState
    bptt_steps : int or None
        As Trainer takes it.
    """

    def __init__(
        self,
        network,
        optimizer,
        *,
        draw,
        n_samples,
        n_steps,
        batch_size,
        random_state,
        bptt_steps,
        **settings,
    ):
        self.draw = draw
        self.n_samples = n_samples
        self.batch_size = automatic_batch(batch_size, n_samples, AUTO_BATCH)
        self.shuffle = False  # they come in random order
        self.random_state = random_state
        self.bptt_steps = bptt_steps
        BatchTrainer.__init__(self, network, optimizer, self.batch_size * n_steps, **settings)

    def epoch(self):
        """Train on windows drawn anew; return the mean objective over them."""
        data = self.draw(self.n_samples, self.random_state)
        self.sequences, self.targets, self.weights = data.sequences, data.targets, data.weights
        return super().epoch()
