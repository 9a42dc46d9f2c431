#include "hdap/fleet/fleet.hpp"

#include "hdap/core/error.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace hdap::fleet {

namespace {

constexpr std::size_t longest_name = 256;

void check_names(const std::vector<std::string>& names, const char* what,
                 const std::string& where) {
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (!is_name(names[i]))
            throw core::DataError(where + ": " + what + " " + std::to_string(i) +
                                  " is not a name of 1 to 256 printable bytes");
    }
    std::vector<std::size_t> order(names.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return names[a] < names[b]; });
    const auto twin =
        std::adjacent_find(order.begin(), order.end(),
                           [&](std::size_t a, std::size_t b) { return names[a] == names[b]; });
    if (twin != order.end())
        throw core::DataError(where + ": " + what + " '" + names[*twin] + "' occurs twice");
}

void check_latencies(const Fleet& fleet, const std::string& where) {
    for (std::size_t i = 0; i < fleet.latency_ms.size(); ++i) {
        const double value = fleet.latency_ms[i];
        // Written so that NaN fails too.
        if (!(value >= smallest_latency_ms && value <= largest_latency_ms))
            throw core::DataError(
                where + ": latency of device '" + fleet.device_ids[i / fleet.benchmarks()] +
                "' on '" + fleet.benchmark_names[i % fleet.benchmarks()] + "' is " +
                std::to_string(value) + " ms; expected a positive number, in milliseconds");
    }
}

struct RealField {
    const char* name;
    double DeviceCondition::*member;
};
constexpr RealField real_fields[] = {
    {"silicon", &DeviceCondition::silicon},
    {"gpu_clock_factor", &DeviceCondition::gpu_clock_factor},
    {"memory_clock_factor", &DeviceCondition::memory_clock_factor},
    {"launch_factor", &DeviceCondition::launch_factor},
    {"background_load", &DeviceCondition::background_load},
    {"ageing", &DeviceCondition::ageing},
    {"noise_sigma", &DeviceCondition::noise_sigma},
};

struct IntegerField {
    const char* name;
    std::int32_t DeviceCondition::*member;
};
constexpr IntegerField integer_fields[] = {
    {"power_mode", &DeviceCondition::power_mode},
    {"driver_version", &DeviceCondition::driver_version},
};

const std::string conditions_group = "/conditions/";

template <class T, class Field>
void write_column(storage::Hdf5Writer& file, const std::vector<DeviceCondition>& conditions,
                  const Field& field) {
    std::vector<T> column;
    column.reserve(conditions.size());
    for (const DeviceCondition& condition : conditions)
        column.push_back(condition.*(field.member));
    file.write(conditions_group + field.name, column);
}

void write_conditions(storage::Hdf5Writer& file, const std::vector<DeviceCondition>& conditions) {
    for (const RealField& field : real_fields)
        write_column<double>(file, conditions, field);
    for (const IntegerField& field : integer_fields)
        write_column<std::int32_t>(file, conditions, field);
    std::vector<double> efficiency;
    efficiency.reserve(conditions.size() * work_kinds);
    for (const DeviceCondition& condition : conditions)
        efficiency.insert(efficiency.end(), condition.kind_efficiency.begin(),
                          condition.kind_efficiency.end());
    file.write(conditions_group + "kind_efficiency", efficiency, {conditions.size(), work_kinds});
}

template <class T, class Field>
void read_column(const storage::Hdf5Reader& file, std::vector<DeviceCondition>& conditions,
                 const Field& field) {
    const std::vector<T> column = file.read<T>(conditions_group + field.name, {conditions.size()});
    for (std::size_t i = 0; i < conditions.size(); ++i)
        conditions[i].*(field.member) = column[i];
}

std::vector<DeviceCondition> read_conditions(const storage::Hdf5Reader& file, std::size_t devices) {
    std::vector<DeviceCondition> conditions(devices);
    for (const RealField& field : real_fields)
        read_column<double>(file, conditions, field);
    for (const IntegerField& field : integer_fields)
        read_column<std::int32_t>(file, conditions, field);
    const std::vector<double> efficiency =
        file.read<double>(conditions_group + "kind_efficiency", {devices, work_kinds});
    for (std::size_t i = 0; i < devices; ++i)
        std::copy_n(efficiency.begin() + static_cast<std::ptrdiff_t>(i * work_kinds), work_kinds,
                    conditions[i].kind_efficiency.begin());
    return conditions;
}

} // namespace

bool is_name(const std::string& text) {
    return !text.empty() && text.size() <= longest_name &&
           std::none_of(text.begin(), text.end(), [](char c) {
               const auto byte = static_cast<unsigned char>(c);
               return byte < 0x20 || byte == 0x7f;
           });
}

void check_fleet(const Fleet& fleet, const std::string& where) {
    if (fleet.devices() == 0) throw core::DataError(where + ": the fleet has no devices");
    if (fleet.benchmarks() == 0) throw core::DataError(where + ": the fleet has no benchmarks");
    if (fleet.devices() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
        throw core::DataError(where + ": " + std::to_string(fleet.devices()) +
                              " devices; at most 2147483647 are supported");
    check_names({fleet.sku}, "sku", where);
    check_names(fleet.device_ids, "device_id", where);
    check_names(fleet.benchmark_names, "benchmark", where);
    if (fleet.latency_ms.size() / fleet.benchmarks() != fleet.devices() ||
        fleet.latency_ms.size() % fleet.benchmarks() != 0)
        throw core::DataError(where + ": " + std::to_string(fleet.latency_ms.size()) +
                              " latencies for " + std::to_string(fleet.devices()) +
                              " devices and " + std::to_string(fleet.benchmarks()) + " benchmarks");
    check_latencies(fleet, where);
    if (!fleet.conditions.empty() && fleet.conditions.size() != fleet.devices())
        throw core::DataError(where + ": " + std::to_string(fleet.conditions.size()) +
                              " conditions for " + std::to_string(fleet.devices()) + " devices");
    for (std::size_t i = 0; i < fleet.conditions.size(); ++i)
        check_condition(fleet.conditions[i], where + ": device '" + fleet.device_ids[i] + "'");
}

void write_fleet(storage::Hdf5Writer& file, const Fleet& fleet) {
    check_fleet(fleet, "fleet to be written");
    file.attribute("/", "sku", fleet.sku);
    file.write_strings("/device_id", fleet.device_ids);
    file.write_strings("/benchmark", fleet.benchmark_names);
    file.write("/latency_ms", fleet.latency_ms, {fleet.devices(), fleet.benchmarks()});
    file.attribute("/latency_ms", "unit", std::string("ms"));
    if (!fleet.conditions.empty()) write_conditions(file, fleet.conditions);
}

Fleet read_fleet(const storage::Hdf5Reader& file) {
    Fleet fleet;
    fleet.sku = file.attribute_string("/", "sku");
    fleet.device_ids = file.read_strings("/device_id");
    fleet.benchmark_names = file.read_strings("/benchmark");
    fleet.latency_ms = file.read<double>("/latency_ms", {fleet.devices(), fleet.benchmarks()});
    if (file.contains("/conditions")) fleet.conditions = read_conditions(file, fleet.devices());
    check_fleet(fleet, file.name());
    return fleet;
}

} // namespace hdap::fleet
