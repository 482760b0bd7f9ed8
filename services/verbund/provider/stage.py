"""Where the built-in provider may run: its people are invented, so never where real work is done."""

from collections.abc import Mapping

from verbund.failure import ExitCode, Failure

SETTING = "VERBUND_EMBEDDED_STAGE"
TRIAL, PRODUCTION = "trial", "production"
STAGES = (TRIAL, PRODUCTION)


def check(environment: Mapping[str, str], what: str = "The built-in OpenID provider") -> None:
    """Raises Failure where the settings say anything but a trial; `what` has the invented people."""
    stage = environment.get(SETTING, TRIAL)
    if stage != TRIAL:
        raise Failure(
            f"{what} does not start where {SETTING} is {stage}: its people are invented.",
            who="The operator of this mesh",
            remedy="start with --idp none and register your organisation's own provider, "
            f"or set {SETTING}={TRIAL} where nobody does real work.",
            code=ExitCode.USAGE,
        )
