"""Scripted model servers that speak the real protocols over HTTP on loopback.

In the process of a test, with a callable, one reply for ever, or replies in order:

    with ModelServer([call("read_file", path="a.py"), say("Done.")]) as server:
        ...  # server.url for Ollama clients, server.v1 for OpenAI clients
    assert server.errors == []

`faulty(Fault.CUT, times=1)` misbehaves in one of the ways of `Fault`, then answers well.
`CompetentScript(files={"a.py": "..."})` does a whole task; `Rules([...], CompetentScript(...))` puts
faults between its answers. As a process that can be killed and brought back:
`ModelServerProcess(script, folder)`, or `python -m tests.modelserver --script FILE.json`. The file
is a list of replies, a list of rules `{"when": {...}, "reply": {...}, "times": 1}`, or
`{"rules": [...], "competent": {"files": {...}}}`.
"""
