-- Wireshark dissector for MADCAP, the Multicast Address Dynamic Client Allocation Protocol
-- (RFC 2730, RFC 2907), on UDP port 2535.
--
-- To use it, copy this file into the personal Lua plugin folder (Help, About, Folders), or:
--   tshark -X lua_script:madcap.lua -r capture.pcap

local madcap = Proto("madcap", "Multicast Address Dynamic Client Allocation Protocol")

local types = {
  [1] = "DISCOVER", [2] = "OFFER", [3] = "REQUEST", [4] = "RENEW", [5] = "ACK", [6] = "NAK",
  [7] = "RELEASE", [8] = "GETINFO",
}
local from_server = { [2] = true, [5] = true, [6] = true }
local families = { [1] = "IPv4", [2] = "IPv6" }
local family_octets = { [1] = 4, [2] = 16 }
local options = {
  [0] = "End", [1] = "Lease Time", [2] = "Server Identifier", [3] = "Lease Identifier",
  [4] = "Multicast Scope", [5] = "Option Request List", [6] = "Start Time",
  [7] = "Number of Addresses Requested", [8] = "Requested Language", [9] = "Multicast Scope List",
  [10] = "List of Address Ranges", [11] = "Current Time", [12] = "Feature List",
  [13] = "Retry Time", [14] = "Minimum Lease Time", [15] = "Maximum Start Time", [16] = "Error",
  [17] = "Multicast Scope Nesting State", [0xffff] = "no specific option",
}
local features = {
  [0] = "Server Mobility", [1] = "Retry After", [2] = "Shared Lease Identifier",
}
local errors = {
  [0] = "Valid Request Could Not Be Completed", [1] = "Invalid Request",
  [2] = "Excessive Clock Skew", [3] = "Lease Identifier Not Recognized",
  [4] = "Required Feature Not Supported",
}
local lease_id_types = { [0] = "Random", [1] = "Address-Specific" }

-- ---- fields ------------------------------------------------------------------------------------

local f = {}
local function field(key, kind, name, ...)
  f[key] = ProtoField[kind]("madcap." .. key, name, ...)
end

field("version", "uint8", "Version", base.DEC)
field("type", "uint8", "Message Type", base.DEC, types)
field("family", "uint16", "Address Family", base.DEC, families)
field("xid", "uint32", "Transaction ID", base.HEX)
field("option", "uint16", "Option", base.DEC, options)
field("option_length", "uint16", "Length", base.DEC)
field("option_value", "bytes", "Value")
field("lease_time", "uint32", "Lease Time (seconds)", base.DEC)
field("server_id_family", "uint16", "Server Identifier Family", base.DEC, families)
field("server_id_ipv4", "ipv4", "Server Identifier")
field("server_id_ipv6", "ipv6", "Server Identifier")
field("server_id_other", "bytes", "Server Identifier")
field("lease_id", "bytes", "Lease Identifier")
field("lease_id_type", "uint8", "Lease Identifier Type", base.DEC, lease_id_types)
field("scope_ipv4", "ipv4", "Scope ID")
field("scope_ipv6", "ipv6", "Scope ID")
field("requested_option", "uint16", "Requested Option", base.DEC, options)
field("start_time", "absolute_time", "Start Time", base.UTC)
field("min_addresses", "uint16", "Minimum Number of Addresses", base.DEC)
field("desired_addresses", "uint16", "Desired Number of Addresses", base.DEC)
field("language", "string", "Requested Language")
field("scope_count", "uint8", "Scopes", base.DEC)
field("scope_first_ipv4", "ipv4", "First Address")
field("scope_first_ipv6", "ipv6", "First Address")
field("scope_last_ipv4", "ipv4", "Last Address")
field("scope_last_ipv6", "ipv6", "Last Address")
field("scope_ttl", "uint8", "TTL", base.DEC)
field("scope_names", "uint8", "Names", base.DEC)
field("name_default", "bool", "Default Name", 8, nil, 0x80)
field("name_language", "string", "Language")
field("name", "string", "Name", base.UNICODE)
field("range_first_ipv4", "ipv4", "First Address")
field("range_first_ipv6", "ipv6", "First Address")
field("range_count", "uint16", "Addresses", base.DEC)
field("current_time", "absolute_time", "Current Time", base.UTC)
field("feature_count", "uint16", "Features", base.DEC)
field("feature_supported", "uint16", "Supported Feature", base.DEC, features)
field("feature_requested", "uint16", "Requested Feature", base.DEC, features)
field("feature_required", "uint16", "Required Feature", base.DEC, features)
field("retry_time", "absolute_time", "Retry Time", base.UTC)
field("min_lease_time", "uint32", "Minimum Lease Time (seconds)", base.DEC)
field("max_start_time", "absolute_time", "Maximum Start Time", base.UTC)
field("error", "uint16", "Error", base.DEC, errors)
field("error_option", "uint16", "Option at Fault", base.DEC, options)
field("error_time", "absolute_time", "Server's Time", base.UTC)
field("error_feature", "uint16", "Unsupported Feature", base.DEC, features)
field("error_data", "bytes", "Extra Data")
field("nesting_count", "uint8", "Scopes", base.DEC)
field("nesting_row", "bytes", "Nests Inside")
field("nests", "string", "Nesting")

