-- The people of a line: whose number is used up, who was called, who is here, who is inside.

-- One bit a number: used up, by going in or by leaving.
local function is_spent(lane, n)
  return redis.call('GETBIT', lane.SPENT, int(n)) == 1
end

-- Whether this number of the lane was given out and has not been used up.
local function holds(lane, n)
  return n >= 1 and n <= lane.issued and not is_spent(lane, n)
end

-- Whether it was not used up before.
local function use_up(lane, n)
  return redis.call('SETBIT', lane.SPENT, int(n), 1) == 0
end

-- Calls are rows {slot, first, last, expected}, oldest first.
local function expected(lane)
  return sum(lane.calls, 4)
end

local function note_call(line, lane, first, last, here)
  local slot, newest = math.floor(line.line_ms / CALL_SLOT_MS), lane.calls[#lane.calls]
  if newest and newest[1] == slot then
    newest[3], newest[4] = last, newest[4] + here
  else
    lane.calls[#lane.calls + 1] = { slot, first, last, here }
  end
end

local function done(lane, n)
  for _, call in ipairs(lane.calls) do
    if call[2] <= n and n <= call[3] then
      call[4] = math.max(0, call[4] - 1)
      return
    end
  end
end

-- Called people who asked to go in a moment ago and found no budget.
local function keen(lane)
  return lane.keen0 + lane.keen1
end

local function keen_done(lane, n)
  for half = 0, 1 do
    local count = 'keen' .. half
    if lane[count] > 0 and redis.call('SREM', lane.KEEN[half], int(n)) == 1 then
      lane[count] = lane[count] - 1
      return true
    end
  end
  return false
end

-- Whoever asked in vain is here.
local function ask_again(line, lane, n)
  local was_keen = keen_done(lane, n)
  local half = line.keen_window % 2
  redis.call('SADD', lane.KEEN[half], int(n))
  lane['keen' .. half] = lane['keen' .. half] + 1
  if not was_keen then
    done(lane, n)
  end
end

local function called_waiting(lane)
  return expected(lane) + keen(lane)
end

-- Gaps are rows {first, last}: numbers that were skipped when the line was restored, and that nobody holds.
local function waiting(lane)
  local people = lane.issued - lane.cursor + called_waiting(lane)
  for _, gap in ipairs(lane.gaps) do
    people = people - math.max(0, gap[2] - math.max(gap[1] - 1, lane.cursor))
  end
  return people
end

-- The sum of something over all lanes.
local function over_lanes(line, of)
  local total = 0
  for _, lane in ipairs(line.lanes) do
    total = total + of(lane)
  end
  return total
end

-- Two bits a position: heard of in this window, or in the one before (never both).
local function unsee(lane, position, half)
  local count = 'seen' .. half
  if lane[count] > 0 and redis.call('GETBIT', lane.SEEN[half], int(position)) == 1 then
    redis.call('SETBIT', lane.SEEN[half], int(position), 0)
    lane[count] = lane[count] - 1
  end
end

local function see(line, lane, position)
  local half = line.seen_window % 2
  local count = 'seen' .. half
  unsee(lane, position, 1 - half)
  if redis.call('SETBIT', lane.SEEN[half], int(position), 1) == 0 then
    lane[count] = lane[count] + 1
  end
end

-- Whether nodes report, and for long enough that who was not heard of is away.
local function is_known(line, lane)
  return lane.known_to > 0 and line.line_ms - lane.reported_at <= PRESENCE_MS
end

-- This number went in or left.
local function nobody_waits_for(lane, n)
  if not keen_done(lane, n) then
    done(lane, n)
  end
  unsee(lane, n, 0)
  unsee(lane, n, 1)
end

-- Live sessions, by number; the score is when they end. Of those inside before a loss only their count is known.
local function active(line)
  return redis.call('ZCARD', LIVE) + line.unknown
end

local function ends_at(number)
  return tonumber(redis.call('ZSCORE', LIVE, int(number)) or nil)
end

local function last_until(number, at_ms)
  redis.call('ZADD', LIVE, int(at_ms), int(number))
end

-- How many more may be inside at the same time.
local function room_inside(line)
  if line.max_active == 0 or line.method == 'pass_through' then
    return math.huge
  end
  return math.max(0, line.max_active - active(line))
end

-- Of two keys that take turns one is emptied when its turn comes again; `empty` is called for it.
local function rotate(line, field, window_ms, empty)
  local window = math.floor(line.line_ms / window_ms)
  for half = 0, 1 do
    if window > line[field] + 1 or (window > line[field] and half == window % 2) then
      empty(half)
    end
  end
  line[field] = math.max(line[field], window)
end

-- Calls, seconds (rows {second, people}), whoever was heard of and sessions are over in time.
local function forget(line)
  for _, lane in ipairs(line.lanes) do
    while lane.calls[1] and lane.calls[1][1] * CALL_SLOT_MS + EXPECTED_MS <= line.line_ms do
      table.remove(lane.calls, 1)
    end
  end
  while line.seconds[1] and line.seconds[1][1] + SECONDS <= math.floor(line.line_ms / 1000) do
    table.remove(line.seconds, 1)
  end
  local function in_lanes(keys, counts)
    return function(half)
      for _, lane in ipairs(line.lanes) do
        redis.call('UNLINK', lane[keys][half])
        lane[counts .. half] = 0
      end
    end
  end
  rotate(line, 'keen_window', KEEN_MS, in_lanes('KEEN', 'keen'))
  rotate(line, 'seen_window', PRESENCE_MS, in_lanes('SEEN', 'seen'))
  rotate(line, 'window', REPEAT_MS, function(half)
    redis.call('UNLINK', RECENT[half])
  end)
  rotate(line, 'proof_window', PROOF_WINDOW_MS, function(half)
    redis.call('UNLINK', PROOFS[half])
  end)
  rotate(line, 'late_window', LATE_WINDOW_MS, function(half)
    redis.call('UNLINK', PROMISED[half])
  end)
  redis.call('ZREMRANGEBYSCORE', LIVE, '-inf', int(line.line_ms))
  if line.unknown_until_ms <= line.line_ms then
    line.unknown = 0
  end
end

-- When each of these numbers (as texts) went in, if that is not long ago.
local function entered_lately(line, numbers)
  local one, other = redis.call('HMGET', RECENT[0], unpack(numbers)), redis.call('HMGET', RECENT[1], unpack(numbers))
  local at = {}
  for index in ipairs(numbers) do
    local at_ms = tonumber(one[index] or other[index])
    at[index] = at_ms and line.line_ms - at_ms <= REPEAT_MS and at_ms
  end
  return at
end

-- These numbers go in, in this order, each as soon as the meter has come to it; when, by number. The caller has checked
-- the budget. A room that lets everybody pass has none.
local function enter(line, numbers)
  local at = {}
  if #numbers == 0 then
    return at
  end
  local entered = {}
  for _, number in ipairs(numbers) do
    local lane, n = lane_of(line, number), within_lane(number)
    use_up(lane, n)
    nobody_waits_for(lane, n)
    at[number] = line.line_ms
    if line.method ~= 'pass_through' then
      at[number] = line.line_ms + wait_ms(line, 1)
      line.units = line.units - UNITS_PER_PERSON
    end
    entered[#entered + 1] = int(number)
    entered[#entered + 1] = int(at[number])
    last_until(number, at[number] + line.session_ms)
  end
  redis.call('HSET', RECENT[line.window % 2], unpack(entered))
  line.total = line.total + #numbers
  local second, last = math.floor(line.line_ms / 1000), line.seconds[#line.seconds]
  if last and last[1] == second then
    last[2] = last[2] + #numbers
  else
    line.seconds[#line.seconds + 1] = { second, #numbers }
  end
  return at
end

