"""Who asks over HTTP, and whether it is not too often: found out before anything of the request's body is read."""

from dataclasses import dataclass

from accounts.identity import Identities
from accounts.limits import LimitsOf, Rate, RateLimiter, Throttle
from accounts.policy import Plan
from protocol.errors import Code, VoiceError

# Reading is asked for every few seconds while a job runs (A20), so it has a count of its own.
READS = 12  # for each request a minute that may cost something


@dataclass(frozen=True, slots=True)
class Caller:
    """A user, and what he may do at once and in a while."""

    user_id: int
    plan: Plan
    app_id: str | None = None  # of the App whose token was shown
    rate: Rate | None = None  # where the user stands in his minute
    origin: str | None = None  # of somebody without a key: what is counted together with him (``batch.visitors``)
    single_use: bool = False  # by a token that is spent now

    @property
    def by_key(self) -> bool:
        """Whether he showed a key of the account itself, which is there until somebody takes it away."""
        return self.origin is None and self.app_id is None and not self.single_use


class Callers:
    """Knows everybody who may come in."""

    def __init__(self, identities: Identities, limits: LimitsOf, rates: RateLimiter) -> None:
        self._identities = identities
        self._limits = limits
        self._rates = rates
        self._guesses = Throttle(rates)

    async def identify(self, authorization: str | None, address: str, *, reading: bool = False) -> Caller:
        """The caller behind an Authorization header. Raises UNAUTHORIZED, RATE_LIMITED; FORBIDDEN without API access.

        ``reading``: what is asked for costs nothing. Wrong keys count against the address they come from.
        """
        scheme, _, secret = (authorization or "").strip().partition(" ")
        secret = secret.strip()
        if scheme.lower() != "bearer" or not secret:
            raise VoiceError(Code.UNAUTHORIZED, "An API key is required: send it as 'Authorization: Bearer <key>'.")
        identity = await self._identities.verify(secret)
        if identity is None:
            rate = await self._guesses.attempt("key", address)
            raise VoiceError(Code.UNAUTHORIZED, "The API key is not valid.", rate=rate)
        plan = await self._limits.of(identity.user_id)
        if reading:
            most = plan.requests_per_minute * READS
            complaint = "Too many requests: {limit} a minute may read."
            rate = await self._rates.count(f"reads:{identity.user_id}", most, complaint)
        else:
            rate = await self._rates.hit(identity.user_id, plan.requests_per_minute)
        if not plan.api:
            raise VoiceError(Code.FORBIDDEN, "API access is not part of your plan.", rate=rate)
        return Caller(identity.user_id, plan, identity.app_id, rate=rate, single_use=identity.token)
