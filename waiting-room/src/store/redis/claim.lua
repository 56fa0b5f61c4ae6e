-- Lets called numbers in, in the order given, as far as the budget goes.
-- ARGV: time and caller's state, epoch, number... Answers {snapshot, session_ms, {verdict, value, verdict, value, ...}}.

local ADMITTED, NOT_CALLED, NO_BUDGET, SPENT_BEFORE, UNKNOWN = 0, 1, 2, 3, 4

local line, refusal = load()
if not line then
  return refusal
end
local epoch, asked = tonumber(ARGV[2]), { unpack(ARGV, 3) }
local recent = { redis.call('HMGET', RECENT[0], unpack(asked)), redis.call('HMGET', RECENT[1], unpack(asked)) }
local budget, refused, admitted, in_group = people(line), 0, {}, {}

local function refuse()
  refused = refused + 1
  local missing = (#admitted + refused) * UNITS_PER_PERSON - line.units
  local wait_ms = math.ceil(math.max(0, missing) / line.rate)
  return NO_BUDGET, math.max(RETRY_MS_MIN, math.min(wait_ms, RETRY_MS_MAX))
end

local function verdict(index, number)
  if epoch ~= line.epoch or number == 0 or number > line.issued then
    return UNKNOWN, 0
  end
  if in_group[number] then
    return ADMITTED, 0
  end
  local entered_at = tonumber(recent[1][index] or recent[2][index])
  if entered_at and line.line_ms - entered_at <= REPEAT_MS then
    return ADMITTED, line.line_ms - entered_at
  end
  if redis.call('GETBIT', SPENT, int(number)) == 1 then
    return SPENT_BEFORE, 0
  end
  if number > line.cursor then
    return NOT_CALLED, 0
  end
  if not is_running(line) then
    return NO_BUDGET, RETRY_MS_MAX
  end
  if budget == 0 then
    return refuse()
  end
  budget = budget - 1
  in_group[number] = true
  admitted[#admitted + 1] = number
  return ADMITTED, 0
end

local verdicts = {}
for index, text in ipairs(asked) do
  local what, value = verdict(index, tonumber(text))
  verdicts[#verdicts + 1] = what
  verdicts[#verdicts + 1] = value
end
if #admitted > 0 then
  for _, number in ipairs(admitted) do
    done(line, number)
  end
  enter(line, admitted)
  line.version = line.version + 1
end
save(line)
return { snapshot(line), line.session_ms, verdicts }
