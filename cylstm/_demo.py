"""The demo of `python -m cylstm`: classify digits, forecast sunspots."""

from __future__ import annotations

import time
from importlib.resources import files
from io import StringIO

import numpy as np
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from . import LSTMClassifier, LSTMRegressor
from .preprocessing import StepwiseTransformer, make_windows

PICTURE = "cylstm-demo.png"
WINDOW = 22  # years: two solar cycles
LAST_TRAINING_YEAR = 1960


def load_sunspots():
    """Years and yearly mean sunspot numbers, 1700 to 2008 (public domain)."""
    text = files("cylstm").joinpath("sunspots.csv").read_text()
    years, counts = np.loadtxt(StringIO(text), delimiter=",", skiprows=1).T
    return years.astype(int), counts


def classify_digits():
    """Fit a classifier to digits read row by row, compare it with baselines, return it."""
    images, labels = load_digits(return_X_y=True)
    X = images.reshape(-1, 8, 8) / 16
    X_train, X_test, y_train, y_test = train_test_split(
        X, labels, test_size=0.25, stratify=labels, random_state=0
    )
    print(
        f"Digits: {len(X_train)} images of 8 steps (rows) x 8 features (pixels), 10 "
        f"classes; tested on {len(X_test)}."
    )
    model = LSTMClassifier(random_state=0, verbose=10)
    start = time.perf_counter()
    model.fit(X_train, y_train)
    seconds = time.perf_counter() - start

    flat_train, flat_test = X_train.reshape(-1, 64), X_test.reshape(-1, 64)
    majority = DummyClassifier().fit(flat_train, y_train)
    linear = LogisticRegression(max_iter=1000).fit(flat_train, y_train)
    print(f"\nTest accuracy, LSTMClassifier after {seconds:.1f} s:")
    print(f"  majority class      {majority.score(flat_test, y_test):.3f}")
    print(f"  LogisticRegression  {linear.score(flat_test, y_test):.3f}")
    print(f"  LSTMClassifier      {model.score(X_test, y_test):.3f}\n")
    return model


def forecast_sunspots():
    """Fit a regressor to the sunspots, compare it with a baseline, return what to plot."""
    years, counts = load_sunspots()
    X, y = make_windows(counts, WINDOW)
    target_years = years[WINDOW:]
    past = target_years <= LAST_TRAINING_YEAR
    print(
        f"Sunspots: the next year's number from {WINDOW} years; trained on "
        f"{past.sum()} years up to {LAST_TRAINING_YEAR}, tested on {(~past).sum()}."
    )
    model = make_pipeline(
        StepwiseTransformer(StandardScaler()),
        LSTMRegressor(random_state=0, verbose=10),
    )
    start = time.perf_counter()
    model.fit(X[past], y[past])
    seconds = time.perf_counter() - start
    forecast = model.predict(X[~past])
    persistence = X[~past][:, -1, 0]
    print(f"\nTest RMSE, LSTMRegressor after {seconds:.1f} s:")
    print(f"  persistence    {root_mean_squared_error(y[~past], persistence):.1f}")
    print(f"  LSTMRegressor  {root_mean_squared_error(y[~past], forecast):.1f}")
    return model[-1], years, counts, target_years[~past], forecast


def draw(classifier, regressor, years, counts, forecast_years, forecast):
    """Save a plot of the forecast and both loss curves if matplotlib is installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        print('\nNo picture: matplotlib is not installed (pip install "cylstm[plot]").')
        return
    figure = Figure(figsize=(10, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplot_mosaic([["forecast", "forecast"], ["digits", "sunspots"]])
    recent = years >= 1900
    axes["forecast"].plot(years[recent], counts[recent], color="0.5", label="observed")
    axes["forecast"].plot(forecast_years, forecast, color="C1", label="forecast")
    axes["forecast"].axvline(LAST_TRAINING_YEAR, color="0.7", linestyle=":")
    axes["forecast"].set(
        title="One year ahead, trained on the years before the dotted line",
        xlabel="year",
        ylabel="yearly mean sunspot number",
    )
    axes["forecast"].legend()
    for name, model in (("digits", classifier), ("sunspots", regressor)):
        axes[name].plot(np.arange(1, model.n_iter_ + 1), model.loss_curve_)
        axes[name].set(
            title=f"Training loss, {name}", xlabel="epoch", ylabel="loss", yscale="log"
        )
    try:
        figure.savefig(PICTURE, dpi=100)
    except OSError as error:
        print(f"\nNo picture: {error}.")
    else:
        print(f"\nForecast and loss curves are in {PICTURE}.")


def run():
    start = time.perf_counter()
    classifier = classify_digits()
    draw(classifier, *forecast_sunspots())
    print(f"Total time: {time.perf_counter() - start:.1f} s.")
