-- Sessions that were used a moment ago (they go on if the room renews), and sessions that are over; unknown ones are
-- ignored.
-- ARGV: time and caller's state, how many were used, id... of these, id... of those over. Answers the snapshot.

local line, refusal = load()
if not line then
  return refusal
end
local used = tonumber(ARGV[2])

-- The number of a live session of this line, from its id.
local function live_number(id)
  local of, digits = string.match(id, '^([0-9a-f]+)%-([0-9a-f]+)$')
  local number = of and tonumber(of, 16) == line.epoch and tonumber(digits, 16)
  return number and ends_at(number) and number
end

local any = false
for index = 3, #ARGV do
  local number = live_number(ARGV[index])
  if number and index > used + 2 then
    redis.call('ZREM', LIVE, int(number))
    any = true
  elseif number and line.renewal == 1 then
    last_until(number, line.line_ms + line.session_ms)
    any = true
  end
end
if any then
  line.version = line.version + 1
end
save(line)
return snapshot(line)
