"""What Redis does for the log in one step, in Lua. Each script runs alone, and wholly or not at all.

A script begins by comparing the epoch: a node that follows another line of entries changes nothing. Answers begin with
a word: OK, or what stands in the way: GONE (there is no line), EPOCH (it is another), TIP (an entry is not the one that
the caller has), TAKEN.

Every entry names the one before it (`a`, of the entry before), by the name that its proposer gave it (`o`). Positions
alone would not do: after a fail-over that lost the last entries, others come to stand at their positions.
"""

from __future__ import annotations

import hashlib
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError

_LINE = """
local line = redis.call('HMGET', KEYS[1], 'epoch', 'last', 'tip')
if not line[1] then return {'GONE'} end
if line[1] ~= ARGV[1] then return {'EPOCH', line[1]} end
"""


class Script:
    """One script, which is sent once and named afterwards."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, redis: Redis, keys: list[str], *arguments: Any) -> list[Any]:
        """Runs it. Raises RedisError."""
        try:
            found: Any = redis.evalsha(self._sha, len(keys), *keys, *arguments)
        except NoScriptError:
            found = redis.eval(self.text, len(keys), *keys, *arguments)
        return list(found)


BEGIN = Script("""
-- Makes the line where there is none. KEYS: line. ARGV: format, epoch, secret.
if redis.call('HSETNX', KEYS[1], 'epoch', ARGV[2]) == 1 then
    redis.call('HSET', KEYS[1], 'format', ARGV[1], 'secret', ARGV[3], 'last', '0', 'since', '0', 'tip', '')
end
return redis.call('HMGET', KEYS[1], 'format', 'epoch', 'secret', 'last', 'since', 'tip')
""")

APPEND = Script(
    _LINE
    + """
-- Appends a batch. KEYS: line, log, sent:<node>. ARGV: epoch, node, number of the batch, then kind, payload, ...
local sent = redis.call('GET', KEYS[3])
if sent then
    local number, position = string.match(sent, '^(%d+) (%d+)$')
    if tonumber(number) >= tonumber(ARGV[3]) then return {'OK', position} end
end
local last, tip = tonumber(line[2]), line[3]
for i = 4, #ARGV, 2 do
    last = last + 1
    local name = ARGV[2] .. ':' .. ARGV[3] .. ':' .. string.format('%.0f', (i - 4) / 2)
    local id = string.format('%.0f', last) .. '-0'
    redis.call('XADD', KEYS[2], id, 'k', ARGV[i], 'p', ARGV[i + 1], 'o', name, 'a', tip)
    tip = name
end
local position = string.format('%.0f', last)
redis.call('HSET', KEYS[1], 'last', position, 'tip', tip)
redis.call('SET', KEYS[3], ARGV[3] .. ' ' .. position, 'EX', 86400)
return {'OK', position}
"""
)

_HOLDS = """
-- Whether the line still holds the entry (position, name): as its last, by the entry, or by the one after it. Nil where
-- neither is there any more.
local function holds(log_key, last, tip, position, name)
    if position == last then return tip == name end
    if tonumber(position) > tonumber(last) then return false end
    local at = redis.call('XRANGE', log_key, position .. '-0', position .. '-0')
    if at[1] then
        local fields = at[1][2]
        for i = 1, #fields, 2 do if fields[i] == 'o' then return fields[i + 1] == name end end
        return false
    end
    local after = string.format('%.0f', tonumber(position) + 1)
    local next = redis.call('XRANGE', log_key, after .. '-0', after .. '-0')
    if next[1] then
        local fields = next[1][2]
        for i = 1, #fields, 2 do if fields[i] == 'a' then return fields[i + 1] == name end end
    end
    return nil
end
"""

HOLDS = Script(
    _LINE
    + _HOLDS
    + """
-- Whether an entry is (still) part of the line. KEYS: line, log. ARGV: epoch, position, name.
local found = holds(KEYS[2], line[2], line[3], ARGV[2], ARGV[3])
if found == nil then return {'TRIMMED', line[2]} end
return {found and 'OK' or 'TIP', line[2]}
"""
)

KEEP = Script(
    _LINE
    + _HOLDS
    + """
-- Keeps a snapshot. KEYS: line, log, snapshots, snapshot:<name>. ARGV: epoch, position, name of the entry, info.
if not holds(KEYS[2], line[2], line[3], ARGV[2], ARGV[3]) then return {'TIP', line[2]} end
redis.call('PERSIST', KEYS[4])
redis.call('ZREMRANGEBYSCORE', KEYS[3], ARGV[2], ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[4])
return {'OK'}
"""
)

TRIM = Script(
    _LINE
    + """
-- Forgets entries up to a position, and older snapshots. KEYS: line, log, snapshots, then the snapshots that go.
-- ARGV: epoch, position of the entries, then what the index holds of the snapshots that go.
redis.call('XTRIM', KEYS[2], 'MINID', string.format('%.0f', tonumber(ARGV[2]) + 1) .. '-0')
redis.call('HSET', KEYS[1], 'since', ARGV[2])
for i = 3, #ARGV do redis.call('ZREM', KEYS[3], ARGV[i]) end
for i = 4, #KEYS do redis.call('UNLINK', KEYS[i]) end
return {'OK'}
"""
)

RENEW = Script(
    _LINE
    + """
-- Begins a new epoch over the entries that are there. KEYS: line. ARGV: epoch, the new one.
redis.call('HSET', KEYS[1], 'epoch', ARGV[2])
return {'OK', line[2]}
"""
)

TAKE = Script("""
-- Takes or prolongs a lease. KEYS: lease. ARGV: node, milliseconds.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return {'TAKEN', holder} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {'OK'}
""")

RELEASE = Script("""
-- Gives a lease back. KEYS: lease. ARGV: node.
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return {'OK'}
""")
