#!lua flags=allow-oom
-- Notes what the snapshot has of a shard, for the owner only, and leaves visitors packed. It frees memory, so it may run when
-- memory is full.
-- KEYS: 1 meta, 2 changed, 3 marker, then profile and slots of each visitor written
-- ARGV: 1 owner, 2 the new marker, or '' to leave it, 3 visitors written, then each with the number of the change that was written and
--       profile and slots, packed, or '' and '' where they stay as they are;
--       then a number and the visitors that must be written again
-- Answers 1, or 0: not the owner any more.
local text = redis.call('GET', KEYS[1])
if not text or cjson.decode(text).owner ~= ARGV[1] then return 0 end
local written = tonumber(ARGV[3])
for i = 0, written - 1 do
  local arg, key = 4 + i * 4, 4 + i * 2
  -- Changed again since: it stays.
  local stands = redis.call('ZSCORE', KEYS[2], ARGV[arg])
  if stands and tonumber(stands) == tonumber(ARGV[arg + 1]) then
    redis.call('ZREM', KEYS[2], ARGV[arg])
    if ARGV[arg + 2] ~= '' then
      -- Only where they are: a visitor that has expired since stays gone.
      redis.call('SET', KEYS[key], ARGV[arg + 2], 'XX', 'KEEPTTL')
      redis.call('SET', KEYS[key + 1], ARGV[arg + 3], 'XX', 'KEEPTTL')
    end
  end
end
local again = 4 + written * 4
for i = again + 1, #ARGV do redis.call('ZADD', KEYS[2], ARGV[again], ARGV[i]) end
if ARGV[2] ~= '' then redis.call('SET', KEYS[3], ARGV[2]) end
return 1
