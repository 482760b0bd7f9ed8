"""Work of HTTP routes that would keep the event loop: done in threads, as part of the request's trace."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any

from starlette.responses import Response


async def run_in(threads: Executor, work: Callable[..., Response], *arguments: Any) -> Response:
    """What `work` answers in one of the threads, as part of the request's trace."""
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(threads, partial(context.run, work, *arguments))
