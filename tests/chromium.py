"""A page in headless Chromium, by the DevTools protocol over a pipe: the standard library alone."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome-headless-shell", "chromium-headless-shell")
SECONDS = 60.0
# Chromium reads its commands from descriptor 3 and answers on 4
_START = """
import fcntl, os, sys
here = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
os.dup2(here[0], 3)
os.dup2(here[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find_chromium() -> str | None:
    """Return the path of a Chromium, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One page: what it ran into and what it asked the network for, and a way to run JavaScript in it."""

    def __init__(self, send: Any, receive: Any) -> None:
        self._send, self._receive = send, receive
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self._buffer = b""
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._loaded = False

    def open(self, page: Path | str, width: int = 1280, height: int = 900, *, dark: bool = False) -> None:
        if self._session is None:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Network", "Log"):
                self.call(f"{domain}.enable")
        self.resize(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self._loaded = False
        self.call("Page.navigate", url=page if isinstance(page, str) else page.as_uri())
        deadline = time.monotonic() + SECONDS
        while not self._loaded:
            assert time.monotonic() < deadline, "the page does not load"
            self._read()

    def resize(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def run(self, script: str) -> Any:
        """Return the value of an expression, awaited where it is a promise."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def write(self, text: str) -> None:
        """Type into what has the focus."""
        self.call("Input.insertText", text=text)

    def point(self, x: float, y: float, *, click: bool = False) -> None:
        """Move the mouse there, and press it."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased")[: 3 if click else 1]:
            pressed = kind != "mouseMoved"
            self.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=x,
                y=y,
                button="left" if pressed else "none",
                clickCount=int(pressed),
            )

    def wait(self, condition: str, seconds: float = SECONDS) -> Any:
        """Return the value of an expression as soon as it is true."""
        deadline = time.monotonic() + seconds
        script = f"(found => found instanceof Node ? true : found)({condition})"  # a node would come back as nothing
        while not (value := self.run(script)):
            assert time.monotonic() < deadline, f"never: {condition}; errors: {self.errors}"
            time.sleep(0.02)
        return value

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def picture(self, x: float, y: float, width: float, height: float) -> bytes:
        """Return a part of the page, in sight or not, as PNG."""
        clip = {"x": x, "y": y, "width": width, "height": height, "scale": 1}
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(answer["data"])

    def call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._send.write(json.dumps(message).encode() + b"\0")
        self._send.flush()
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def _read(self) -> Any:
        while b"\0" not in self._buffer:
            part = os.read(self._receive.fileno(), 1 << 16)
            assert part, "Chromium has ended"
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(line)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, method: str | None, parameters: Any) -> None:
        handlers: dict[str, Callable[[], None]] = {
            "Runtime.exceptionThrown": lambda: self.errors.append(str(parameters["exceptionDetails"])),
            "Runtime.consoleAPICalled": lambda: self.errors.append(str(parameters["args"])),
            "Log.entryAdded": lambda: self.errors.append(str(parameters["entry"]["text"])),
            "Network.requestWillBeSent": lambda: self.requests.append(parameters["request"]["url"]),
            "Page.loadEventFired": lambda: setattr(self, "_loaded", True),
        }
        if method in handlers:
            handlers[method]()


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """Yield a page of a fresh Chromium that keeps its files in ``profile``."""
    program = find_chromium()
    assert program is not None
    to_browser, from_here = os.pipe()
    from_browser, to_here = os.pipe()
    command = [
        *(sys.executable, "-S", "-c", _START, str(to_browser), str(to_here), program),
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--mute-audio"),
        *("--renderer-process-limit=1", "--remote-debugging-pipe", f"--user-data-dir={profile}"),
    ]
    process = subprocess.Popen(
        command, pass_fds=(to_browser, to_here), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(to_browser)
    os.close(to_here)
    with os.fdopen(from_here, "wb") as send, os.fdopen(from_browser, "rb") as receive:
        page = Page(send, receive)
        try:
            yield page
            page._session = None
            page.call("Browser.close")
        finally:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
