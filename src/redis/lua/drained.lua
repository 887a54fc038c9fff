#!lua flags=allow-oom
-- Removes delivered entries from the outbox, for the owner only. It frees memory, so it may run when memory is full.
-- KEYS: 1 meta, 2 outbox
-- ARGV: 1 owner, then stream ids
-- Answers 1, or 0: not the owner any more.
local text = redis.call('GET', KEYS[1])
if not text or cjson.decode(text).owner ~= ARGV[1] then return 0 end
for i = 2, #ARGV do redis.call('XDEL', KEYS[2], ARGV[i]) end
return 1
