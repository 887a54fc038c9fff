#!lua
-- Writes imported products. One that is there with the same text keeps its revision.
-- KEYS: 1 products, 2 revisions
-- ARGV: id, text of each
-- Answers CREATED, CHANGED or UNCHANGED for each.
for i, kind in ipairs({ 'hash', 'zset' }) do
  local found = redis.call('TYPE', KEYS[i]).ok
  if found ~= 'none' and found ~= kind then
    return redis.error_reply('USHERTYPE ' .. KEYS[i] .. ' holds a ' .. found .. ', expected a ' .. kind)
  end
end
local revision = tonumber(redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2] or 0)
local changes = {}
for i = 1, #ARGV, 2 do
  local found = redis.call('HGET', KEYS[1], ARGV[i])
  if found == ARGV[i + 1] then
    changes[#changes + 1] = 'UNCHANGED'
  else
    revision = revision + 1
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    redis.call('ZADD', KEYS[2], revision, ARGV[i])
    changes[#changes + 1] = found and 'CHANGED' or 'CREATED'
  end
end
return changes
