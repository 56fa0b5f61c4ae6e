-- How lanes share one meter by their weights: see `share` of the pure line.

local function shares_of(line)
  local shares = { lanes = {} }
  for index, lane in ipairs(line.lanes) do
    local asked = lane.asked_at > 0 and line.line_ms - lane.asked_at <= TAKES_PART_MS
    shares.lanes[index] = {
      weight = lane.weight, credit = lane.credit, takes_part = asked and waiting(lane) > 0, asks = keen(lane) > 0,
    }
  end
  return shares
end

-- The weights of the lanes that take part, and of this one.
local function share_sum(shares, at)
  local total = 0
  for index, lane in ipairs(shares.lanes) do
    if index == at or lane.takes_part then
      total = total + lane.weight
    end
  end
  return total
end

local function rank(shares, at)
  return shares.lanes[at].credit + shares.lanes[at].weight
end

-- Whether no lane that asks is further behind than half a place.
local function is_due(shares, at)
  local mine = 2 * rank(shares, at) + share_sum(shares, at)
  for index, lane in ipairs(shares.lanes) do
    if index ~= at and lane.asks and 2 * rank(shares, index) > mine then
      return false
    end
  end
  return true
end

-- A person of this lane goes in.
local function share_admit(shares, at)
  local total, alone = share_sum(shares, at), true
  for index, lane in ipairs(shares.lanes) do
    alone = alone and (index == at or not lane.takes_part)
  end
  local bound = CREDIT_PLACES * total
  for index, lane in ipairs(shares.lanes) do
    if not alone and (index == at or lane.takes_part) then
      local credit = lane.credit + lane.weight - (index == at and total or 0)
      lane.credit = math.max(-bound, math.min(credit, bound))
    else
      lane.credit = 0
    end
  end
end

-- This lane's part of so many people, rounded up. A lane that does not use its own takes nothing from the others.
local function part_of(shares, people, at)
  local whole, total = share_sum(shares, at), 0
  for index, lane in ipairs(shares.lanes) do
    if index == at or (lane.takes_part and lane.credit <= whole) then
      total = total + lane.weight
    end
  end
  return math.min(people, math.ceil(people * shares.lanes[at].weight / total))
end

