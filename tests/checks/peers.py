"""What two public libraries say to the same numbers: savvi of planned shares, gbstats of a confidence sequence.

savvi imports matplotlib without saying so. Neither installs beside what this project needs. `python -m tests.checks.peers`
installs each into an environment of its own, asks it, and writes down what it said.
"""

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("peers.json")
SHARES: tuple[Any, ...] = (
    [[900, 1100], [0.5, 0.5]],
    [[7_300, 2_700], [0.7, 0.3]],
    [[510, 290, 200], [0.5, 0.3, 0.2]],
    [[1_360, 640], [0.7, 0.3]],
)
CONCENTRATION = 1_000
# Of champion and challenger: answers, sum of losses, sum of squared losses; then alpha and what the sequence is tuned for.
MEANS: tuple[Any, ...] = (
    [[1_000, 520.0, 330.0], [400, 190.0, 120.0], 0.05, 5_000],
    [[50_000, 24_600.0, 15_900.0], [12_000, 5_700.0, 3_600.0], 0.01, 5_000],
    [[20, 11.0, 8.0], [15, 8.1, 6.2], 0.1, 28],
)
_ASKED = {
    "savvi==0.3.1 matplotlib": """
        import json, sys
        import numpy as np
        from savvi.multinomial import Multinomial
        said = []
        for units, shares in json.loads(sys.argv[1]):
            test = Multinomial(0.05, np.array(shares), k=float(sys.argv[2]))
            test.update(np.array(units))
            said.append(float(test.calculate_p_value()))
        print(json.dumps(said))
    """,
    "gbstats==0.8.0": """
        import json, sys
        from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest
        from gbstats.models.statistics import SampleMeanStatistic
        said = []
        for champion, challenger, alpha, tuned_for in json.loads(sys.argv[1]):
            arms = [SampleMeanStatistic(n=n, sum=total, sum_squares=squares) for n, total, squares in (champion, challenger)]
            config = SequentialConfig(difference_type="absolute", alpha=alpha, sequential_tuning_parameter=tuned_for)
            said.append([float(end) for end in SequentialTwoSidedTTest(*arms, config).confidence_interval])
        print(json.dumps(said))
    """,
}


def said(peer: str) -> Any:
    """What the peer said when it was asked."""
    return json.loads(FILE.read_text())[peer]


def _ask(peer: str, code: str, *numbers: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", *peer.split()], check=True)
        lines = "\n".join(line.removeprefix(" " * 8) for line in code.strip("\n").splitlines())
        command = [str(python), "-c", lines, *(json.dumps(one) for one in numbers)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    savvi, gbstats = _ASKED
    answers = {savvi: _ask(savvi, _ASKED[savvi], SHARES, CONCENTRATION), gbstats: _ask(gbstats, _ASKED[gbstats], MEANS)}
    FILE.write_text(json.dumps({name.partition("==")[0]: answer for name, answer in answers.items()}, indent=2) + "\n")
    sys.stdout.write(f"{FILE.name}: {', '.join(answers)}\n")
