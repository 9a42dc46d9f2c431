#include "hdap/fleet/measured_fleet.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <utility>

namespace hdap::fleet {
namespace {

template <class T>
struct Field {
    const char* name;
    T HostConditions::*member;
    const char* unit;
};
constexpr Field<std::string> text_fields[] = {
    {"host", &HostConditions::host, ""},
    {"slurm_node", &HostConditions::slurm_node, ""},
    {"measured_at", &HostConditions::measured_at, ""},
    {"processor", &HostConditions::processor, ""},
    {"governor", &HostConditions::governor, ""},
    {"isa_limit", &HostConditions::isa_limit, ""},
    {"engine", &HostConditions::engine, ""},
};
constexpr Field<std::int32_t> count_fields[] = {
    {"threads", &HostConditions::threads, ""},
    {"cores", &HostConditions::cores, ""},
};
constexpr Field<double> real_fields[] = {
    {"frequency_mhz_start", &HostConditions::frequency_mhz_start, "MHz"},
    {"frequency_mhz_end", &HostConditions::frequency_mhz_end, "MHz"},
    {"temperature_c_start", &HostConditions::temperature_c_start, "degC"},
    {"temperature_c_end", &HostConditions::temperature_c_end, "degC"},
    {"load_average_start", &HostConditions::load_average_start, ""},
    {"load_average_end", &HostConditions::load_average_end, ""},
    {"cores_used_by_others", &HostConditions::cores_used_by_others, ""},
};

const std::string group = "/measurement/";

template <class T>
std::vector<T> column_of(const std::vector<HostConditions>& conditions, const Field<T>& field) {
    std::vector<T> column;
    column.reserve(conditions.size());
    for (const HostConditions& device : conditions)
        column.push_back(device.*(field.member));
    return column;
}

template <class T>
void set_column(std::vector<HostConditions>& conditions, const Field<T>& field,
                std::vector<T> column) {
    for (std::size_t i = 0; i < conditions.size(); ++i)
        conditions[i].*(field.member) = std::move(column[i]);
}

void write_column(storage::Hdf5Writer& file, const char* name, const std::vector<double>& values,
                  const char* unit) {
    file.write(group + name, values);
    if (*unit != '\0') file.attribute(group + name, "unit", std::string(unit));
}

void write_reliability(storage::Hdf5Writer& file, const MeasuredFleet& measured) {
    std::vector<double> tau;
    std::vector<double> difference;
    for (std::size_t i = 0; i < measured.fleet.devices(); ++i) {
        const SplitHalfReliability reliability = reliability_of_device(measured, i);
        tau.push_back(reliability.kendall_tau);
        difference.push_back(reliability.median_difference);
    }
    write_column(file, "split_half_kendall_tau", tau, "");
    write_column(file, "split_half_median_difference", difference, "1");
}

void check_rounds(const MeasuredFleet& measured, const std::string& where) {
    for (std::size_t i = 0; i < measured.round_latency_ms.size(); ++i) {
        const double value = measured.round_latency_ms[i];
        // Written so that NaN fails too.
        if (!(value >= smallest_latency_ms && value <= largest_latency_ms))
            throw core::DataError(fmt::format("{}: /rounds/latency_ms holds {} at position {}; "
                                              "expected a positive number, in milliseconds",
                                              where, core::shortest(value), i));
    }
}

std::vector<HostConditions> read_conditions(const storage::Hdf5Reader& file, std::size_t devices) {
    std::vector<HostConditions> conditions(devices);
    for (const auto& field : text_fields) {
        auto column = file.read_strings(group + field.name);
        if (column.size() != devices)
            throw core::DataError(fmt::format("{}: {}{} has {} entries for {} devices", file.name(),
                                              group, field.name, column.size(), devices));
        set_column(conditions, field, std::move(column));
    }
    for (const auto& field : count_fields)
        set_column(conditions, field, file.read<std::int32_t>(group + field.name, {devices}));
    for (const auto& field : real_fields)
        set_column(conditions, field, file.read<double>(group + field.name, {devices}));
    return conditions;
}

/// What must be the same for latencies to be comparable, in words.
std::vector<std::pair<std::string, std::string>> comparable(const MeasuredFleet& measured) {
    return {{"SKU", measured.fleet.sku},
            {"network", measured.benchmarks.network},
            {"batch", std::to_string(measured.benchmarks.batch)},
            {"benchmarks", core::join(measured.fleet.benchmark_names)},
            {"rounds", std::to_string(measured.parameters.rounds)},
            {"runs", std::to_string(measured.parameters.runs)},
            {"quantile", core::shortest(measured.parameters.quantile)}};
}

void check_comparable(const MeasuredFleet& measured, const MeasuredFleet& more,
                      const std::string& where) {
    const auto there = comparable(measured);
    const auto here = comparable(more);
    for (std::size_t i = 0; i < there.size(); ++i)
        if (there[i].second != here[i].second)
            throw core::DataError(
                fmt::format("{} and the new devices differ in {}: '{}' there, '{}' here; such "
                            "latencies cannot be compared, so give them another file",
                            where, there[i].first, there[i].second, here[i].second));
    if (measured.fleet.benchmark_genomes != more.fleet.benchmark_genomes)
        throw core::DataError(where +
                              " and the new devices differ in the channels that the benchmarks "
                              "keep: study.seed, network.min_keep or "
                              "network.channel_divisor is another");
}

} // namespace

std::span<const double> rounds_of_device(const MeasuredFleet& measured, std::size_t device) {
    const std::size_t values =
        static_cast<std::size_t>(measured.parameters.rounds) * measured.fleet.benchmarks();
    return std::span(measured.round_latency_ms).subspan(device * values, values);
}

SplitHalfReliability reliability_of_device(const MeasuredFleet& measured, std::size_t device) {
    return split_half_reliability(rounds_of_device(measured, device), measured.fleet.benchmarks(),
                                  measured.parameters.quantile);
}

void add_devices(MeasuredFleet& measured, const MeasuredFleet& more, Remeasured remeasured,
                 const std::string& where) {
    check_comparable(measured, more, where);
    MeasuredFleet sum = measured;
    std::map<std::string, std::size_t> place;
    for (std::size_t i = 0; i < sum.fleet.devices(); ++i)
        place.emplace(sum.fleet.device_ids[i], i);
    const std::size_t benchmarks = sum.fleet.benchmarks();
    for (std::size_t i = 0; i < more.fleet.devices(); ++i) {
        const std::string& id = more.fleet.device_ids[i];
        const auto [entry, is_new] = place.emplace(id, sum.fleet.devices());
        if (is_new) {
            sum.fleet.device_ids.push_back(id);
            sum.conditions.emplace_back();
            sum.fleet.latency_ms.resize(sum.fleet.devices() * benchmarks);
            sum.round_latency_ms.resize(sum.fleet.devices() * rounds_of_device(more, i).size());
        } else if (remeasured == Remeasured::refuse) {
            throw core::DataError(
                fmt::format("{}: device '{}' is in it already; --replace measures it anew, "
                            "--device-id gives this one another name",
                            where, id));
        }
        const std::size_t at = entry->second;
        const auto rounds = rounds_of_device(more, i);
        const auto latencies = std::span(more.fleet.latency_ms).subspan(i * benchmarks, benchmarks);
        sum.conditions[at] = more.conditions[i];
        std::copy(latencies.begin(), latencies.end(),
                  sum.fleet.latency_ms.begin() + static_cast<std::ptrdiff_t>(at * benchmarks));
        std::copy(rounds.begin(), rounds.end(),
                  sum.round_latency_ms.begin() + static_cast<std::ptrdiff_t>(at * rounds.size()));
    }
    measured = std::move(sum);
}

void write_measured_fleet(storage::Hdf5Writer& file, const MeasuredFleet& measured) {
    const Fleet& fleet = measured.fleet;
    const MeasuredBenchmarks& benchmarks = measured.benchmarks;
    const MeasurementParameters& parameters = measured.parameters;
    write_fleet(file, fleet);
    file.attribute("/", "network", benchmarks.network);
    file.attribute("/", "batch", benchmarks.batch);
    file.attribute("/", "runs", parameters.runs);
    file.attribute("/", "quantile", parameters.quantile);
    file.write("/rounds/latency_ms", measured.round_latency_ms,
               {fleet.devices(), static_cast<std::size_t>(parameters.rounds), fleet.benchmarks()});
    file.attribute("/rounds/latency_ms", "unit", std::string("ms"));
    for (const auto& field : text_fields)
        file.write_strings(group + field.name, column_of(measured.conditions, field));
    for (const auto& field : count_fields)
        file.write(group + field.name, column_of(measured.conditions, field));
    for (const auto& field : real_fields)
        write_column(file, field.name, column_of(measured.conditions, field), field.unit);
    write_reliability(file, measured);
}

bool is_measured(const storage::Hdf5Reader& file) {
    return file.contains("/rounds/latency_ms") && file.contains("/measurement");
}

MeasuredFleet read_measured_fleet(const storage::Hdf5Reader& file) {
    if (!is_measured(file))
        throw core::DataError(file.name() +
                              ": is not a fleet that `hdap fleet measure` has written: it lacks "
                              "/rounds/latency_ms or /measurement");
    MeasuredFleet measured;
    measured.fleet = read_fleet(file);
    const Fleet& fleet = measured.fleet;
    if (fleet.benchmark_genomes.empty())
        throw core::DataError(file.name() + ": lacks /benchmark_genomes");
    const storage::Shape shape = file.shape("/rounds/latency_ms");
    if (shape.size() != 3)
        throw core::DataError(fmt::format("{}: /rounds/latency_ms has {}, expected 3", file.name(),
                                          core::counted(shape.size(), "dimension")));
    const std::size_t rounds = shape[1];
    measured.benchmarks.network = file.attribute_string("/", "network");
    measured.benchmarks.batch = file.attribute_int("/", "batch");
    measured.parameters.rounds = static_cast<std::int64_t>(rounds);
    measured.parameters.runs = file.attribute_int("/", "runs");
    measured.parameters.quantile = file.attribute_double("/", "quantile");
    try {
        check_measurement(measured.parameters);
    } catch (const core::ConfigError& error) {
        throw core::DataError(fmt::format("{}: {}", file.name(), error.what()));
    }
    measured.round_latency_ms =
        file.read<double>("/rounds/latency_ms", {fleet.devices(), rounds, fleet.benchmarks()});
    check_rounds(measured, file.name());
    if (missing_latencies(fleet) > 0)
        throw core::DataError(file.name() + ": /latency_ms lacks latencies, though all rounds of "
                                            "all benchmarks are there; measure the devices again");
    measured.conditions = read_conditions(file, fleet.devices());
    return measured;
}

} // namespace hdap::fleet
