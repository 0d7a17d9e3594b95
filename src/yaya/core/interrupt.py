"""Ctrl-C and SIGTERM during training: the first finishes the step and saves, the second quits at once.

If the torchrun that started this process dies, training finishes the step, saves and quits, too.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

from yaya.core import distributed
from yaya.core.messages import say


class StopSignal:
    """`with StopSignal() as stop:` ... `if stop.asked:` save, then raise KeyboardInterrupt."""

    def __init__(self) -> None:
        self._asked = False
        self.before: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> StopSignal:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, self.handle)
        return self

    @property
    def asked(self) -> bool:
        if not self._asked and distributed.abandoned():
            self._asked = True
            say("\ntorchrun was killed: saving, then stopping ...", "\ntorchrun 已被终止：保存后停止……")
        return self._asked

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The signal handler: the first asks for a stop, a second raises KeyboardInterrupt."""
        if self._asked:
            if number == signal.SIGTERM and distributed.world_size() > 1:
                return  # torchrun forwards what the scheduler has already sent to everyone
            raise KeyboardInterrupt
        self._asked = True
        say(
            "\nStopping after this step; saving ... (again: stop at once)",
            "\n做完这一步就停止，正在保存……（再按一次立即停止）",
        )

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
