-- Put before every operation, after the constants of the pure `Line`, whose rules these scripts follow: a differential
-- test compares every answer. Then come `meter`, `schedule`, `people` and `line`.
--
-- KEYS: line (hash), recent (two hashes that take turns), live (sorted set), changes (list), ids (hash), moved
-- (hash), proofs (two sets), late (two hashes), and for each lane that the caller knows of spent (bitmap), keen (two sets), seen (two bitmaps). ARGV[1] is `now late epoch version life`: the time in epoch milliseconds (0 for the
-- server's own; only tests send another), the time after which the caller waits no more (0: unknown), and the youngest
-- state of this line that the caller has seen (zeros: none). A line that is older than that is not touched: this server
-- lost it, or was behind when it took over, and `restore` comes first. Numbers stay below 2^53, where Lua counts exactly.

local STATE = {}
for number in string.gmatch(ARGV[1], '%-?%d+') do
  STATE[#STATE + 1] = tonumber(number)
end
local NOW, LATE, SEEN_EPOCH, SEEN_VERSION, SEEN_LIFE = unpack(STATE)

local LINE, RECENT, LIVE, CHANGES, IDS = KEYS[1], { [0] = KEYS[2], [1] = KEYS[3] }, KEYS[4], KEYS[5], KEYS[6]
local MOVED, PROOFS = KEYS[7], { [0] = KEYS[8], [1] = KEYS[9] }
local PROMISED = { [0] = KEYS[10], [1] = KEYS[11] }
local KEYS_SHARED, KEYS_A_LANE = 11, 5
local LANES_KNOWN = (#KEYS - KEYS_SHARED) / KEYS_A_LANE

-- A number has its lane in its high bits; lanes count from 0.
local LANE_UNIT = 2 ^ 32

local function lane_of(line, number)
  return line.lanes[math.floor(number / LANE_UNIT) + 1]
end

local function within_lane(number)
  return number % LANE_UNIT
end

local function numbered(lane, n)
  return lane.index * LANE_UNIT + n
end

local function int(number)
  return string.format('%.0f', number)
end

local function now_ms()
  if NOW ~= 0 then
    return NOW
  end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Small lists stand in one field of the hash, as `1:2:3;4:5:6`.
local function unpack_rows(text, pattern)
  local rows = {}
  for a, b, c, d in string.gmatch(text, pattern) do
    rows[#rows + 1] = { tonumber(a), tonumber(b), tonumber(c), tonumber(d) }
  end
  return rows
end

local function pack_rows(rows)
  local words = {}
  for index, row in ipairs(rows) do
    local numbers = {}
    for column, number in ipairs(row) do
      numbers[column] = int(number)
    end
    words[index] = table.concat(numbers, ':')
  end
  return table.concat(words, ';')
end

local function sum(rows, column)
  local total = 0
  for _, row in ipairs(rows) do
    total = total + row[column]
  end
  return total
end

