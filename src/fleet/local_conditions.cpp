#include "hdap/fleet/local_conditions.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/core/unknown_name.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>

namespace hdap::fleet {
namespace {

constexpr std::int64_t most_threads = 4096;

/// What oneDNN knows.
const std::vector<std::string> known_isas{"SSE41",
                                          "AVX",
                                          "AVX2",
                                          "AVX2_VNNI",
                                          "AVX512_CORE",
                                          "AVX512_CORE_VNNI",
                                          "AVX512_CORE_BF16",
                                          "AVX512_CORE_FP16",
                                          "AVX512_CORE_AMX"};
const std::vector<std::string> known_keys{"isa", "threads", "cpu_hogs", "memory_hogs"};

[[noreturn]] void fail(const std::filesystem::path& file, const toml::node& where,
                       const std::string& what) {
    throw core::ConfigError(
        fmt::format("{}:{}: {}", file.string(), where.source().begin.line, what));
}

std::int64_t count_of(const std::filesystem::path& file, const toml::table& table,
                      const std::string& key, std::int64_t low, std::int64_t standard) {
    const toml::node* const node = table.get(key);
    if (node == nullptr) return standard;
    const std::optional<std::int64_t> value = node->value_exact<std::int64_t>();
    if (!value || *value < low || *value > most_threads)
        fail(file, *node,
             fmt::format("{} must be a whole number in [{}, {}]", key, low, most_threads));
    return *value;
}

LocalCondition condition_of(const std::filesystem::path& file, const std::string& device,
                            const toml::table& table) {
    for (const auto& [key, node] : table)
        if (std::find(known_keys.begin(), known_keys.end(), key.str()) == known_keys.end())
            fail(file, node, core::unknown_name("key", key.str(), known_keys));
    LocalCondition condition;
    condition.device = device;
    if (const toml::node* const isa = table.get("isa")) {
        condition.isa = isa->value_or(std::string());
        if (std::find(known_isas.begin(), known_isas.end(), condition.isa) == known_isas.end())
            fail(file, *isa, core::unknown_name("instruction set", condition.isa, known_isas));
    }
    condition.threads = count_of(file, table, "threads", 1, 1);
    condition.cpu_hogs = count_of(file, table, "cpu_hogs", 0, 0);
    condition.memory_hogs = count_of(file, table, "memory_hogs", 0, 0);
    return condition;
}

/// Computes until it is told to stop.
void use_processor(const std::stop_token& stop) {
    volatile double value = 1.0;
    while (!stop.stop_requested())
        for (int i = 0; i < 100'000; ++i)
            value = value * 1.0000001 + 1e-9;
}

/// Copies more memory than caches hold until it is told to stop.
void use_memory(const std::stop_token& stop) {
    constexpr std::size_t bytes = std::size_t{64} << 20U;
    std::vector<char> from(bytes, 1);
    std::vector<char> to(bytes);
    while (!stop.stop_requested()) {
        std::memcpy(to.data(), from.data(), bytes);
        from[static_cast<unsigned char>(to[bytes / 2])] ^= 1;
    }
}

} // namespace

std::vector<LocalCondition> read_local_conditions(const std::filesystem::path& file) {
    toml::table root;
    try {
        root = toml::parse_file(file.string());
    } catch (const toml::parse_error& error) {
        throw core::ConfigError(fmt::format("{}:{}: {}", file.string(), error.source().begin.line,
                                            error.description()));
    }
    std::vector<LocalCondition> conditions;
    for (const auto& [name, node] : root) {
        const toml::table* const table = node.as_table();
        if (table == nullptr)
            fail(file, node,
                 fmt::format("'{}' is no table of a device, like [small]",
                             core::printable(name.str())));
        conditions.push_back(condition_of(file, std::string(name.str()), *table));
    }
    if (conditions.empty())
        throw core::ConfigError(file.string() + ": no device; expected tables like [small]");
    return conditions;
}

LocalCondition local_condition(const std::filesystem::path& file, const std::string& device) {
    std::vector<std::string> names;
    for (const LocalCondition& condition : read_local_conditions(file)) {
        if (condition.device == device) return condition;
        names.push_back(condition.device);
    }
    throw core::ConfigError(
        fmt::format("{}: {}", file.string(), core::unknown_name("device", device, names)));
}

ConditionInForce::ConditionInForce(const LocalCondition& condition) {
    if (!condition.isa.empty()) ::setenv("ONEDNN_MAX_CPU_ISA", condition.isa.c_str(), 1);
    for (std::int64_t i = 0; i < condition.cpu_hogs; ++i)
        hogs_.emplace_back(use_processor);
    for (std::int64_t i = 0; i < condition.memory_hogs; ++i)
        hogs_.emplace_back(use_memory);
}

ConditionInForce::~ConditionInForce() = default;

} // namespace hdap::fleet
