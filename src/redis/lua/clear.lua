#!lua flags=allow-oom
-- Removes keys of a shard that is being rebuilt, for the owner only. It frees memory, so it may run when memory is full.
-- KEYS: 1 meta, then the keys to remove
-- ARGV: 1 owner
-- Answers 1, or 0: not the owner any more, or the shard is not being rebuilt.
local text = redis.call('GET', KEYS[1])
local meta = text and cjson.decode(text) or {}
if meta.owner ~= ARGV[1] or meta.rebuilding ~= true then return 0 end
for i = 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
return 1
