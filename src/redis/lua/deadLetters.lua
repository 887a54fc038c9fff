#!lua flags=no-writes
-- A page of dead letters, the last changed first; of one moment by id, downwards.
-- KEYS: 1 actions, 2 actions:dead
-- ARGV: 1 letters at most, 2 destination ('' for any), then to start before a letter: 3 when it was changed, 4 its id (it need not be there any more)
-- Answers the letters, JSON.
local limit = tonumber(ARGV[1])
local first = 0
if #ARGV > 2 then
  -- All of later moments, then those of its own down to it.
  first = redis.call('ZCOUNT', KEYS[2], '(' .. ARGV[3], '+inf')
  for _, id in ipairs(redis.call('ZREVRANGEBYSCORE', KEYS[2], ARGV[3], ARGV[3])) do
    if id < ARGV[4] then break end
    first = first + 1
  end
end
local found = {}
while #found < limit do
  local ids = redis.call('ZREVRANGE', KEYS[2], first, first + 99)
  if #ids == 0 then break end
  for _, text in ipairs(redis.call('HMGET', KEYS[1], unpack(ids))) do
    local destination, json = string.match(text, '^%a+ %d+ ([^{]*) ({.*)$')
    if #found < limit and (ARGV[2] == '' or destination == ARGV[2]) then found[#found + 1] = json end
  end
  first = first + #ids
end
return found
