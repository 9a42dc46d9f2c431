#include "fleet/sources/recorded.hpp"

#include "fleet/csv_reader.hpp"
#include "fleet/sources/measured.hpp"
#include "fleet/sources/recorded_table.hpp"
#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <utility>

namespace hdap::fleet {
namespace {

/// The table lives on the root: other ranks know the genomes, and get the latencies that are asked
/// for.
class RecordedSource final : public LatencySource {
  public:
    RecordedSource(const LatencySourceParameters& parameters, RecordedTable table,
                   std::vector<network::Genome> genomes, std::string identity)
        : sku_(parameters.sku), benchmarks_(parameters.benchmarks), table_(std::move(table)),
          genomes_(std::move(genomes)), identity_(std::move(identity)) {}

    [[nodiscard]] std::string identity() const override { return identity_; }

    [[nodiscard]] std::optional<Fleet> fleet(const parallel::Job& job) override {
        Fleet fleet;
        job.communicator.on_root([&] { fleet = recorded_fleet(); });
        return fleet;
    }

    [[nodiscard]] std::vector<network::Genome>
    candidates(std::vector<network::Genome> /*wanted*/) const override {
        return genomes_;
    }

    [[nodiscard]] std::string lacks_for(Quantity quantity) const override {
        if (quantity == Quantity::latency) return "";
        if (quantity == Quantity::energy) return std::string(energy_is_simulated);
        return "a table of latencies (fleet.recorded.file) does not tell latencies under "
               "continuous load; name devices to measure by fleet.file instead, and set "
               "latency.sustained_seconds";
    }

    [[nodiscard]] std::optional<std::vector<double>>
    latencies_ms(const MeasurementRequest& request, const parallel::Job& job) override {
        std::vector<double> latencies;
        job.communicator.on_root([&] { latencies = look_up(request); });
        job.communicator.broadcast(latencies);
        return latencies;
    }

    [[nodiscard]] std::optional<std::vector<double>>
    true_values(Quantity /*quantity*/, const network::Genome& /*genome*/,
                std::span<const std::int32_t> /*devices*/) const override {
        return std::nullopt;
    }

    [[nodiscard]] std::optional<std::vector<double>>
    measured_latencies_ms(const network::Genome& genome,
                          std::span<const std::int32_t> devices) const override;

  private:
    [[nodiscard]] std::vector<std::size_t> benchmark_genomes() const;
    [[nodiscard]] Fleet recorded_fleet() const;
    [[nodiscard]] std::vector<double> look_up(const MeasurementRequest& request) const;
    [[nodiscard]] std::size_t row_of(std::int32_t device) const;

