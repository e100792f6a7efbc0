"""The journal: where no real line is connected, writes into the log what would have gone out, and to whom.

Ids and codes only: an effect holds no personal data.
"""

from __future__ import annotations

import logging

from dispatcher.ports import Delivery

_log = logging.getLogger("liandong.journal")


class Journal:
    """Carries any effect into the log. A repeated key is a repeated line and harms nobody."""

    async def deliver(self, delivery: Delivery) -> None:
        """Writes one line; never fails."""
        effect = delivery.effect
        _log.info(
            "would go out",
            extra={
                "effect": str(type(effect).__struct_config__.tag),
                "receiver": effect.receiver(),
                "key": delivery.key,
                "stream": delivery.ref.id,
                "attempt": delivery.attempt,
            },
        )
