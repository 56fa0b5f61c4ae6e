-- Gives out the next numbers; the first ones go in at once if the room is calm.
-- ARGV: time and caller's state, count. Answers {snapshot, first, admitted, session_ms}.

local line, refusal = load()
if not line then
  return refusal
end
local count = tonumber(ARGV[2])
if count > NUMBER_MAX - line.issued then
  return redis.error_reply('FULL the room has no numbers left')
end
local admitted = 0
if line.state == 'open' and line.cursor == line.issued and called_waiting(line) == 0 then
  admitted = math.min(people_within(line, 0), count, room_inside(line))
end
local first = line.issued + 1
line.issued = line.issued + count
if admitted > 0 then
  line.cursor = first + admitted - 1
  local numbers = {}
  for number = first, line.cursor do
    numbers[#numbers + 1] = number
  end
  enter(line, numbers)
end
line.version = line.version + 1
save(line)
return { snapshot(line), first, admitted, line.session_ms }
