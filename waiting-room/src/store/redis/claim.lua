-- Lets called numbers in, in each lane the lowest first and between lanes whose turn it is, as far as the budget of now and
-- of the next moment goes.
-- ARGV: time and caller's state, epoch, number... Answers {snapshot, {verdict, value, session_ms, ...}}; the value of
-- who is in: how many milliseconds ago, below zero in how many; session_ms: how long the session lasts in all.

local ADMITTED, NOT_CALLED, NO_BUDGET, SPENT_BEFORE, UNKNOWN = 0, 1, 2, 3, 4

local line, refusal = load()
if not line then
  return refusal
end
local epoch, asked = tonumber(ARGV[2]), { unpack(ARGV, 3) }
local lately = entered_lately(line, asked)

-- Each number once, by lane, the lowest first; which lanes are asked for.
local places_of, queues, decided = {}, {}, {}
for index, text in ipairs(asked) do
  local number = tonumber(text)
  local lane, n = lane_of(line, number), within_lane(number)
  if not places_of[number] then
    places_of[number] = index
    if lane and epoch == line.epoch then
      queues[lane.index + 1] = queues[lane.index + 1] or { next = 1 }
      table.insert(queues[lane.index + 1], number)
      if n <= lane.cursor and holds(lane, n) then
        lane.asked_at = line.line_ms
      end
    else
      decided[number] = { UNKNOWN, 0 }
    end
  end
end
for _, queue in pairs(queues) do
  table.sort(queue)
end

local inside, refused, admitted, held = room_inside(line), 0, {}, {}
local ahead = people_within(line, AHEAD_MS)
local places = math.min(line.method == 'pass_through' and math.huge or ahead, inside)
local shares, due_again, hold_ms, held_ms = shares_of(line), false, HOLD_MS, 0
if inside < ahead then
  hold_ms = HOLD_INSIDE_MS
end
if line.held_since_ms > 0 then
  held_ms = line.line_ms - line.held_since_ms
end

-- Of those of the lane who ask in vain at least so many were called earlier; their turn is first, so a later one asks
-- later.
local function no_budget(lane, n)
  refused = refused + 1
  local earlier = keen(lane) - (lane.cursor - n)
  local retry_ms = wait_ms(line, #admitted + math.max(refused, earlier)) - AHEAD_MS
  return NO_BUDGET, math.max(RETRY_MS_MIN, math.min(retry_ms, RETRY_MS_MAX))
end

-- There is a place: it is this lane's if the lane is due, or if those who are have let it lie.
local function take_place(lane, number)
  local due = is_due(shares, lane.index + 1)
  if line.method ~= 'pass_through' and not due and held_ms < hold_ms then
    held[number] = true
    return NO_BUDGET, math.max(RETRY_MS_MIN, math.min(hold_ms - held_ms, RETRY_MS_MAX))
  end
  due_again = due_again or due
  share_admit(shares, lane.index + 1)
  places = places - 1
  admitted[#admitted + 1] = number
  return ADMITTED, nil
end

local function verdict(lane, number)
  local n = within_lane(number)
  if n == 0 or n > lane.issued then
    return UNKNOWN, 0
  end
  local entered_at = lately[places_of[number]]
  local ends = entered_at and ends_at(number)
  if ends then
    return ADMITTED, line.line_ms - entered_at, ends - entered_at
  end
  if is_spent(lane, n) then
    return SPENT_BEFORE, 0
  end
  if n > lane.cursor then
    return NOT_CALLED, 0
  end
  if not admits(line) or #admitted >= inside then
    return NO_BUDGET, RETRY_MS_MAX
  end
  if places == 0 then
    return no_budget(lane, n)
  end
  return take_place(lane, number)
end

-- Whose turn it is of the lanes that are asked for.
local function next_queue()
  local best
  for index in ipairs(line.lanes) do
    local queue = queues[index]
    if queue and queue[queue.next] and (not best or rank(shares, index) > rank(shares, best)) then
      best = index
    end
  end
  return best
end

local at = next_queue()
while at do
  local queue = queues[at]
  local number = queue[queue.next]
  queue.next = queue.next + 1
  decided[number] = { verdict(line.lanes[at], number) }
  at = next_queue()
end

local entered_at = enter(line, admitted)
if #admitted > 0 then
  line.version = line.version + 1
  for index, lane in ipairs(line.lanes) do
    lane.credit = shares.lanes[index].credit
  end
  if due_again then
    line.held_since_ms = 0
  end
end
local verdicts = {}
for _, text in ipairs(asked) do
  local number = tonumber(text)
  local what, value, session_ms = unpack(decided[number], 1, 3)
  if what == NO_BUDGET then
    ask_again(line, lane_of(line, number), within_lane(number))
  end
  if held[number] and line.held_since_ms == 0 then
    line.held_since_ms = line.line_ms
  end
  verdicts[#verdicts + 1] = what
  verdicts[#verdicts + 1] = value or line.line_ms - entered_at[number]
  verdicts[#verdicts + 1] = session_ms or line.session_ms
end
save(line)
return { snapshot(line), verdicts }
