#!lua
-- Puts, or sets, actions of a shard, for the owner only; of those that need nobody any more the oldest leave.
-- KEYS: 1 meta, 2 actions, 3 actions:pending, 4 actions:dead, 5 actions:done
-- ARGV: 1 owner, 2 'accept' or 'write', 3 dead letters kept, 4 ids of done ones kept,
--       then each: id, state, redriven, destination, when it came to the state, 1 if somebody has still to do something, JSON or ''
-- Answers the ids that were put, or 0: not the owner any more.
local text = redis.call('GET', KEYS[1])
if not text or cjson.decode(text).owner ~= ARGV[1] then return 0 end

local sets = { dead = KEYS[4], done = KEYS[5] }
local put = {}
for arg = 5, #ARGV, 7 do
  local id, state, redriven, destination = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3]
  local known = redis.call('HGET', KEYS[2], id)
  local before, drives
  if known then before, drives = string.match(known, '^(%a+) (%d+)') end
  if ARGV[2] == 'write' or not known or (before == 'dead' and tonumber(redriven) > tonumber(drives)) then
    -- Destination and JSON are told apart by the first brace: a name has none.
    redis.call('HSET', KEYS[2], id, state .. ' ' .. redriven .. ' ' .. destination .. ' ' .. ARGV[arg + 6])
    if before and before ~= state and sets[before] then redis.call('ZREM', sets[before], id) end
    if sets[state] then redis.call('ZADD', sets[state], ARGV[arg + 4], id) end
    redis.call(ARGV[arg + 5] == '1' and 'SADD' or 'SREM', KEYS[3], id)
    put[#put + 1] = id
  end
end

for i, kept in ipairs({ ARGV[3], ARGV[4] }) do
  local set = KEYS[3 + i]
  local over = redis.call('ZCARD', set) - tonumber(kept)
  if over > 0 then
    for _, id in ipairs(redis.call('ZRANGE', set, 0, over - 1)) do
      redis.call('ZREM', set, id)
      redis.call('HDEL', KEYS[2], id)
      redis.call('SREM', KEYS[3], id)
    end
  end
end
return put
