-- Gives each joiner the next number of its lane; the first ones go in at once if the room is calm, or lets everybody
-- pass. An identity that has a number gets that one again.
-- ARGV: time and caller's state, nonce (16 hexadecimal digits), joiners...: `<lane>x<count>` for so many who follow each
-- other, `<lane>i<16 bytes>` for one with an identity, `<lane>l<16 bytes>` for one who was promised a number, or `<lane>p<16 bytes>` for one with a proof of work. Answers {snapshot, session_ms, {what, number, count, ...}}: `count`
-- new numbers from `number` on, the first `admitted` of whom are in; or the number that an identity had.

local NEW, KNOWN, USED, REFUSED = 0, 1, 2, 3

local line, refusal = load()
if not line then
  return refusal
end
local nonce, known, total = ARGV[2], {}, 0

local joiners, ids, names = {}, {}, {}
for index = 3, #ARGV do
  local lane, kind = string.match(ARGV[index], '^(%d+)([xipl])')
  local rest = string.sub(ARGV[index], #lane + 2)
  local joiner = { lane = line.lanes[tonumber(lane) + 1], count = kind == 'x' and tonumber(rest) or 1 }
  if kind == 'i' then
    joiner.identity, ids[#ids + 1] = rest, rest
  elseif kind == 'l' then
    joiner.name, names[#names + 1] = rest, rest
  elseif kind == 'p' then
    joiner.proof = rest
  end
  joiners[#joiners + 1], total = joiner, total + joiner.count
end
local promised = {}
local function look(key, wanted, found)
  if #wanted > 0 then
    for index, number in ipairs(redis.call('HMGET', key, unpack(wanted))) do
      found[wanted[index]] = found[wanted[index]] or tonumber(number)
    end
  end
end
look(IDS, ids, known)
look(PROMISED[0], names, promised)
look(PROMISED[1], names, promised)

-- Nobody waits: nobody is overtaken by someone who goes in at once.
local function is_calm()
  for _, lane in ipairs(line.lanes) do
    if lane.cursor ~= lane.issued or called_waiting(lane) > 0 then
      return false
    end
  end
  return admits(line)
end

local places = 0
if line.method == 'pass_through' then
  places = admits(line) and math.huge or 0
elseif is_calm() then
  places = math.min(people_within(line, 0), room_inside(line))
end

-- Why nobody gets a number, if so: for the whole group.
local function why_not()
  if not takes(line) then
    return 'CLOSED nobody joins now, by the state or the schedule'
  end
  if line.queue_max > 0 and places == 0 and over_lanes(line, waiting) >= line.queue_max then
    return 'FULL as many people wait as may'
  end
  for _, lane in ipairs(line.lanes) do
    if total > NUMBER_MAX - lane.issued then
      return 'FULL the room has no numbers left'
    end
  end
  return nil
end

local closed, refusals = why_not(), { FULL = 0, CLOSED = 1, NOLANE = 2, PROOF = 3 }
local NO_LANE = 'NOLANE the room has no such lane'
local USED_PROOF = 'PROOF this proof of work was used before'
local answers, given, refused_first, at_once, fresh_ids, fresh_names = {}, 0, nil, {}, {}, {}

local function answer(what, number, count, admitted)
  for _, value in ipairs({ what, number, count, admitted }) do
    answers[#answers + 1] = value
  end
end

-- Whether this proof is used now for the first time. Refusing is safe, forgetting is not.
local function first_use(proof)
  local now, before = PROOFS[line.proof_window % 2], PROOFS[1 - line.proof_window % 2]
  if redis.call('SISMEMBER', before, proof) == 1 or redis.call('SCARD', now) >= PROOFS_MAX then
    return false
  end
  return redis.call('SADD', now, proof) == 1
end

local function give(joiner)
  local had = joiner.identity and known[joiner.identity] or joiner.name and promised[joiner.name]
  if had then
    given = given + 1
    return answer(KNOWN, had, 1, 0)
  end
  local lane, why = joiner.lane, closed
  if not lane then
    why = NO_LANE
  end
  if not why and joiner.proof and not first_use(joiner.proof) then
    why = USED_PROOF
  end
  if why then
    refused_first = refused_first or why
    return answer(REFUSED, refusals[string.match(why, '^%u+')], joiner.count, 0)
  end
  lane.given = (lane.given or 0) + joiner.count
  local first, admitted = lane.issued + lane.given - joiner.count + 1, math.min(places, joiner.count)
  places = places - admitted
  for n = first, first + admitted - 1 do
    at_once[#at_once + 1] = { lane, n }
  end
  if joiner.identity then
    known[joiner.identity] = numbered(lane, first)
    fresh_ids[#fresh_ids + 1] = joiner.identity
    fresh_ids[#fresh_ids + 1] = int(known[joiner.identity])
  elseif joiner.name then
    promised[joiner.name] = numbered(lane, first)
    fresh_names[#fresh_names + 1] = joiner.name
    fresh_names[#fresh_names + 1] = int(promised[joiner.name])
  end
  given = given + 1
  return answer(NEW, numbered(lane, first), joiner.count, admitted)
end

for _, joiner in ipairs(joiners) do
  give(joiner)
end
if given == 0 then
  return refuse(line, refused_first)
end
local any, numbers = false, {}
table.sort(at_once, function(one, other)
  return numbered(one[1], one[2]) < numbered(other[1], other[2])
end)
for _, one in ipairs(at_once) do
  one[1].cursor = one[2]
  numbers[#numbers + 1] = numbered(one[1], one[2])
end
for _, lane in ipairs(line.lanes) do
  if lane.given then
    any = true
    if registers(line) then
      register(lane, lane.given, nonce)
    end
    lane.issued = lane.issued + lane.given
  end
end
enter(line, numbers)
if any then
  line.version = line.version + 1
end
if #fresh_ids > 0 then
  redis.call('HSET', IDS, unpack(fresh_ids))
end
if #fresh_names > 0 then
  redis.call('HSET', PROMISED[line.late_window % 2], unpack(fresh_names))
end
for index = 1, #answers, 4 do
  local number = answers[index + 1]
  if answers[index] == KNOWN and is_spent(lane_of(line, number), within_lane(number)) then
    answers[index] = USED
  end
end
save(line)
return { snapshot(line), line.session_ms, answers }
