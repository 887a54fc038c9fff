#!lua flags=no-writes
-- A page of failed events, newest first.
-- KEYS: 1 failed, 2 failed:order
-- ARGV: 1 events at most, 2 the position to start after ('' for the newest); one that is not there any more has nothing after it
-- Answers the events, JSON.
local first = 0
if ARGV[2] ~= '' then
  local rank = redis.call('ZREVRANK', KEYS[2], ARGV[2])
  if not rank then return {} end
  first = rank + 1
end
local positions = redis.call('ZREVRANGE', KEYS[2], first, first + tonumber(ARGV[1]) - 1)
for i, position in ipairs(positions) do positions[i] = redis.call('HGET', KEYS[1], position) end
return positions
