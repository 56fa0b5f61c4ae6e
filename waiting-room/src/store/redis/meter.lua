-- The meter: how many may go in now. Units below zero are owed for places that were given ahead of time.

local function burst_in_force(line)
  if line.burst == 0 then
    return math.max(1, math.floor(line.rate / 60))
  end
  return line.burst
end

local function limit_budget(line)
  line.units = math.min(line.units, burst_in_force(line) * UNITS_PER_PERSON)
end

-- The rate changed. What is owed is time: the places given ahead begin when they were promised, and the next one follows
-- the last of them at the new rate.
local function reprice(line, rate_before)
  if line.units < 0 then
    line.units = math.floor(line.units * line.rate / rate_before)
  end
end

-- Whether the budget fills: by the state alone.
local function is_running(line)
  return line.state == 'open' or line.state == 'draining'
end

local function fill(line, elapsed_ms, rate)
  if is_running(line) then
    line.units = line.units + elapsed_ms * rate
  end
  limit_budget(line)
end

-- How many people the budget of now and of the next milliseconds lets in.
local function people_within(line, ahead_ms)
  return math.floor(math.max(0, line.units + ahead_ms * line.rate) / UNITS_PER_PERSON)
end

local function wait_ms(line, people)
  return math.ceil(math.max(0, people * UNITS_PER_PERSON - line.units) / line.rate)
end

