-- Calls the next people until those who ask cover the next seconds of budget, and passes over who is away; never past the
-- last number.
-- ARGV: time and caller's state. Answers the snapshot.

local CHUNK_BYTES = 256

local line, refusal = load()
if not line then
  return refusal
end

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

local known = is_known(line)
local is_spent, is_seen, was_seen = bits(SPENT), bits(SEEN[0]), bits(SEEN[1])

local function is_here(position)
  if is_spent(position) then
    return false
  end
  return not known or position > line.known_to or is_seen(position) or was_seen(position)
end

-- How far the cursor moves to pass so many people who may be here, and how many it passes. Numbers that were skipped when
-- the line was restored are passed over at once.
local function reach(people)
  local last, up_to, here = math.min(line.issued, line.cursor + CALL_SCAN_MAX), line.cursor, 0
  while here < people and up_to < last do
    local gap = line.gaps[1]
    if gap and up_to + 1 >= gap[1] then
      table.remove(line.gaps, 1)
      up_to = math.max(up_to, gap[2])
    else
      up_to = up_to + 1
      if is_here(up_to) then
        here = here + 1
      end
    end
  end
  return up_to, here
end

-- How many more must be called for those who ask to cover the next seconds.
local function wanted()
  if line.method == 'pass_through' then
    return math.huge
  end
  local cover = math.min(math.max(COVER_MIN, people_within(line, COVER_MS)), math.max(room_inside(line), 1))
  local each = known and line.cursor < line.known_to and CALLED_PER_MISSING_KNOWN or CALLED_PER_MISSING_UNKNOWN
  return math.max(0, cover - keen(line)) * each - expected(line)
end

if admits(line) then
  local first = line.cursor + 1
  local last, here = reach(wanted())
  if last >= first then
    note_call(line, first, last, here)
    line.cursor = last
    line.version = line.version + 1
  end
end
save(line)
return snapshot(line)
