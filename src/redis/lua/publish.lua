#!lua
-- Replaces what is published, by compare-and-set.
-- KEYS: 1 published
-- ARGV: 1 what must stand ('' for nothing), 2 what is to stand
-- Answers 1, also to its own repeat, or 0: something else stands.
local stands = redis.call('GET', KEYS[1]) or ''
if stands == ARGV[2] then return 1 end
if stands ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
