"""The same without an event loop, in the threads of Flask's own server."""

import os
import sys

from flask import Flask

from levelpool import get_executor_manager

app = Flask(__name__)


@app.get("/")
def answer():
    manager = get_executor_manager()
    return {
        "server": os.getpid(),
        "cpu": manager.cpu_executor.submit(os.getpid).result(30),
        "io": manager.io_executor.submit(os.getpid).result(30),
    }


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]), threaded=True)
