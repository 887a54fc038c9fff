#!lua flags=no-writes
-- A page of timers by (score, bytes of the member), after a given one.
-- KEYS: 1 timers or historic
-- ARGV: 1 the largest score, 2 members at most, then to start after a member: 3 its score, 4 the member (it need not be there any more)
-- Answers member, score, member, score …
local function isAfter(a, b)
  -- Not `a > b`: Lua compares texts by the server's locale.
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x > y end
  end
  return #a > #b
end

local first = 0
if #ARGV > 2 then
  first = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[3])
  local beyond = redis.call('ZCOUNT', KEYS[1], '-inf', ARGV[3])
  while first < beyond do
    local middle = math.floor((first + beyond) / 2)
    if isAfter(redis.call('ZRANGE', KEYS[1], middle, middle)[1], ARGV[4]) then beyond = middle else first = middle + 1 end
  end
end
local last = math.min(first + tonumber(ARGV[2]), redis.call('ZCOUNT', KEYS[1], '-inf', ARGV[1])) - 1
if last < first then return {} end
return redis.call('ZRANGE', KEYS[1], first, last, 'WITHSCORES')
