"""Work that is shared: ten numbers to be squared. `python squares.py FOLDER` helps with what is shared there."""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from levelpool.sheets.work_sharing import WorkSharing, help_from_end


@dataclass(frozen=True)
class Squares:
    """Each piece that is begun leaves a mark; a second process does *most* pieces and is recalled then, or is killed in the next."""

    sharing: WorkSharing
    marks: Path
    most: int = 10
    dies: bool = False
    first: int = field(default_factory=os.getpid)

    def __len__(self) -> int:
        return 10

    def begin(self) -> Callable[[int], tuple[int, int]]:
        """What squares a number."""
        begun = 0
        is_second = os.getpid() != self.first

        def square(number: int) -> tuple[int, int]:
            nonlocal begun
            begun += 1
            with (self.marks / str(number)).open("a") as mark:
                mark.write("second " if is_second else "first ")
            if is_second and self.dies and begun > self.most:
                os.kill(os.getpid(), signal.SIGKILL)
            if is_second and not self.dies and begun == self.most:
                self.sharing.recall()
            return number, number * number

        return square

    def who_did(self) -> list[str]:
        """Who began each piece, from the first on."""
        return [(self.marks / str(number)).read_text().strip() for number in range(10)]


if __name__ == "__main__":
    print(help_from_end(WorkSharing(Path(sys.argv[1]))))
