-- Calls the next people until those expected cover the next seconds of budget; never past the last number.
-- ARGV: time and caller's state. Answers the snapshot.

local line, refusal = load()
if not line then
  return refusal
end

local function spent_between(first, last)
  local count = 0
  while first <= last and first % 8 ~= 0 do
    count = count + redis.call('GETBIT', SPENT, int(first))
    first = first + 1
  end
  while first <= last and last % 8 ~= 7 do
    count = count + redis.call('GETBIT', SPENT, int(last))
    last = last - 1
  end
  if first <= last then
    count = count + redis.call('BITCOUNT', SPENT, int(first / 8), int((last - 7) / 8))
  end
  return count
end

-- The last number to call so many people, and how many of them have not left before. Numbers that were skipped when the
-- line was restored are passed over, uncounted.
local function reach(people)
  local next, present = line.cursor + 1, 0
  local function call(last)
    if last >= next then
      present = present + last + 1 - next - spent_between(next, last)
      people = people - (last + 1 - next)
      next = last + 1
    end
  end
  while people > 0 and line.gaps[1] and next + people > line.gaps[1][1] do
    local gap = table.remove(line.gaps, 1)
    call(gap[1] - 1)
    next = math.max(next, gap[2] + 1)
  end
  call(math.min(next + people - 1, line.issued))
  return next - 1, present
end

local cover = math.max(1, math.floor((line.units + COVER_MS * line.rate) / UNITS_PER_PERSON))
local missing = math.min(math.max(0, cover - expected(line)), line.issued - line.cursor)
if is_running(line) and missing > 0 then
  local first = line.cursor + 1
  local last, present = reach(missing)
  local slot, newest = math.floor(line.line_ms / CALL_SLOT_MS), line.calls[#line.calls]
  if newest and newest[1] == slot then
    newest[3] = last
    newest[4] = newest[4] + present
  else
    line.calls[#line.calls + 1] = { slot, first, last, present }
  end
  line.cursor = last
  line.version = line.version + 1
end
save(line)
return snapshot(line)
