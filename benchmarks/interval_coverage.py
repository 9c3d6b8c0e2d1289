"""How near to its level the coverage of calibrated intervals is at each step ahead.

    python benchmarks/interval_coverage.py PATH

PATH is a folder with m4_hourly/m4_hourly.npz and m3_monthly/m3_monthly.npz, as
bench_forecast.py takes it. Intervals around the seasonal naive forecast, which learns nothing
that could fit too well, are calibrated on its errors from the last origin that leaves a whole
horizon, and from those so many steps before ("windows"): split conformal, pooled over the
series, each step for itself. They are tried on the horizon at the end of the series, and on
those one, two and three horizons earlier. Each cell has the mean coverage over the steps, and
the share of steps at which it is within 3 points of the level. "by chance" is that share if
errors were exchangeable and series independent.
"""

import argparse
from pathlib import Path

import datasets
import numpy as np
from measure import table_head, table_row
from scipy.stats import binom

LEVELS = 80, 95
BACK = range(4)


def errors(series, ends, horizon, season):
    """(n_series, horizon) errors of the seasonal naive forecast after `ends`, in units of the
    mean seasonal difference before."""
    found = []
    for y, end in zip(series, ends, strict=True):
        if end < 2 * season + 2:
            continue
        past = y[:end]
        scale = np.abs(past[season:] - past[:-season]).mean()
        forecast = past[end - season + np.arange(horizon) % season]
        found.append(np.abs(y[end : end + horizon] - forecast) / max(scale, 1e-9))
    return np.array(found)


def coverages(series, ends, horizon, season, windows):
    """Level -> (horizon,) coverage in percent."""
    at_end = errors(series, ends, horizon, season)
    before = [errors(series, ends - horizon - k, horizon, season) for k in windows]
    ordered = np.sort(np.concatenate(before), axis=0)
    n = len(ordered)
    ranks = {level: min(int(np.ceil((n + 1) * level / 100)), n) for level in LEVELS}
    return {
        level: 100 * (at_end <= ordered[rank - 1]).mean(axis=0)
        for level, rank in ranks.items()
    }


def by_chance(n, level):
    """Percent of steps at which n independent series are covered within 3 points."""
    low, high = np.ceil(n * (level - 3) / 100), np.floor(n * (level + 3) / 100)
    return 100 * (binom.cdf(high, n, level / 100) - binom.cdf(low - 1, n, level / 100))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", type=Path)
    folder = parser.parse_args().path
    ago = ["at the end", *(f"{k} horizons earlier" for k in BACK[1:])]
    print(table_head(["data", "level", "windows", *ago, "by chance"]))
    for name, season in (("m3_monthly", 12), ("m4_hourly", 24)):
        train, test = datasets.panel(folder / name / f"{name}.npz")
        series = [np.concatenate(pair) for pair in zip(train, test, strict=True)]
        horizon, ends = test.shape[1], np.array([len(y) for y in train])
        for windows in ([0], [0, 1], [0, season], [*range(season)]):
            found = [
                coverages(series, ends - k * horizon, horizon, season, windows) for k in BACK
            ]
            for level in LEVELS:
                cells = [
                    f"{of.mean():.1f}, {100 * np.mean(abs(of - level) <= 3):.0f}%"
                    for of in (of_levels[level] for of_levels in found)
                ]
                shown = (
                    f"0 to {season - 1}" if len(windows) > 2 else ", ".join(map(str, windows))
                )
                chance = f"{by_chance(len(series), level):.0f}%"
                print(table_row([name, str(level), shown, *cells, chance]))


if __name__ == "__main__":
    main()
