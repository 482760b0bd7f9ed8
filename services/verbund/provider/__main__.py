"""The provider by itself: `python -m verbund.provider`, with the settings VERBUND_PROVIDER_*."""

import os
import sys

from verbund.failure import ExitCode, Failure
from verbund.provider.main import run
from verbund.settings import SettingError

if __name__ == "__main__":
    try:
        sys.exit(run(os.environ))
    except Failure as failure:
        sys.stderr.write(f"verbund: {failure}\n")
        sys.exit(failure.code)
    except SettingError as error:
        sys.stderr.write(f"verbund: {error}\n")
        sys.exit(ExitCode.USAGE)
