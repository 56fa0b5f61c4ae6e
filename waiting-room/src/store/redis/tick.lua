-- Calls the next people until those who ask cover the next seconds of budget, each lane its part of it, and passes over who
-- is away; never past the last number.
-- ARGV: time and caller's state. Answers the snapshot.

local CHUNK_BYTES = 256

local line, refusal = load()
if not line then
  return refusal
end

-- After a steep raise everybody may be here, and nobody is called for another one.
local raised = line.line_ms < line.raised_until_ms

-- Reads single bits of a bitmap, fetched in pieces.
local function bits(key)
  local piece, text
  return function(position)
    local byte = math.floor(position / 8)
    local index = math.floor(byte / CHUNK_BYTES)
    if index ~= piece then
      piece, text = index, redis.call('GETRANGE', key, int(index * CHUNK_BYTES), int(index * CHUNK_BYTES + CHUNK_BYTES - 1))
    end
    local value = string.byte(text, byte % CHUNK_BYTES + 1)
    return value ~= nil and bit.band(value, 2 ^ (7 - position % 8)) ~= 0
  end
end

-- Tells of positions of a lane whether their holders may be here.
local function presence_in(lane)
  local known = is_known(line, lane) and not raised
  local is_used, is_seen, was_seen = bits(lane.SPENT), bits(lane.SEEN[0]), bits(lane.SEEN[1])
  return function(position)
    if is_used(position) then
      return false
    end
    return not known or position > lane.known_to or is_seen(position) or was_seen(position)
  end
end

-- How far the cursor moves to pass so many people who may be here, and how many it passes; it looks at `scan` positions at
-- most. Numbers that were skipped when the line was restored are passed over at once.
local function reach(lane, people, scan)
  local is_here = presence_in(lane)
  local last, up_to, here = math.min(lane.issued, lane.cursor + scan), lane.cursor, 0
  while here < people and up_to < last do
    local gap = lane.gaps[1]
    if gap and up_to + 1 >= gap[1] then
      table.remove(lane.gaps, 1)
      local beyond = math.max(up_to, gap[2])
      last, up_to = math.min(lane.issued, last + beyond - up_to), beyond
    else
      up_to = up_to + 1
      if is_here(up_to) then
        here = here + 1
      end
    end
  end
  return up_to, here
end

local cover = math.min(math.max(COVER_MIN, people_within(line, COVER_MS)), math.max(room_inside(line), 1))
local shares = shares_of(line)

-- How many more of a lane must be called for those who ask to cover its part of the next seconds.
local function wanted(lane)
  if line.method == 'pass_through' then
    return math.huge
  end
  local known = is_known(line, lane) and lane.cursor < lane.known_to
  local each = raised and 1 or known and CALLED_PER_MISSING_KNOWN or CALLED_PER_MISSING_UNKNOWN
  local part = math.max(part_of(shares, cover, lane.index + 1), math.min(COVER_MIN, cover))
  return math.max(0, part - keen(lane)) * each - expected(lane)
end

if admits(line) then
  local with_people = over_lanes(line, function(lane)
    return lane.cursor < lane.issued and 1 or 0
  end)
  local scan, moved = math.floor(CALL_SCAN_MAX / math.max(1, with_people)), false
  for _, lane in ipairs(line.lanes) do
    local first = lane.cursor + 1
    local last, here = reach(lane, wanted(lane), scan)
    if last >= first then
      note_call(line, lane, first, last, here)
      lane.cursor, moved = last, true
    end
  end
  if moved then
    line.version = line.version + 1
  end
end
save(line)
return snapshot(line)