    std::string sku_;
    std::int64_t benchmarks_;
    RecordedTable table_;                  ///< root
    std::vector<network::Genome> genomes_; ///< of the table
    std::string identity_;
};

/// The genomes that were measured on most devices, on half of them at least, and of those on as
/// many devices the first ones; as many as wanted. The unpruned one, which all devices have, comes
/// first.
std::vector<std::size_t> RecordedSource::benchmark_genomes() const {
    std::vector<std::size_t> devices(table_.genomes.size(), 0);
    for (const std::uint32_t genome : table_.genome)
        ++devices[genome];
    std::vector<std::size_t> chosen;
    for (std::size_t i = 0; i < devices.size(); ++i)
        if (2 * devices[i] >= table_.devices()) chosen.push_back(i);
    std::stable_sort(chosen.begin(), chosen.end(),
                     [&](std::size_t a, std::size_t b) { return devices[a] > devices[b]; });
    chosen.resize(std::min(chosen.size(), static_cast<std::size_t>(benchmarks_)));
    return chosen;
}

Fleet RecordedSource::recorded_fleet() const {
    Fleet fleet;
    fleet.sku = sku_;
    fleet.device_ids = table_.device_ids;
    const auto chosen = benchmark_genomes();
    for (const std::size_t i : chosen) {
        fleet.benchmark_names.push_back(i == 0 ? "unpruned" : fmt::format("candidate-{}", i));
        fleet.benchmark_genomes.push_back(table_.genomes[i]);
    }
    for (std::size_t device = 0; device < table_.devices(); ++device)
        for (const std::size_t i : chosen)
            fleet.latency_ms.push_back(table_.latency_of(device, i));
    return fleet;
}

std::vector<double> RecordedSource::look_up(const MeasurementRequest& request) const {
    std::map<network::Genome, std::size_t> place_of;
    for (std::size_t i = 0; i < table_.genomes.size(); ++i)
        place_of.emplace(table_.genomes[i], i);
    std::vector<std::size_t> places; // [genome of the request] in the table; its end: not there
    for (const network::Genome& genome : request.genomes) {
        const auto found = place_of.find(genome);
        places.push_back(found == place_of.end() ? place_of.size() : found->second);
    }
    std::vector<double> latencies;
    for (const std::int32_t device : request.devices)
        for (const std::size_t place : places)
            latencies.push_back(table_.latency_of(row_of(device), place));
    return latencies;
}

/// The device's place in the table.
std::size_t RecordedSource::row_of(std::int32_t device) const {
    if (device < 0 || static_cast<std::size_t>(device) >= table_.devices())
        throw core::InternalError(
            fmt::format("device {} of a recorded fleet of {}", device, table_.devices()));
    return static_cast<std::size_t>(device);
}

std::optional<std::vector<double>>
RecordedSource::measured_latencies_ms(const network::Genome& genome,
                                      std::span<const std::int32_t> devices) const {
    const auto place = static_cast<std::size_t>(std::ranges::find(table_.genomes, genome) -
                                                table_.genomes.begin());
    std::vector<double> latencies;
    for (const std::int32_t device : devices) {
        // Behind the table's last candidate, too, there is nothing.
        latencies.push_back(table_.latency_of(row_of(device), place));
        if (std::isnan(latencies.back())) return std::nullopt;
    }
    return latencies;
}

void check(const LatencySourceParameters& parameters) {
    if (parameters.file.empty())
        throw core::ConfigError("recorded latencies need fleet.recorded.file, a table of them, or "
                                "fleet.file, the devices that candidates will be measured on");
    if (!parameters.fleet_file.empty())
        throw core::ConfigError("fleet.recorded.file and fleet.file both name devices; leave one "
                                "of them empty");
    if (!is_name(parameters.sku))
        throw core::ConfigError(
            "recorded latencies need fleet.recorded.sku: what the label on the devices "
            "says, 1 to 256 printable bytes");
}

} // namespace

std::unique_ptr<LatencySource> make_recorded_source(const LatencySourceParameters& parameters,
                                                    const network::Prunable& prunable,
                                                    const parallel::Communicator& communicator) {
    if (parameters.file.empty() && !parameters.fleet_file.empty())
        return make_planned_source(parameters, prunable, communicator);
    RecordedTable table;
    std::vector<std::int32_t> flat;
    std::vector<char> identity;
    communicator.on_root([&] {
        check(parameters);
        std::ifstream input = open_csv(parameters.file);
        table = parse_recorded(input, parameters.file, prunable.space);
        for (const network::Genome& genome : table.genomes)
            flat.insert(flat.end(), genome.begin(), genome.end());
        const std::string sha256 = sha256_of(table);
        identity.assign(sha256.begin(), sha256.end());
    });
    communicator.broadcast(flat);
    communicator.broadcast(identity);
    const std::size_t genes = prunable.space.groups().size();
    std::vector<network::Genome> genomes;
    for (auto gene = flat.begin(); gene != flat.end(); gene += static_cast<std::ptrdiff_t>(genes))
        genomes.emplace_back(gene, gene + static_cast<std::ptrdiff_t>(genes));
    return std::make_unique<RecordedSource>(parameters, std::move(table), std::move(genomes),
                                            std::string(identity.begin(), identity.end()));
}

std::vector<core::Setting> recorded_settings(LatencySourceParameters& parameters) {
    return {core::path("file", parameters.file,
                       "Table of candidates and devices: CSV with device_id, latency_ms and a "
                       "keep_GROUP for each pruning group",
                       core::Outputs::fleet),
            core::text("sku", parameters.sku, {}, "What the label on the devices says",
                       core::Outputs::fleet)};
}

} // namespace hdap::fleet
