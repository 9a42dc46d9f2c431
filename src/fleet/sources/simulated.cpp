#include "fleet/sources/simulated.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/hash.hpp"
#include "hdap/fleet/operating_point.hpp"
#include "hdap/fleet/random_networks.hpp"
#include "hdap/fleet/run_noise.hpp"

#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace hdap::fleet {
namespace {

class SimulatedSource final : public LatencySource {
  public:
    SimulatedSource(LatencySourceParameters parameters, const network::Prunable& prunable)
        : parameters_(std::move(parameters)), prunable_(prunable),
          model_(device_model(parameters_.synthesis.preset)) {
        parameters_.synthesis.seed = parameters_.seed;
        check_synthesis(model_, parameters_.synthesis);
    }

    [[nodiscard]] std::string identity() const override {
        return parameters_.loaded_benchmarks ? "benchmarks under load" : "";
    }

    [[nodiscard]] std::optional<Fleet> fleet(const parallel::Job& job) override {
        Fleet made;
        job.communicator.on_root([&] {
            made = synthesize_fleet(model_, parameters_.synthesis, benchmark_networks(),
                                    parameters_.batch, static_cast<int>(parameters_.runs));
        });
        return made;
    }

    [[nodiscard]] std::vector<network::Genome>
    candidates(std::vector<network::Genome> wanted) const override {
        return wanted;
    }

    /// The device model knows all of them.
    [[nodiscard]] std::string lacks_for(Quantity /*quantity*/) const override { return ""; }

    [[nodiscard]] std::optional<std::vector<double>>
    latencies_ms(const MeasurementRequest& request, const parallel::Job& job) override;

    [[nodiscard]] std::optional<std::vector<double>>
    true_values(Quantity quantity, const network::Genome& genome,
                std::span<const std::int32_t> devices) const override;

    [[nodiscard]] std::optional<std::vector<double>>
    measured_latencies_ms(const network::Genome& /*genome*/,
                          std::span<const std::int32_t> /*devices*/) const override {
        return std::nullopt;
    }

  private:
    [[nodiscard]] std::vector<BenchmarkNetwork> benchmark_networks() const;
    [[nodiscard]] DeviceCondition condition(std::int32_t device) const;
    [[nodiscard]] std::vector<double> measure(const MeasurementRequest& request,
                                              parallel::IndexRange genomes) const;

    LatencySourceParameters parameters_;
    const network::Prunable& prunable_;
    DeviceModel model_;
};

std::vector<BenchmarkNetwork> SimulatedSource::benchmark_networks() const {
    const auto genomes =
        benchmark_genomes(prunable_.space, parameters_.seed, parameters_.benchmarks);
    const auto names = benchmark_names(parameters_.benchmarks);
    std::vector<BenchmarkNetwork> networks;
    for (std::size_t b = 0; b < genomes.size(); ++b)
        networks.push_back(
            {.name = names[b], .genome = genomes[b], .layers = prunable_.costs.layers(genomes[b])});
    if (!parameters_.loaded_benchmarks) return networks;
    for (std::size_t b = 0; b < genomes.size(); ++b) {
        networks.push_back(networks[b]);
        networks.back().name += "-under-load";
        networks.back().quantity = Quantity::sustained_latency;
    }
    return networks;
}

DeviceCondition SimulatedSource::condition(std::int32_t device) const {
    if (device < 0 || device >= parameters_.synthesis.devices)
        throw core::InternalError(fmt::format("device {} of a simulated fleet of {}", device,
                                              parameters_.synthesis.devices));
    return synthesize_condition(parameters_.synthesis, static_cast<std::size_t>(device));
}

/// The number of the first candidate's noise in the stream of a device: behind those of as many
/// benchmarks; an occasion to measure anew begins anywhere in the upper half, so that its noise is
/// new.
std::uint32_t first_noise_of(const MeasurementRequest& request, Quantity quantity,
                             std::int64_t benchmarks) {
    if (!request.anew) return first_noise_number(quantity) + static_cast<std::uint32_t>(benchmarks);
    constexpr std::size_t digits = 8;
    std::string occasion = request.anew->occasion;
    if (quantity != Quantity::latency) occasion += row_of(quantity).name;
    const std::string hash = core::sha256_hex(std::string_view(occasion));
    return 0x8000'0000U |
           static_cast<std::uint32_t>(std::stoul(hash.substr(0, digits), nullptr, 16));
}

/// [genome in the range][quantity][device]
std::vector<double> SimulatedSource::measure(const MeasurementRequest& request,
                                             parallel::IndexRange genomes) const {
    std::vector<DeviceCondition> conditions;
    for (const std::int32_t device : request.devices)
        conditions.push_back(condition(device));
    RunNoise noise(parameters_.seed, static_cast<int>(request.runs));
    std::vector<double> values;
    for (std::size_t i = genomes.first; i < genomes.last; ++i) {
        const NetworkWork work =
            network_work(model_, prunable_.costs.layers(request.genomes[i]), parameters_.batch);
        for (const Quantity quantity : request.quantities) {
            const auto number = first_noise_of(request, quantity, parameters_.benchmarks) +
                                static_cast<std::uint32_t>(i);
            for (std::size_t d = 0; d < conditions.size(); ++d) {
                const auto device = static_cast<std::uint32_t>(request.devices[d]);
                values.push_back(true_value(quantity, model_, conditions[d], work) *
                                 noise.median(conditions[d].noise_sigma, device, number));
            }
        }
    }
    return values;
}

std::optional<std::vector<double>> SimulatedSource::latencies_ms(const MeasurementRequest& request,
                                                                 const parallel::Job& job) {
    const parallel::Communicator& communicator = job.communicator;
    std::vector<double> mine;
    communicator.on_every_rank([&] {
        mine = measure(request, parallel::partition(request.genomes.size(), communicator.size(),
                                                    communicator.rank()));
    });
    const std::vector<double> by_genome = communicator.all_gather(mine);
    const std::size_t devices = request.devices.size();
    const std::size_t of_genome = request.quantities.size() * devices;
    std::vector<double> by_quantity;
    by_quantity.reserve(by_genome.size());
    for (std::size_t place = 0; place < of_genome; ++place)
        for (std::size_t i = 0; i < request.genomes.size(); ++i)
            by_quantity.push_back(by_genome[i * of_genome + place]);
    return by_quantity;
}

std::optional<std::vector<double>>
SimulatedSource::true_values(Quantity quantity, const network::Genome& genome,
                             std::span<const std::int32_t> devices) const {
    const NetworkWork work =
        network_work(model_, prunable_.costs.layers(genome), parameters_.batch);
    std::vector<double> values;
    values.reserve(devices.size());
    for (const std::int32_t device : devices)
        values.push_back(true_value(quantity, model_, condition(device), work));
    return values;
}

} // namespace

std::unique_ptr<LatencySource> make_simulated_source(const LatencySourceParameters& parameters,
                                                     const network::Prunable& prunable,
                                                     const parallel::Communicator& communicator) {
    std::unique_ptr<LatencySource> source;
    communicator.on_every_rank(
        [&] { source = std::make_unique<SimulatedSource>(parameters, prunable); });
    return source;
}

std::vector<core::Setting> simulated_settings(LatencySourceParameters& parameters) {
    return settings_of(parameters.synthesis);
}

} // namespace hdap::fleet
