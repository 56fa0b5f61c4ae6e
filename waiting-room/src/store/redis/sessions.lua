-- Sessions that were used a moment ago (they last anew if the room renews), and sessions that are over. One whose number
-- was never used up went in unseen, before a loss or without the store: it is inside from now on.
-- ARGV: time and caller's state, how many were used, id... of these, id... of those over. Answers {snapshot, {answer, ...}},
-- one for each that was used.

local GOES_ON, OVER, UNKNOWN = 0, 1, 2

local line, refusal = load()
if not line then
  return refusal
end
local used, any, answers = tonumber(ARGV[2]), false, {}

-- The number of a session of this line, from its id, with its lane.
local function number_of(id)
  local of, digits = string.match(id, '^([0-9a-f]+)%-([0-9a-f]+)$')
  local number = of and tonumber(of, 16) == line.epoch and tonumber(digits, 16)
  local lane, n = number and lane_of(line, number), number and within_lane(number)
  if lane and n >= 1 and n <= lane.issued then
    return number, lane, n
  end
  return nil
end

-- One of those of whom only their count was known, if of any.
local function is_inside_after_all(lane, n)
  use_up(lane, n)
  nobody_waits_for(lane, n)
  line.unknown = math.max(0, line.unknown - 1)
end

local function renew(number, lane, n)
  if not number then
    return UNKNOWN
  end
  local live = ends_at(number)
  -- Of a session that began before a loss nobody can tell whether it had ended by then.
  if not live and is_spent(lane, n) and line.line_ms >= line.unknown_until_ms then
    return OVER
  end
  if not live then
    is_inside_after_all(lane, n)
  end
  if not live or line.renewal == 1 then
    last_until(number, line.line_ms + line.session_ms)
    any = true
  end
  return GOES_ON
end

local function finish(number, lane, n)
  local live = number and ends_at(number)
  if not number or (not live and is_spent(lane, n)) then
    return
  end
  if live then
    redis.call('ZREM', LIVE, int(number))
  else
    is_inside_after_all(lane, n)
  end
  any = true
end

for index = 3, #ARGV do
  if index > used + 2 then
    finish(number_of(ARGV[index]))
  else
    answers[#answers + 1] = renew(number_of(ARGV[index]))
  end
end
if any then
  line.version = line.version + 1
end
save(line)
return { snapshot(line), answers }
