-- Places go on with another device: each gets a generation, and tickets of an older one are worth nothing.
-- ARGV: time and caller's state, epoch, then for each move: number, position (0: not known), the generation that it must
-- have now (-1: any lower one), the generation that it gets. Answers {snapshot, {number, generation, ...}} of all that moved.

local line, refusal = load()
if not line then
  return refusal
end
local people, any = redis.call('HLEN', MOVED), false

local function is_held(number, position)
  local lane, n = lane_of(line, number), within_lane(number)
  return lane ~= nil and n >= 1 and n <= lane.issued and not (position > 0 and is_spent(lane, within_lane(position)))
end

for index = 3, tonumber(ARGV[2]) == line.epoch and #ARGV or 0, 4 do
  local number, position = tonumber(ARGV[index]), tonumber(ARGV[index + 1])
  local from, to = tonumber(ARGV[index + 2]), tonumber(ARGV[index + 3])
  local known = tonumber(redis.call('HGET', MOVED, int(number)) or nil)
  local current = known or 0
  local due = (from < 0 and current < to) or current == from
  if due and (known or people < MOVED_MAX) and to > 0 and is_held(number, position) then
    redis.call('HSET', MOVED, int(number), int(to))
    people, any = people + (known and 0 or 1), true
  end
end
if any then
  line.moves = line.moves + 1
  line.version = line.version + 1
end
save(line)
return { snapshot(line), redis.call('HGETALL', MOVED) }