for _, one in pairs(f) do
  madcap.fields[#madcap.fields + 1] = one
end

local e = {
  syntax = ProtoExpert.new("madcap.syntax", "Not a MADCAP message: receivers ignore it",
    expert.group.MALFORMED, expert.severity.ERROR),
  invalid = ProtoExpert.new("madcap.invalid", "Invalid: a server answers with Invalid Request",
    expert.group.PROTOCOL, expert.severity.WARN),
  unknown = ProtoExpert.new("madcap.unknown_option", "Unknown option: receivers skip it",
    expert.group.UNDECODED, expert.severity.NOTE),
  refused = ProtoExpert.new("madcap.refused", "The server refused",
    expert.group.RESPONSE_CODE, expert.severity.NOTE),
}
madcap.experts = { e.syntax, e.invalid, e.unknown, e.refused }

-- ---- cursor ------------------------------------------------------------------------------------

-- Walks over one option's octets. take(n) is nil where they don't reach; ranges of no octet, which
-- some versions of Wireshark refuse, are never made.
local Cursor = {}
Cursor.__index = Cursor

local function cursor(tvb, offset, length)
  return setmetatable({ tvb = tvb, at = offset, stop = offset + length }, Cursor)
end

function Cursor:left()
  return self.stop - self.at
end

function Cursor:take(n)
  if n <= 0 or n > self:left() then
    return nil
  end
  local range = self.tvb(self.at, n)
  self.at = self.at + n
  return range
end

local too_short = "wrong length"

-- Adds a number or time of N octets as FIELD; nil where they aren't there.
local function add(c, tree, key, n)
  local range = c:take(n)
  if not range then
    return nil
  end
  local item = tree:add(f[key], range)
  return range:uint(), item, range
end

local function add_address(c, tree, key, family)
  local range = family_octets[family] and c:take(family_octets[family])
  if not range then
    return nil
  end
  tree:add(f[key .. (family == 1 and "_ipv4" or "_ipv6")], range)
  return tostring(family == 1 and range:ipv4() or range:ipv6()), range
end

-- ---- one function for each option: what is wrong with it, or nil -------------------------------

local function number_of(key, octets)
  return function(c, tree)
    if not add(c, tree, key, octets) then
      return too_short
    end
  end
end

local function read_server_id(c, tree, msg)
  local family = add(c, tree, "server_id_family", 2)
  if not family or c:left() == 0 then
    return too_short
  end
  if not family_octets[family] then
    tree:add(f.server_id_other, c:take(c:left()))
    return nil
  end
  msg.server = add_address(c, tree, "server_id", family)
  return not msg.server and too_short or nil
end

local function read_lease_id(c, tree)
  local range = c:take(c:left())
  if not range then
    return too_short
  end
  tree:add(f.lease_id, range)
  tree:add(f.lease_id_type, range(0, 1))
end

local function read_scope(c, tree, msg)
  msg.scope = add_address(c, tree, "scope", msg.family)
  return not msg.scope and too_short or nil
end

local function read_request_list(c, tree)
  if c:left() < 2 or c:left() % 2 ~= 0 then
    return too_short
  end
  while c:left() > 0 do
    add(c, tree, "requested_option", 2)
  end
end

local function read_number(c, tree)
  local min = add(c, tree, "min_addresses", 2)
  local desired = add(c, tree, "desired_addresses", 2)
  if not desired then
    return too_short
  end
  return min > desired and "minimum is above desired" or nil
end

local function read_language(c, tree)
  local range = c:take(c:left())
  if range then
    tree:add(f.language, range)
  end
end

local function read_name(c, tree)
  local flags = c:take(1)
  local n = c:take(1)
  local language = n and c:take(n:uint())
  local m = language and c:take(1)
  local name = m and c:take(m:uint())
  if not name then
    return n and n:uint() > 0 and (not m or m:uint() > 0) and too_short or "empty language or name"
  end
  local branch = tree:add(madcap, name, "Name: " .. name:string(ENC_UTF_8))
  branch:add(f.name_default, flags)
  branch:add(f.name_language, language)
  branch:add_packet_field(f.name, name, ENC_UTF_8)
end

local function read_one_scope(c, tree, msg)
  local size = 2 * (family_octets[msg.family] or 0) + 2
  if size > c:left() or size == 2 then
    return too_short
  end
  local branch = tree:add(madcap, c.tvb(c.at, size), "Scope")
  local first, from = add_address(c, branch, "scope_first", msg.family)
  local last, to = add_address(c, branch, "scope_last", msg.family)
  branch:append_text(string.format(" %s to %s", first, last))
  add(c, branch, "scope_ttl", 1)
  local names = add(c, branch, "scope_names", 1)
  for _ = 1, names do
    local wrong = read_name(c, branch)
    if wrong then
      return wrong
    end
  end
  if from:bytes():raw() > to:bytes():raw() then
    return "last address before first"
  end
end

local function read_scope_list(c, tree, msg)
  if c:left() == 0 then
    msg.scopes = 0
    return nil
  end
  local count = add(c, tree, "scope_count", 1)
  for _ = 1, count do
    local wrong = read_one_scope(c, tree, msg)
    if wrong then
      return wrong
    end
  end
  msg.scopes = count
end

local function read_ranges(c, tree, msg)
  local octets = family_octets[msg.family]
  if c:left() > 0 and (not octets or c:left() % (octets + 2) ~= 0) then
    return too_short
  end
  local wrong
  while c:left() > 0 do
    local branch = tree:add(madcap, c.tvb(c.at, octets + 2), "Range")
    local first = add_address(c, branch, "range_first", msg.family)
    local count = add(c, branch, "range_count", 2)
    branch:append_text(string.format(": %d from %s", count, first))
    msg.ranges = (msg.ranges and msg.ranges .. " " or "") .. first .. "+" .. count
    wrong = count == 0 and "range of no address" or wrong
  end
  return wrong
end

local function read_features(c, tree, msg)
  local seen = {}
  for _, key in ipairs({ "supported", "requested", "required" }) do
    local count = add(c, tree, "feature_count", 2)
    if not count or 2 * count > c:left() then
      return too_short
    end
    seen[key] = {}
    for _ = 1, count do
      seen[key][add(c, tree, "feature_" .. key, 2)] = true
    end
  end
  if from_server[msg.type] then
    return next(seen.requested) and "a server requests no features" or nil
  end
  return (seen.requested[1] or seen.required[1]) and
    "Retry After may be supported, not requested or required" or nil
end

local function read_error(c, tree, msg)
  local code, item = add(c, tree, "error", 2)
  local sizes = { [0] = 2, [1] = 2, [2] = 4, [3] = 0 }
  if not code then
    return too_short
  end
  item:add_proto_expert_info(e.refused, errors[code] or "error " .. code)
  msg.error = errors[code] or "error " .. code
  if (sizes[code] and c:left() ~= sizes[code]) or (code == 4 and c:left() % 2 ~= 0) then
    return too_short
  end
  if code < 2 then
    local option = add(c, tree, "error_option", 2)
    msg.error = msg.error .. " (" .. (options[option] or "option " .. option) .. ")"
  elseif code == 2 then
    add(c, tree, "error_time", 4)
  elseif code == 4 then
    while c:left() > 0 do
      add(c, tree, "error_feature", 2)
    end
  elseif c:left() > 0 then
    tree:add(f.error_data, c:take(c:left()))
  end
end

-- The matrix row by row: "S1 nests inside: S2 S4" (RFC 2907 section 3.2: without its diagonal).
local function read_nesting(c, tree, msg)
  local count = add(c, tree, "nesting_count", 1)
  local octets = count and math.floor((count - 1 + 7) / 8) or 0
  if not count or c:left() ~= count * octets then
    return too_short
  end
  msg.nesting = count
  for x = 1, octets > 0 and count or 0 do
    local row = c:take(octets)
    local branch = tree:add(f.nesting_row, row)
    local inside = {}
    for y = 1, count do
      local bit = y < x and y - 1 or y - 2
      if y ~= x and row:bitfield(bit, 1) == 1 then
        inside[#inside + 1] = "S" .. y
        branch:add(f.nests, row, string.format("S%d/S%d", x, y))
      end
    end
    branch:set_text(string.format("S%d nests inside: %s", x,
      #inside > 0 and table.concat(inside, " ") or "none, or indeterminate"))
  end
end

local readers = {
  [1] = number_of("lease_time", 4), [2] = read_server_id, [3] = read_lease_id, [4] = read_scope,
  [5] = read_request_list, [6] = number_of("start_time", 4), [7] = read_number,
  [8] = read_language, [9] = read_scope_list, [10] = read_ranges,
  [11] = number_of("current_time", 4), [12] = read_features, [13] = number_of("retry_time", 4),
  [14] = number_of("min_lease_time", 4), [15] = number_of("max_start_time", 4),
  [16] = read_error, [17] = read_nesting,
}

-- ---- messages ----------------------------------------------------------------------------------

local function read_option(tvb, at, code, length, tree, msg)
  local name = options[code] or "Unknown"
  local branch = tree:add(madcap, tvb(at, 4 + length),
    string.format("Option %d: %s", code, name))
  branch:add(f.option, tvb(at, 2))
  branch:add(f.option_length, tvb(at + 2, 2))
  local c = cursor(tvb, at + 4, length)
  if not readers[code] then
    if length > 0 then
      branch:add(f.option_value, c:take(length))
    end
    if code ~= 0 then
      branch:add_proto_expert_info(e.unknown)
    end
    return
  end
  if msg.seen[code] then
    branch:add_proto_expert_info(e.invalid, name .. ": option is there twice")
    return
  end
  msg.seen[code] = branch
  local wrong = readers[code](c, branch, msg)
  if not wrong and c:left() > 0 then
    wrong = too_short
  end
  if wrong then
    branch:add_proto_expert_info(e.invalid, name .. ": " .. wrong)
  end
end

-- What is wrong with the syntax of the whole options field, or nil.
local function read_options(tvb, tree, msg)
  local at = 8
  while at < tvb:len() do
    if tvb:len() - at < 4 then
      return "an option is cut short"
    end
    local code, length = tvb(at, 2):uint(), tvb(at + 2, 2):uint()
    if at + 4 + length > tvb:len() then
      return "option " .. code .. " runs past the end"
    end
    read_option(tvb, at, code, length, tree, msg)
    at = at + 4 + length
    if code == 0 then
      return length > 0 and "End has a length" or at < tvb:len() and "octets after End" or nil
    end
  end
  return "no End option"
end

local function check_companions(tree, msg)
  for _, code in ipairs({ 6, 13, 15 }) do
    if msg.seen[code] and not msg.seen[11] then
      msg.seen[code]:add_proto_expert_info(e.invalid, options[code] .. " without Current Time")
    end
  end
  if msg.seen[17] and not msg.seen[9] then
    msg.seen[17]:add_proto_expert_info(e.invalid, "nesting state without scope list")
  elseif msg.nesting and msg.scopes and msg.nesting ~= msg.scopes then
    msg.seen[17]:add_proto_expert_info(e.unknown, "nesting state of another count: ignored")
  end
  if not msg.seen[3] then
    tree:add_proto_expert_info(e.invalid, "no Lease Identifier")
  end
end

local function summary(msg)
  local name = types[msg.type] or "unknown type " .. msg.type
  local text = string.format("%s xid 0x%08x", name, msg.xid)
  for _, part in ipairs({ { "scope", msg.scope }, { "addresses", msg.ranges },
                          { "server", msg.server }, { "error", msg.error } }) do
    if part[2] then
      text = text .. " " .. part[1] .. " " .. part[2]
    end
  end
  return text
end

function madcap.dissector(tvb, pinfo, root)
  pinfo.cols.protocol = "MADCAP"
  local tree = root:add(madcap, tvb())
  if tvb:len() < 12 then
    tree:add_proto_expert_info(e.syntax, "shorter than 12 octets")
    pinfo.cols.info = "malformed: shorter than 12 octets"
    return tvb:len()
  end
  local msg = { seen = {} }
  msg.type, msg.family, msg.xid = tvb(1, 1):uint(), tvb(2, 2):uint(), tvb(4, 4):uint()
  local version = tree:add(f.version, tvb(0, 1))
  local type_item = tree:add(f.type, tvb(1, 1))
  local family = tree:add(f.family, tvb(2, 2))
  tree:add(f.xid, tvb(4, 4))
  if tvb(0, 1):uint() ~= 0 then
    version:add_proto_expert_info(e.syntax, "version is not 0")
    pinfo.cols.info = "malformed: version is not 0"
    return tvb:len()
  end
  if not types[msg.type] then
    type_item:add_proto_expert_info(e.invalid, "unknown message type")
  end
  if not family_octets[msg.family] then
    family:add_proto_expert_info(e.invalid, "unknown address family")
  end
  local wrong = read_options(tvb, tree, msg)
  tree:append_text(", " .. (types[msg.type] or "unknown type"))
  if wrong then
    tree:add_proto_expert_info(e.syntax, wrong)
    pinfo.cols.info = summary(msg) .. " malformed: " .. wrong
    return tvb:len()
  end
  check_companions(tree, msg)
  pinfo.cols.info = summary(msg)
  return tvb:len()
end

DissectorTable.get("udp.port"):add(2535, madcap)
