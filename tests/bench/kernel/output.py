"""What a program writes into a file, read as it comes. A file is never full, as a pipe would be in a storm."""
import ctypes
import os
import select
import time

IN_MODIFY = 2
libc = ctypes.CDLL(None, use_errno=True)


class Output:
    def __init__(self, path):
        self.path = path
        self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self.changes = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self.watch, self.at, self.unread = None, 0, b""

    def close(self):
        os.close(self.file)
        os.close(self.changes)

    def forget(self):
        """Throws away what was written; nothing may be written meanwhile."""
        os.truncate(self.path, 0)
        self.at, self.unread = 0, b""

    def read(self):
        """What was written since the last time."""
        parts = []
        while part := os.pread(self.file, 1 << 20, self.at):
            parts.append(part)
            self.at += len(part)
        return b"".join(parts)

    def lines(self):
        """Whole lines since the last time."""
        whole, _, self.unread = (self.unread + self.read()).rpartition(b"\n")
        return whole.decode(errors="replace").splitlines()

    def listen(self, on):
        """Whether its changes are told of, which costs the writer a little."""
        if on and self.watch is None:
            self.watch = libc.inotify_add_watch(self.changes, self.path.encode(), IN_MODIFY)
        elif not on and self.watch is not None:
            libc.inotify_rm_watch(self.changes, self.watch)
            self.watch = None

    def wait(self, pattern, seconds):
        """When a text like this was there: now, or its own group `at`; None if it does not come."""
        end, text = time.monotonic() + seconds, b""
        while True:
            text += self.read()
            now = time.monotonic_ns()
            if found := pattern.search(text):
                return int(found["at"]) if "at" in pattern.groupindex else now
            left = end - time.monotonic()
            if left <= 0:
                return None
            select.select([self.changes], [], [], left)
            try:
                os.read(self.changes, 4096)
            except BlockingIOError:
                pass
