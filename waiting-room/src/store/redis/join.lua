-- Gives out the next numbers; the first ones go in at once if the room is calm, or lets everybody pass.
-- ARGV: time and caller's state, count, nonce (16 hexadecimal digits). Answers {snapshot, first, admitted, session_ms}.

local line, refusal = load()
if not line then
  return refusal
end
local count, nonce = tonumber(ARGV[2]), ARGV[3]
if not takes(line) then
  return refuse(line, 'CLOSED nobody joins now, by the state or the schedule')
end

-- Nobody waits: nobody is overtaken by someone who goes in at once.
local function is_calm()
  return admits(line) and line.cursor == line.issued and called_waiting(line) == 0
end

local admitted = 0
if line.method == 'pass_through' then
  admitted = admits(line) and count or 0
elseif is_calm() then
  admitted = math.min(people_within(line, 0), count, room_inside(line))
end
if line.queue_max > 0 and admitted == 0 and waiting(line) >= line.queue_max then
  return refuse(line, 'FULL as many people wait as may')
end
if count > NUMBER_MAX - line.issued then
  return refuse(line, 'FULL the room has no numbers left')
end
if registers(line) then
  register(line, count, nonce)
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
