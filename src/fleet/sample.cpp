#include "sample.hpp"

#include <numeric>

namespace hdap::fleet {

std::vector<std::int32_t> numbers_below(std::size_t count) {
    std::vector<std::int32_t> numbers(count);
    std::iota(numbers.begin(), numbers.end(), 0);
    return numbers;
}

std::vector<double> rows_of(std::span<const double> table, std::size_t benchmarks,
                            std::span<const std::int32_t> devices) {
    std::vector<double> rows;
    rows.reserve(devices.size() * benchmarks);
    for (const std::int32_t device : devices) {
        const auto row = table.subspan(static_cast<std::size_t>(device) * benchmarks, benchmarks);
        rows.insert(rows.end(), row.begin(), row.end());
    }
    return rows;
}

Fleet part_of(const Fleet& fleet, std::span<const std::int32_t> devices) {
    Fleet part;
    part.benchmark_names = fleet.benchmark_names;
    for (const std::int32_t device : devices)
        part.device_ids.push_back(fleet.device_ids[static_cast<std::size_t>(device)]);
    part.latency_ms = rows_of(fleet.latency_ms, fleet.benchmarks(), devices);
    return part;
}

} // namespace hdap::fleet
