#!lua
-- Takes a shard by compare-and-set on the commit id (semantics 4.2).
-- KEYS: 1 meta
-- ARGV: 1 the commit id that must stand ('' for none), 2 the new commit id, 3 the new meta, JSON
-- Answers DONE, also to its own repeat, or CHANGED: another commit or owner came between.
local text = redis.call('GET', KEYS[1])
local stands = text and cjson.decode(text).commit or ''
if stands == ARGV[2] then return 'DONE' end
if stands ~= ARGV[1] then return 'CHANGED' end
redis.call('SET', KEYS[1], ARGV[3])
return 'DONE'
