"""Signed wishes, and words to leave something undone, as an auditor reads them."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from activities.ports import Signers
from domain.audit import Finding
from domain.effect_audit import skip_findings, wish_findings
from domain.journal import Receipt
from domain.saying import Saying
from domain.statement import Statement, request_statement, word_statement
from domain.terms import Request

UNSIGNED = "it was not signed"


class OnceSigners:
    """Looks at each signature once: a receipt and the records of its promotion keep the same ones."""

    def __init__(self, signers: Signers) -> None:
        self._signers = signers
        self._found: dict[tuple[Statement, str, datetime, datetime | None], asyncio.Task[str]] = {}

    async def why_not(
        self, statement: Statement, signature: str, now: datetime, given: datetime | None = None
    ) -> str:
        """Say what was found of it, by whoever asked first."""
        asked = (statement, signature, now, given)
        if asked not in self._found:
            self._found[asked] = asyncio.create_task(self._signers.why_not(*asked))
        return await self._found[asked]


class WordAuditor:
    """Has OpenSSH look at each signature that a receipt keeps. A key has to have been good when it signed."""

    def __init__(self, signers: Signers) -> None:
        self._signers = signers

    async def why_not_asked(self, request: Request | None) -> str:
        """Say why a request is not proven to be its requester's, or nothing where it is."""
        signature = request.signature if request else None
        if request is None or signature is None:
            return UNSIGNED
        return await self._signers.why_not(request_statement(request, signature), signature.ssh, signature.at)

    async def findings(self, receipt: Receipt, unproven: str) -> Sequence[Finding]:
        """Return what does not hold of them; ``unproven`` says why the receipt's request is not proven."""
        forged = {place: await self._why_not_said(word) for place, word in enumerate(receipt.words)}
        return [*wish_findings(receipt, unproven), *skip_findings(receipt, forged)]

    async def _why_not_said(self, word: Saying) -> str:
        if word.signed is None:
            return UNSIGNED
        return await self._signers.why_not(word_statement(word, word.signed), word.signed.ssh, word.signed.at)
