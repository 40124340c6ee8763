"""The web application LangGraph's development server puts its routes into: the guard in front of them,
and the list of threads behind them."""

import os
import sys

from starlette.applications import Starlette
from starlette.middleware import Middleware

from rolecall.web.http_guard import App, HttpGuard, new_token
from rolecall.web.studio_graph import ORIGINS_VARIABLE, STUDIO_ORIGIN, TOKEN_VARIABLE
from rolecall.web.studio_threads import keep_thread_list


class StudioGuard(HttpGuard):
    """The guard with the token and the origins the environment names when the server starts."""

    def __init__(self, app: App) -> None:
        token = os.environ.get(TOKEN_VARIABLE, "")
        if not token:
            token = new_token()
            print(f"the address for clients ends in /t/{token}", file=sys.stderr)
        super().__init__(app, token=token, origins=(STUDIO_ORIGIN, *os.environ.get(ORIGINS_VARIABLE, "").split()))


app = Starlette(middleware=[Middleware(StudioGuard)], lifespan=keep_thread_list)
"""What `http.app` of langgraph.json names."""
