"""What the templates of a language can't say by themselves: roles, moments and spans of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from server.domain.organization import Role


@dataclass(frozen=True, slots=True)
class Language:
    """How one language writes them. `tag` names it (BCP 47), and its directory of templates.

    `spans` are "in 1 day" and "in 7 days" for each unit.
    """

    tag: str
    roles: Mapping[Role, str]
    months: tuple[str, ...]
    moment: str
    spans: Mapping[str, tuple[str, str]]

    def moment_in_words(self, moment: datetime) -> str:
        """Write a moment with date and time, in UTC."""
        utc = moment.astimezone(UTC)
        month = self.months[utc.month - 1]
        return self.moment.format(year=utc.year, month=month, day=utc.day, hour=utc.hour, minute=utc.minute)

    def span_in_words(self, span: timedelta) -> str:
        """Write how far away something is: "in 45 minutes", "in 36 hours", "in 7 days"."""
        seconds = span.total_seconds()
        minutes, hours, days = round(seconds / 60), round(seconds / 3600), round(seconds / 86400)
        if hours >= 48:
            unit, count = "day", days
        elif minutes >= 60:
            unit, count = "hour", hours
        else:
            unit, count = "minute", max(minutes, 1)
        one, many = self.spans[unit]
        return (one if count == 1 else many).format(count=count)


def _words(line: str) -> tuple[str, ...]:
    return tuple(line.split())


ENGLISH = Language(
    "en",
    {Role.ADMIN: "administrator", Role.MEMBER: "member"},
    _words("January February March April May June July August September October November December"),
    "{month} {day}, {year} at {hour:02}:{minute:02} UTC",
    {
        "day": ("in {count} day", "in {count} days"),
        "hour": ("in {count} hour", "in {count} hours"),
        "minute": ("in {count} minute", "in {count} minutes"),
    },
)
GERMAN = Language(
    "de",
    {Role.ADMIN: "Administration", Role.MEMBER: "Mitglied"},
    _words("Januar Februar März April Mai Juni Juli August September Oktober November Dezember"),
    "{day}. {month} {year} um {hour:02}:{minute:02} Uhr (UTC)",
    {
        "day": ("in {count} Tag", "in {count} Tagen"),
        "hour": ("in {count} Stunde", "in {count} Stunden"),
        "minute": ("in {count} Minute", "in {count} Minuten"),
    },
)
SPANISH = Language(
    "es",
    {Role.ADMIN: "administración", Role.MEMBER: "miembro"},
    _words("enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"),
    "{day} de {month} de {year}, {hour:02}:{minute:02} (UTC)",
    {
        "day": ("dentro de {count} día", "dentro de {count} días"),
        "hour": ("dentro de {count} hora", "dentro de {count} horas"),
        "minute": ("dentro de {count} minuto", "dentro de {count} minutos"),
    },
)
CHINESE = Language(
    "zh",
    {Role.ADMIN: "管理员", Role.MEMBER: "成员"},
    tuple(str(month) for month in range(1, 13)),
    "{year}年{month}月{day}日 {hour:02}:{minute:02}（UTC）",
    {
        "day": ("{count} 天后", "{count} 天后"),
        "hour": ("{count} 小时后", "{count} 小时后"),
        "minute": ("{count} 分钟后", "{count} 分钟后"),
    },
)

LANGUAGES = (ENGLISH, GERMAN, SPANISH, CHINESE)


def best_language(locale: str) -> Language:
    """Give the language of a BCP 47 tag like `de-AT`; English where we don't speak it."""
    wanted = locale.replace("_", "-").split("-")[0].strip().lower()
    return next((language for language in LANGUAGES if language.tag == wanted), ENGLISH)
