#!lua
-- One commit of a shard (semantics 4.1, 4.3). A script does not roll back: all that can fail is tried before the first write, and
-- the header makes Redis refuse the script before it starts when memory is full.
-- KEYS: 1 meta, 2 timers, 3 historic, 4 outbox, 5 failed, 6 failed:order, 7 changed,
--       then profile and slots of each visitor that is kept, then of each that is removed
-- ARGV: 1 new commit id, 2 previous commit id, 3 owner, 4 meta (JSON), 5 life of visitor keys (s), 6 failed events kept,
--       7 channel, 8 message, 9 1: the slots of the visitors kept follow the message, 10 visitors kept, 11 visitors removed, 12 outbox entries, 13 failed events retried, 14 failed events,
--       15 number under which the visitors are noted as changed, or '',
--       then kept: visitor, profile, slots, wakeAt or '', historicDue or ''; removed: visitor;
--       outbox: stream id, topic, key, value; retried: position; failed: position, JSON
-- Answers DONE, ALREADY or FENCED.
local expected = { 'string', 'zset', 'zset', 'stream', 'hash', 'zset', 'zset' }
for i = 1, #KEYS do
  local found = redis.call('TYPE', KEYS[i]).ok
  local kind = expected[i] or 'string'
  if found ~= 'none' and found ~= kind then
    return redis.error_reply('USHERTYPE ' .. KEYS[i] .. ' holds a ' .. found .. ', expected a ' .. kind)
  end
end

local text = redis.call('GET', KEYS[1])
local stands = text and cjson.decode(text) or {}
if stands.commit == ARGV[1] then return 'ALREADY' end
if stands.owner ~= ARGV[3] or stands.commit ~= ARGV[2] then return 'FENCED' end

local kept, removed = tonumber(ARGV[10]), tonumber(ARGV[11])
local outbox, retried, failed = tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])
local outboxFrom = 15 + kept * 5 + removed
local retriedFrom = outboxFrom + outbox * 4
local failedFrom = retriedFrom + retried

-- A stream takes no id at or below its last one; the ids of one commit ascend.
if outbox > 0 and redis.call('EXISTS', KEYS[4]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[4])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      local lastOffset, lastN = string.match(info[i + 1], '(%d+)-(%d+)')
      local offset, n = string.match(ARGV[outboxFrom + 1], '(%d+)-(%d+)')
      lastOffset, lastN, offset, n = tonumber(lastOffset), tonumber(lastN), tonumber(offset), tonumber(n)
      if offset < lastOffset or (offset == lastOffset and n <= lastN) then
        return redis.error_reply('USHEROUTBOX ' .. KEYS[4] .. ' ends at ' .. info[i + 1] .. ', the commit begins at ' .. ARGV[outboxFrom + 1])
      end
    end
  end
end

local wake, asleep, due, undue, changed = {}, {}, {}, {}, {}
local function note(visitor)
  if ARGV[15] == '' then return end
  changed[#changed + 1] = ARGV[15]
  changed[#changed + 1] = visitor
end
local function place(set, unset, score, visitor)
  if score == '' then
    unset[#unset + 1] = visitor
  else
    set[#set + 1] = score
    set[#set + 1] = visitor
  end
end
for i = 0, kept - 1 do
  local key, arg = 8 + i * 2, 16 + i * 5
  redis.call('SET', KEYS[key], ARGV[arg + 1], 'EX', ARGV[5])
  redis.call('SET', KEYS[key + 1], ARGV[arg + 2], 'EX', ARGV[5])
  place(wake, asleep, ARGV[arg + 3], ARGV[arg])
  place(due, undue, ARGV[arg + 4], ARGV[arg])
  note(ARGV[arg])
end
for i = 0, removed - 1 do
  local key, arg = 8 + (kept + i) * 2, 16 + kept * 5 + i
  redis.call('DEL', KEYS[key], KEYS[key + 1])
  asleep[#asleep + 1] = ARGV[arg]
  undue[#undue + 1] = ARGV[arg]
  note(ARGV[arg])
end
-- At most 256 visitors a commit, so what is unpacked stays far below Lua's limit.
if #wake > 0 then redis.call('ZADD', KEYS[2], unpack(wake)) end
if #asleep > 0 then redis.call('ZREM', KEYS[2], unpack(asleep)) end
if #due > 0 then redis.call('ZADD', KEYS[3], unpack(due)) end
if #undue > 0 then redis.call('ZREM', KEYS[3], unpack(undue)) end
if #changed > 0 then redis.call('ZADD', KEYS[7], unpack(changed)) end

for i = 0, outbox - 1 do
  local arg = outboxFrom + 1 + i * 4
  redis.call('XADD', KEYS[4], ARGV[arg], 'topic', ARGV[arg + 1], 'key', ARGV[arg + 2], 'value', ARGV[arg + 3])
end

for i = 1, retried do
  redis.call('HDEL', KEYS[5], ARGV[retriedFrom + i])
  redis.call('ZREM', KEYS[6], ARGV[retriedFrom + i])
end
if failed > 0 then
  local n = tonumber(redis.call('ZREVRANGE', KEYS[6], 0, 0, 'WITHSCORES')[2] or 0)
  for i = 0, failed - 1 do
    local arg = failedFrom + 1 + i * 2
    n = n + 1
    redis.call('HSET', KEYS[5], ARGV[arg], ARGV[arg + 1])
    redis.call('ZADD', KEYS[6], 'NX', n, ARGV[arg])
  end
  local over = redis.call('ZCARD', KEYS[6]) - tonumber(ARGV[6])
  if over > 0 then
    for _, position in ipairs(redis.call('ZRANGE', KEYS[6], 0, over - 1)) do
      redis.call('HDEL', KEYS[5], position)
      redis.call('ZREM', KEYS[6], position)
    end
  end
end

redis.call('SET', KEYS[1], ARGV[4])
local message = { ARGV[8] }
if ARGV[9] == '1' then
  for i = 0, kept - 1 do message[i + 2] = ARGV[18 + i * 5] end
end
redis.call('PUBLISH', ARGV[7], table.concat(message))
return 'DONE'
