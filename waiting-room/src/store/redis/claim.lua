-- Lets called numbers in, the lowest first, as far as the budget of now and of the next moment goes.
-- ARGV: time and caller's state, epoch, number... Answers {snapshot, {verdict, value, session_ms, ...}}; the value of
-- who is in: how many milliseconds ago, below zero in how many; session_ms: how long the session lasts in all.

local ADMITTED, NOT_CALLED, NO_BUDGET, SPENT_BEFORE, UNKNOWN = 0, 1, 2, 3, 4

local line, refusal = load()
if not line then
  return refusal
end
local epoch, asked = tonumber(ARGV[2]), { unpack(ARGV, 3) }
local lately = entered_lately(line, asked)
local inside, refused, admitted = room_inside(line), 0, {}
local places = math.min(line.method == 'pass_through' and math.huge or people_within(line, AHEAD_MS), inside)

-- Of those who ask in vain at least so many were called earlier; their turn is first, so a later one asks later.
local function no_budget(number)
  refused = refused + 1
  local earlier = keen(line) - (line.cursor - number)
  local retry_ms = wait_ms(line, #admitted + math.max(refused, earlier)) - AHEAD_MS
  return NO_BUDGET, math.max(RETRY_MS_MIN, math.min(retry_ms, RETRY_MS_MAX))
end

local function verdict(index, number)
  if epoch ~= line.epoch or number == 0 or number > line.issued then
    return UNKNOWN, 0
  end
  local entered_at = lately[index]
  local ends = entered_at and ends_at(number)
  if ends then
    return ADMITTED, line.line_ms - entered_at, ends - entered_at
  end
  if is_spent(number) then
    return SPENT_BEFORE, 0
  end
  if number > line.cursor then
    return NOT_CALLED, 0
  end
  if not admits(line) or #admitted >= inside then
    return NO_BUDGET, RETRY_MS_MAX
  end
  if places == 0 then
    return no_budget(number)
  end
  places = places - 1
  admitted[#admitted + 1] = number
  return ADMITTED, nil
end

-- Each number once, the lowest first.
local places_of, in_order = {}, {}
for index, text in ipairs(asked) do
  local number = tonumber(text)
  if not places_of[number] then
    places_of[number] = index
    in_order[#in_order + 1] = number
  end
end
table.sort(in_order)
local decided = {}
for _, number in ipairs(in_order) do
  decided[number] = { verdict(places_of[number], number) }
end

local entered_at = enter(line, admitted)
if #admitted > 0 then
  line.version = line.version + 1
end
local verdicts = {}
for _, text in ipairs(asked) do
  local number = tonumber(text)
  local what, value, session_ms = unpack(decided[number], 1, 3)
  if what == NO_BUDGET then
    ask_again(line, number)
  end
  verdicts[#verdicts + 1] = what
  verdicts[#verdicts + 1] = value or line.line_ms - entered_at[number]
  verdicts[#verdicts + 1] = session_ms or line.session_ms
end
save(line)
return { snapshot(line), verdicts }
