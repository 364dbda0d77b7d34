-- Tables, strings and closures: records come and go, strings are built and searched.
local scale_percent = tonumber(arg[1]:match("^%-%-scale=(%d+)$"))
local count = 160000 * scale_percent // 100 + 10

-- Lua's own generator differs from version to version.
local state = 42
local function below(bound)
  state = (state * 1103515245 + 12345) % 2147483648
  return (state >> 8) % bound
end

local checksum = 0
local function add(number)
  checksum = (checksum * 31 + number) % 1000000007
end

local kept, by_name = {}, {}
for number = 1, count do
  local name = "name" .. below(30000) .. string.rep("x", below(10))
  local record = {
    name = name,
    number = number,
    parts = { below(10), below(100), tostring(below(1000)) },
    weigh = function(self)
      return #self.name + self.parts[1] + number
    end,
  }
  local slot = below(50000) + 1
  local old = kept[slot]
  if old then
    add(old:weigh())
    by_name[old.name] = nil
  end
  kept[slot] = record
  by_name[name] = record
  if number % 16 == 0 then
    local text = table.concat({ name, record.parts[3], name:upper():reverse() }, ";")
    add(#text:gsub("[xX]+", "-"))
  end
end

local names = {}
for name in pairs(by_name) do
  names[#names + 1] = name
end
table.sort(names)
for _, name in ipairs(names) do
  add(by_name[name].number + #name)
end
print(string.format("checksum=%d operations=%d", checksum, count))
