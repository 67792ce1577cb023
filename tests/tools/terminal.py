#!/usr/bin/env python3
"""Plays a dialogue with a program through a pseudo-terminal, as a person at a keyboard would.

usage: terminal.py DIALOGUE.json RESULT.json -- COMMAND...

The dialogue is a list of steps, played in order:
  {"send": "text"}                      keys; "\\r" is Enter, "\\t" Tab, "\\u0003" Ctrl-C, "\\u0004" Ctrl-D
  {"paste": "text"}                     a block, between the marks of a bracketed paste when the program asked for them
  {"expect": "regex", "within": s}      until what came since the last expect fits; 20 s by default
  {"sleep": s}
  {"columns": n}                        the window is made that wide
The result has for each step {"ok", "seconds", "text"}, and then the exit code and the whole output. A step that fails
ends the dialogue.
"""
import fcntl, json, os, pty, re, select, signal, struct, sys, termios, time


def set_size(fd, columns, lines=24):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


class Terminal:
    def __init__(self, command, columns=80, lines=24, env=None):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            set_size(0, columns, lines)                 # before the program can ask
            os.execvpe(command[0], command, env or os.environ)
        self.all, self.seen = b"", 0

    def read(self, seconds):
        if not select.select([self.fd], [], [], max(0, seconds))[0]:
            return
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        if not data:
            raise EOFError
        self.all += data

    def expect(self, pattern, within):
        begin = time.monotonic()
        while True:
            found = re.search(pattern.encode(), self.all[self.seen:], re.S)
            if found:
                text = self.all[self.seen:self.seen + found.end()]
                self.seen += found.end()
                return True, time.monotonic() - begin, text
            left = within - (time.monotonic() - begin)
            if left <= 0:
                return False, within, self.all[self.seen:]
            try:
                self.read(left)
            except EOFError:
                return False, time.monotonic() - begin, self.all[self.seen:]

    def write(self, text):
        data = text.encode()
        while data:                                     # a terminal's queue is short: what comes back is read
            data = data[os.write(self.fd, data[:256]):]
            try:
                self.read(0)
            except EOFError:
                return

    def play(self, step):
        if "expect" in step:
            ok, seconds, text = self.expect(step["expect"], step.get("within", 20))
            return {"ok": ok, "seconds": seconds, "text": text.decode(errors="replace")}
        if "send" in step:
            self.write(step["send"])
        if "paste" in step:
            text = step["paste"].replace("\n", "\r")
            marks = self.all.rfind(b"\x1b[?2004h") > self.all.rfind(b"\x1b[?2004l")
            self.write("\x1b[200~" + text + "\x1b[201~" if marks else text)
        if "columns" in step:
            set_size(self.fd, step["columns"])
        if "sleep" in step:
            time.sleep(step["sleep"])
        return {"ok": True, "seconds": 0, "text": ""}

    def close(self):
        end = time.monotonic() + 10
        try:
            while time.monotonic() < end:
                self.read(0.2)
                if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                    break
        except EOFError:
            pass
        if not os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            time.sleep(0.2)
            os.kill(self.pid, signal.SIGKILL)
        status = os.waitpid(self.pid, 0)[1]
        return os.waitstatus_to_exitcode(status)


def main():
    dialogue, result, command = sys.argv[1], sys.argv[2], sys.argv[4:]
    with open(dialogue) as f:
        steps = json.load(f)
    terminal, played = Terminal(command), []
    for step in steps:
        played.append(terminal.play(step))
        if not played[-1]["ok"]:
            break
    code = terminal.close()
    with open(result, "w") as f:
        json.dump({"steps": played, "code": code, "output": terminal.all.decode(errors="replace")}, f)


if __name__ == "__main__":
    main()
