-- Calls the next people until those expected cover the next seconds of budget; never past the last number.
-- ARGV: now. Answers the snapshot.

local line = load()
if not line then
  return no_room()
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

local cover = math.max(1, math.floor((line.units + COVER_MS * line.rate) / UNITS_PER_PERSON))
local missing = math.min(math.max(0, cover - expected(line)), line.issued - line.cursor)
if line.state == 'open' and missing > 0 then
  local first, last = line.cursor + 1, line.cursor + missing
  local present = missing - spent_between(first, last)
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
