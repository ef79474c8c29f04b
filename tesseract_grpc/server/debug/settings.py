"""How the debug mode of a hub is set, and how a request changes that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.values import decode_duration, encode_duration
from tesseract_grpc.server.config import ServerConfig
from tesseract_grpc.server.debug.record import Level
from tesseract_grpc.server.errors import invalid, limit_exceeded

pb = twin.diagnosis_service

MOST_RECORDS = 1_000_000
DEFAULT_RECORDS = 10_000
DEFAULT_SLOW = 0.1

PATHS = tuple(field.name for field in pb.DebugSettings.DESCRIPTOR.fields)
"""What a mask may name."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one hub; `slow_query` in seconds."""

    enabled: bool = False
    level: Level = Level.INFO
    capacity: int = DEFAULT_RECORDS
    include_values: bool = False
    slow_query: float = DEFAULT_SLOW

    def encode(self) -> pb.DebugSettings:
        """The settings as a message."""
        message = pb.DebugSettings(enabled=self.enabled, capacity=self.capacity, include_values=self.include_values)
        message.level = pb.DebugLevel.ValueType(int(self.level))
        encode_duration(self.slow_query, message.slow_query)
        return message

    def changed(self, message: pb.DebugSettings, paths: Sequence[str]) -> Settings:
        """These settings with what a mask names of a message. Raises Refusal."""
        if not paths:
            raise invalid(f"update_mask is empty; name what to change: {', '.join(PATHS)}", "update_mask")
        found: dict[str, Any] = {}
        for path in paths:
            match path:
                case "enabled" | "include_values":
                    found[path] = getattr(message, path)
                case "level":
                    found[path] = decode_level(message.level, "settings.level", Level.INFO)
                case "capacity":
                    found[path] = _capacity(message.capacity)
                case "slow_query":
                    given = message.HasField("slow_query")
                    found[path] = decode_duration(message.slow_query, "settings.slow_query") if given else DEFAULT_SLOW
                case _:
                    raise invalid(f"'{path[:140]}' cannot be changed; {', '.join(PATHS)} can", "update_mask")
        return replace(self, **found)


def settings_of(config: ServerConfig) -> Settings:
    """The settings with which a hub starts."""
    return Settings(enabled=config.debug, level=Level[config.debug_level.upper()])


def decode_level(number: int, field: str, default: Level) -> Level:
    """A level by its number; 0 is the default. Raises Refusal."""
    if number == pb.DEBUG_LEVEL_UNSPECIFIED:
        return default
    if number not in set(Level):
        raise invalid(f"there is no level {number}", field)
    return Level(number)


def _capacity(asked: int) -> int:
    if asked < 0:
        raise invalid(f"capacity is {asked}; it must be 0 (the default) or more", "settings.capacity")
    if asked > MOST_RECORDS:
        message = f"capacity is {asked}"
        raise limit_exceeded("debug_capacity", MOST_RECORDS, message, field="settings.capacity")
    return asked or DEFAULT_RECORDS
