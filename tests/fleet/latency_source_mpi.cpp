#include "hdap/core/error.hpp"
#include "hdap/fleet/host_conditions.hpp"
#include "hdap/fleet/latency_source.hpp"
#include "hdap/fleet/operating_point.hpp"
#include "hdap/fleet/profiling.hpp"
#include "hdap/fleet/random_networks.hpp"
#include "hdap/fleet/run_noise.hpp"
#include "hdap/network/zoo.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>

using namespace hdap;
using fleet::LatencySourceParameters;

namespace {

/// A job of all ranks. One at a time: its run control installs signal handlers.
struct World {
    parallel::Communicator communicator = parallel::Communicator::world();
    core::Log log{{.quiet = true}};
    parallel::RunControl control;
    parallel::Job job{communicator, log, control, 1};
};

network::Prunable small_prunable() {
    network::Network network = network::make_network({.name = "mobilenet_v1", .width = 0.25});
    network::SearchSpace space(network, {});
    network::CostModel costs(network, space.structure());
    return {.network = std::move(network),
            .space = std::move(space),
            .costs = std::move(costs),
            .weights = {},
            .ranked_channels = {},
            .normalisation = {}};
}

LatencySourceParameters small_fleet() {
    LatencySourceParameters parameters;
    parameters.benchmarks = 3;
    parameters.batch = 1;
    parameters.runs = 5;
    parameters.seed = 7;
    parameters.synthesis.devices = 50;
    parameters.synthesis.seed = 99; // which must not matter
    return parameters;
}

/// A folder that the root makes and removes, and every rank knows.
class SharedFolder {
  public:
    explicit SharedFolder(const parallel::Communicator& communicator) {
        std::vector<char> path;
        if (communicator.is_root()) {
            const std::string made = folder_.emplace().path().string();
            path.assign(made.begin(), made.end());
        }
        communicator.broadcast(path);
        path_ = std::string(path.begin(), path.end());
    }
    [[nodiscard]] std::string operator/(const std::string& name) const { return path_ / name; }

  private:
    std::optional<test::TemporaryFolder> folder_;
    std::filesystem::path path_;
};

/// Three devices in one line each per candidate; the last device lacks every second candidate.
std::string recorded_csv(const network::SearchSpace& space,
                         const std::vector<network::Genome>& genomes) {
    std::string text = "device_id,latency_ms";
    for (const auto& group : space.groups())
        text += ",keep_" + group.name;
    text += "\n";
    for (std::size_t i = 0; i < genomes.size(); ++i)
        for (std::size_t device = 0; device < (i % 2 == 0 ? 3 : 2); ++device) {
            text += "d" + std::to_string(device) + "," + std::to_string(10 * (device + 1) + i);
            for (const std::int32_t channels : genomes[i])
                text += "," + std::to_string(channels);
            text += "\n";
        }
    return text;
}

} // namespace

TEST_CASE("a latency source that does not exist, or lacks something, is refused on every rank") {
    const World world;
    const auto prunable = small_prunable();
    const auto refusal = [&](const LatencySourceParameters& parameters) -> std::string {
        try {
            static_cast<void>(fleet::make_latency_source(parameters, prunable, world.communicator));
        } catch (const parallel::AgreedError& error) {
            CHECK(error.kind() == core::ErrorKind::config);
            return error.what();
        }
        return "";
    };
    auto parameters = small_fleet();
    parameters.source = "telepathy";
    CHECK_THAT(refusal(parameters), Catch::Contains("'telepathy'; known: simulated, recorded"));
    parameters.source = "recoded";
    CHECK_THAT(refusal(parameters),
               Catch::Contains("unknown latency source 'recoded' (did you mean "
                               "'recorded'?); known: simulated, recorded"));
    parameters.source = "recorded";
    CHECK_THAT(refusal(parameters), Catch::Contains("fleet.recorded.file"));
    parameters.file = "table.csv";
    parameters.sku = "";
    CHECK_THAT(refusal(parameters), Catch::Contains("fleet.recorded.sku"));
    parameters = small_fleet();
    parameters.synthesis.preset = "jetson_tx2";
    CHECK_THAT(refusal(parameters), Catch::Contains("jetson_tx2"));
    parameters = small_fleet();
    parameters.synthesis.noise_sigma = -1;
    CHECK_THAT(refusal(parameters), Catch::Contains("noise_sigma"));
    CHECK(fleet::latency_source_names() ==
          std::vector<std::string>{"simulated", "recorded", "live", "command"});
}

TEST_CASE("a simulated fleet is the synthetic one of its settings, on the root") {
    const World world;
    const auto prunable = small_prunable();
    const auto parameters = small_fleet();
    const auto source = fleet::make_latency_source(parameters, prunable, world.communicator);
    CHECK(source->identity().empty());
    const auto made = source->fleet(world.job);
    REQUIRE(made.has_value());
    if (!world.communicator.is_root()) {
        CHECK(made->devices() == 0);
        return;
    }
    const auto genomes = fleet::benchmark_genomes(prunable.space, 7, 3);
    std::vector<fleet::BenchmarkNetwork> benchmarks;
    for (const auto& genome : genomes)
        benchmarks.push_back(
            {std::to_string(benchmarks.size()), genome, prunable.costs.layers(genome)});
    auto synthesis = parameters.synthesis;
    synthesis.seed = 7;
    const auto expected =
        fleet::synthesize_fleet(fleet::device_model(synthesis.preset), synthesis, benchmarks, 1, 5);
    CHECK(made->latency_ms == expected.latency_ms);
    CHECK(made->attributes == expected.attributes);
    CHECK(made->benchmark_genomes == genomes);
    CHECK(made->benchmark_names == fleet::benchmark_names(3));
    CHECK_NOTHROW(fleet::check_fleet(*made, "simulated"));
}

TEST_CASE("a simulated fleet runs every benchmark under load, too, where that is asked for") {
    const World world;
    const auto prunable = small_prunable();
    auto parameters = small_fleet();
    parameters.synthesis.preset = "phone";
    parameters.loaded_benchmarks = true;
    parameters.batch = 4096;
    const auto source = fleet::make_latency_source(parameters, prunable, world.communicator);
    CHECK_FALSE(source->identity().empty());
    const auto loaded = source->fleet(world.job);
    REQUIRE(loaded.has_value());
    if (!world.communicator.is_root()) return;
    CHECK_NOTHROW(fleet::check_fleet(*loaded, "simulated"));
    CHECK(loaded->benchmark_names ==
          std::vector<std::string>{"unpruned", "pruned-1", "pruned-2", "unpruned-under-load",
                                   "pruned-1-under-load", "pruned-2-under-load"});
    const auto model = fleet::device_model("phone");
    auto synthesis = parameters.synthesis;
    synthesis.seed = 7;
    const auto genomes = fleet::benchmark_genomes(prunable.space, 7, 3);
    for (std::size_t device = 0; device < 5; ++device)
        for (std::size_t b = 0; b < genomes.size(); ++b) {
            const auto work =
                fleet::network_work(model, prunable.costs.layers(genomes[b]), parameters.batch);
            const auto condition = fleet::synthesize_condition(synthesis, device);
            // Of the noise of sustained latencies, where the candidates' comes after it.
            fleet::RunNoise noise(7, static_cast<int>(parameters.runs));
            const double expected =
                fleet::sustained_point(model, condition, work).latency_ms *
                noise.median(condition.noise_sigma, static_cast<std::uint32_t>(device),
                             fleet::first_noise_number(fleet::Quantity::sustained_latency) +
                                 static_cast<std::uint32_t>(b));
            CHECK(loaded->latency_ms[device * 6 + 3 + b] == expected);
        }
}

TEST_CASE("simulated latencies have the bits of a plain loop, whichever rank measures them") {
    const World world;
    const auto prunable = small_prunable();
    const auto parameters = small_fleet();
    const auto source = fleet::make_latency_source(parameters, prunable, world.communicator);
    const auto genomes = source->candidates(fleet::profile_genomes(prunable.space, 7, 11));
    CHECK(genomes == fleet::profile_genomes(prunable.space, 7, 11));
    const std::vector<std::int32_t> devices{49, 0, 13};
    const auto measured = source->latencies_ms({genomes, devices, 4}, world.job);
    REQUIRE(measured.has_value());
    auto synthesis = parameters.synthesis;
    synthesis.seed = 7;
    const auto model = fleet::device_model(synthesis.preset);
    const auto conditions = fleet::synthesize_conditions(model, synthesis);
    std::vector<double> expected;
    for (const std::int32_t device : devices) {
        const auto& condition = conditions[static_cast<std::size_t>(device)];
        for (std::uint32_t i = 0; i < genomes.size(); ++i) {
            core::RandomStream noise(7, core::StreamId::measurement_noise,
                                     static_cast<std::uint32_t>(device), 3 + i);
            expected.push_back(fleet::measured_latency_ms(
                model, condition, prunable.costs.layers(genomes[i]), 1, 4, noise));
        }
    }
    CHECK(*measured == expected);
    const auto anew = [&](const std::string& occasion) {
        return *source->latencies_ms(
            {genomes, devices, 4, false, fleet::MeasuringAnew{.occasion = occasion}}, world.job);
    };
    CHECK(anew("one") == anew("one"));
    for (std::size_t i = 0; i < expected.size(); ++i) {
        CHECK(anew("one")[i] != expected[i]);
        CHECK(anew("one")[i] != anew("two")[i]);
    }
    const auto truth = source->true_values(fleet::Quantity::latency, genomes[5], devices);
    REQUIRE(truth.has_value());
    for (std::size_t d = 0; d < devices.size(); ++d)
        CHECK((*truth)[d] == fleet::latency_ms(model,
                                               conditions[static_cast<std::size_t>(devices[d])],
                                               prunable.costs.layers(genomes[5]), 1));
    const auto all =
        source->latencies_ms({.genomes = genomes,
                              .devices = devices,
                              .runs = 4,
                              .quantities = {fleet::Quantity::latency, fleet::Quantity::energy,
                                             fleet::Quantity::sustained_latency}},
                             world.job);
    REQUIRE(all.has_value());
    REQUIRE(all->size() == 3 * expected.size());
    CHECK(std::equal(expected.begin(), expected.end(), all->begin()));
    std::size_t at = expected.size();
    for (const auto quantity : {fleet::Quantity::energy, fleet::Quantity::sustained_latency})
        for (const std::int32_t device : devices)
            for (std::uint32_t i = 0; i < genomes.size(); ++i, ++at) {
                const auto& unit = conditions[static_cast<std::size_t>(device)];
                const auto work = fleet::network_work(model, prunable.costs.layers(genomes[i]), 1);
                const auto point = fleet::sustained_point(model, unit, work);
                const bool is_energy = quantity == fleet::Quantity::energy;
                const double clean = is_energy ? point.energy_mj() : point.latency_ms;
                const std::vector<std::int32_t> one{device};
                CHECK(source->true_values(quantity, genomes[i], one) == std::vector{clean});
                core::RandomStream noise(
                    7, core::StreamId::measurement_noise, static_cast<std::uint32_t>(device),
                    static_cast<std::uint32_t>(quantity) * 0x2000'0000U + 3 + i);
                CHECK((*all)[at] == clean * fleet::median_run_noise(unit.noise_sigma, 4, noise));
            }
    const std::vector<std::int32_t> nobody{50};
    CHECK_THROWS_AS(source->latencies_ms({genomes, nobody, 4}, world.job), parallel::AgreedError);
    CHECK_THROWS_AS(source->true_values(fleet::Quantity::latency, genomes[0], nobody),
                    core::InternalError);
    CHECK_FALSE(source->measured_latencies_ms(genomes[0], devices).has_value());
}

namespace {

/// Writes a fleet of these devices. On the root.
void write_fleet_file(const std::string& file, const std::vector<std::string>& devices) {
    fleet::Fleet fleet;
    fleet.sku = "board";
    fleet.device_ids = devices;
    fleet.benchmark_names = {"a"};
    for (std::size_t i = 0; i < devices.size(); ++i)
        fleet.latency_ms.push_back(1.0 + static_cast<double>(i));
    storage::Hdf5Writer writer;
    storage::write_identity(
        writer, {.schema = fleet::fleet_schema, .config_sha256 = "", .input_sha256 = ""});
    fleet::write_fleet(writer, fleet);
    storage::write_sealed(file, writer.finish());
}

} // namespace

TEST_CASE(
    "a source tells what it lacks to measure latencies under continuous load, on every rank") {
    const World world;
    const auto prunable = small_prunable();
    const SharedFolder folder(world.communicator);
    if (world.communicator.is_root()) write_fleet_file(folder / "fleet.h5", {"unit-1"});
    auto parameters = small_fleet();
    const auto lack_of_energy = [&] {
        return fleet::make_latency_source(parameters, prunable, world.communicator)
            ->lacks_for(fleet::Quantity::energy);
    };
    const auto lack = [&] {
        const auto source = fleet::make_latency_source(parameters, prunable, world.communicator);
        CHECK(source->lacks_for(fleet::Quantity::latency).empty());
        return source->lacks_for(fleet::Quantity::sustained_latency);
    };
    parameters.sustained = {.seconds = 60, .command = "measure {network} {seconds}"};
    CHECK(lack().empty());
    CHECK(lack_of_energy().empty());
    parameters.fleet_file = folder / "fleet.h5";
    parameters.measurements = folder / "measurements";
    parameters.command.command = "measure {network}";
    for (const std::string source : {"command", "live", "recorded"}) {
        INFO(source);
        parameters.source = source;
        CHECK(lack().empty());
        CHECK_THAT(lack_of_energy(), Catch::Contains("only fleet.source = \"simulated\""));
        parameters.sustained.seconds = 0;
        CHECK_THAT(lack(), Catch::Contains("set latency.sustained_seconds"));
        parameters.sustained.seconds = 60;
    }
    parameters.source = "command";
    parameters.sustained.command = "measure it";
    CHECK_THROWS_WITH(lack(), Catch::Contains("latency.sustained_command is 'measure it'"));
    parameters.sustained.command.clear();
    CHECK_THAT(lack(), Catch::Contains("and latency.sustained_command"));
    parameters.source = "live";
    CHECK(lack().empty());
    if (world.communicator.is_root())
        std::ofstream(folder / "t.csv")
            << recorded_csv(prunable.space, fleet::profile_genomes(prunable.space, 2, 12));
    parameters.source = "recorded";
    parameters.fleet_file.clear();
    parameters.file = folder / "t.csv";
    CHECK_THAT(lack(), Catch::Contains("a table of latencies (fleet.recorded.file) does not tell"));
    CHECK_THAT(lack_of_energy(), Catch::Contains("only fleet.source = \"simulated\""));
}

TEST_CASE("every rank measures its machine as usual and under continuous load, and once only") {
    const World world;
    const auto prunable = small_prunable();
    const SharedFolder folder(world.communicator);
    const auto names =
        fleet::device_of_each_rank(world.communicator, fleet::ConditionWatch().conditions());
    if (world.communicator.is_root()) write_fleet_file(folder / "fleet.h5", names);
    auto parameters = small_fleet();
    parameters.source = "live";
    parameters.fleet_file = folder / "fleet.h5";
    parameters.measurements = folder / "measurements";
    parameters.sustained.seconds = 0.01;
    int prepared = 0;
    parameters.runner = [&](const network::PrunedNetwork&, std::int64_t, int) {
        ++prepared;
        return [] {};
    };
    const auto genomes = fleet::profile_genomes(prunable.space, 7, 3);
    std::vector<std::int32_t> devices;
    for (int rank = 0; rank < world.communicator.size(); ++rank)
        devices.push_back(rank);
    const fleet::MeasurementRequest request{
        .genomes = genomes,
        .devices = devices,
        .runs = 2,
        .quantities = {fleet::Quantity::latency, fleet::Quantity::sustained_latency}};
    const auto source = fleet::make_latency_source(parameters, prunable, world.communicator);
    const auto first = source->latencies_ms(request, world.job);
    REQUIRE(first.has_value());
    CHECK(first->size() == 2 * devices.size() * genomes.size());
    for (const double latency_ms : *first)
        CHECK(latency_ms > 0.0);
    CHECK(prepared == 6);
    CHECK(source->latencies_ms(request, world.job) == first);
    CHECK(prepared == 6);
    // For longer is another measurement, the usual ones are not.
    parameters.sustained.seconds = 0.02;
    const auto longer = fleet::make_latency_source(parameters, prunable, world.communicator);
    if (world.communicator.rank() == world.communicator.size() - 1) std::raise(SIGTERM);
    CHECK_FALSE(longer->latencies_ms(request, world.job).has_value());
    CHECK(prepared <= 7);
}

namespace {

/// Devices that are asked to stop while they measure.
class StoppedSource final : public fleet::LatencySource {
  public:
    std::string identity() const override { return ""; }
    std::optional<fleet::Fleet> fleet(const parallel::Job&) override { return std::nullopt; }
    std::vector<network::Genome> candidates(std::vector<network::Genome> wanted) const override {
        return wanted;
    }
    std::string lacks_for(fleet::Quantity) const override { return ""; }
    std::optional<std::vector<double>> latencies_ms(const fleet::MeasurementRequest&,
                                                    const parallel::Job& job) override {
        if (job.communicator.any(job.control.stop_requested())) return std::nullopt;
        return std::vector<double>{};
    }
    std::optional<std::vector<double>> true_values(fleet::Quantity, const network::Genome&,
                                                   std::span<const std::int32_t>) const override {
        return std::nullopt;
    }
    std::optional<std::vector<double>>
    measured_latencies_ms(const network::Genome&, std::span<const std::int32_t>) const override {
        return std::nullopt;
    }
};

} // namespace

TEST_CASE("a request to stop that reaches one rank ends the profile of a source that heeds it on "
          "all ranks, and the simulator, which is quick, gets to its end") {
    const World world;
    const auto prunable = small_prunable();
    const auto genomes = fleet::profile_genomes(prunable.space, 7, 11);
    const fleet::Representatives representatives{.devices = {{1}}};
    if (world.communicator.rank() == world.communicator.size() - 1) std::raise(SIGTERM);
    StoppedSource stopped;
    CHECK_FALSE(
        fleet::measure_profile(stopped, representatives, prunable.space, genomes, 4, world.job));
    const auto simulated = fleet::make_latency_source(small_fleet(), prunable, world.communicator);
    CHECK(simulated->fleet(world.job).has_value());
    CHECK(
        fleet::measure_profile(*simulated, representatives, prunable.space, genomes, 4, world.job));
}

TEST_CASE("a profile of a simulated fleet is the mean over the representatives") {
    const World world;
    const auto prunable = small_prunable();
    const auto source = fleet::make_latency_source(small_fleet(), prunable, world.communicator);
    const auto genomes = fleet::profile_genomes(prunable.space, 7, 20);
    const fleet::Representatives representatives{.devices = {{3, 40, 12}, {8}}};
    const auto measured =
        fleet::measure_profile(*source, representatives, prunable.space, genomes, 4, world.job);
    REQUIRE(measured.has_value());
    CHECK(measured->left_out == 0);
    CHECK(measured->profile.genomes == genomes);
    const std::vector<std::int32_t> devices{3, 40, 12, 8};
    const auto latency_ms = *source->latencies_ms({genomes, devices, 4}, world.job);
    for (std::size_t i = 0; i < 20; ++i) {
        CHECK(measured->profile.latency_ms[i] ==
              (latency_ms[i] + latency_ms[20 + i] + latency_ms[40 + i]) / 3.0);
        CHECK(measured->profile.latency_ms[20 + i] == latency_ms[60 + i]);
    }
}

TEST_CASE("recorded latencies are looked up; what all devices have measured are benchmarks") {
    const World world;
    const auto prunable = small_prunable();
    const SharedFolder folder(world.communicator);
    const auto genomes = fleet::profile_genomes(prunable.space, 2, 30);
    if (world.communicator.is_root())
        std::ofstream(folder / "t.csv") << recorded_csv(prunable.space, genomes);
    auto parameters = small_fleet();
    parameters.source = "recorded";
    parameters.sku = "phone";
    parameters.file = folder / "t.csv";
    const auto source = fleet::make_latency_source(parameters, prunable, world.communicator);
    CHECK(source->identity().size() == 64);
    CHECK(source->candidates({}) == genomes);
    const std::vector<std::int32_t> devices{2, 0};
    CHECK_FALSE(source->true_values(fleet::Quantity::latency, genomes[0], devices).has_value());

    const auto made = source->fleet(world.job);
    REQUIRE(made.has_value());
    if (world.communicator.is_root()) {
        CHECK(made->sku == "phone");
        CHECK(made->device_ids == std::vector<std::string>{"d0", "d1", "d2"});
        CHECK(made->benchmark_names ==
              std::vector<std::string>{"unpruned", "candidate-2", "candidate-4"});
        CHECK(made->benchmark_genomes ==
              std::vector<network::Genome>{genomes[0], genomes[2], genomes[4]});
        CHECK(made->latency_ms == std::vector<double>{10, 12, 14, 20, 22, 24, 30, 32, 34});
        CHECK_NOTHROW(fleet::check_fleet(*made, "recorded"));
    }

    auto more = parameters;
    more.benchmarks = static_cast<std::int64_t>(genomes.size());
    const auto with_missing =
        fleet::make_latency_source(more, prunable, world.communicator)->fleet(world.job);
    if (world.communicator.is_root()) {
        CHECK(with_missing->benchmarks() == genomes.size());
        CHECK(with_missing->benchmark_names[1] == "candidate-2"); // rather than 1, which d2 lacks
        CHECK(with_missing->benchmark_genomes.back() == genomes[genomes.size() - 1]);
        CHECK(fleet::missing_latencies(*with_missing) == genomes.size() / 2);
        CHECK_NOTHROW(fleet::check_fleet(*with_missing, "recorded"));
    }

    const std::vector<network::Genome> some{genomes[3], prunable.space.smallest(), genomes[4]};
    const auto measured = source->latencies_ms({some, devices, 1}, world.job);
    REQUIRE(measured.has_value());
    CHECK(std::isnan((*measured)[0]));
    CHECK(std::isnan((*measured)[1]));
    CHECK((*measured)[2] == 34);
    CHECK((*measured)[3] == 13);
    CHECK(std::isnan((*measured)[4]));
    CHECK((*measured)[5] == 14);
    const std::vector<std::int32_t> nobody{3};
    CHECK_THROWS_AS(source->latencies_ms({some, nobody, 1}, world.job), parallel::AgreedError);
    if (world.communicator.is_root()) {
        CHECK(source->measured_latencies_ms(genomes[4], devices) == std::vector<double>{34, 14});
        CHECK_FALSE(source->measured_latencies_ms(genomes[3], devices)); // d2 lacks it
        CHECK_FALSE(source->measured_latencies_ms(prunable.space.smallest(), devices));
        CHECK_THROWS_AS(source->measured_latencies_ms(genomes[4], nobody), core::InternalError);
    }

    const fleet::Representatives representatives{.devices = {{0, 2}, {1}}};
    const auto profile =
        fleet::measure_profile(*source, representatives, prunable.space, {}, 1, world.job);
    REQUIRE(profile.has_value());
    CHECK(profile->profile.latency_ms[4] == (14.0 + 34.0) / 2.0);
    CHECK(profile->profile.latency_ms[5] == 15.0); // d2 lacks it
    const fleet::Representatives others{.devices = {{0, 1}, {2}}};
    const auto half = fleet::measure_profile(*source, others, prunable.space, {}, 1, world.job);
    REQUIRE(half.has_value());
    CHECK(half->left_out == 15);
}

TEST_CASE("a recorded table that cannot be used is an error on every rank") {
    const World world;
    const auto prunable = small_prunable();
    const SharedFolder folder(world.communicator);
    auto parameters = small_fleet();
    parameters.source = "recorded";
    parameters.sku = "phone";
    parameters.file = folder / "missing.csv";
    CHECK_THROWS_AS(fleet::make_latency_source(parameters, prunable, world.communicator),
                    parallel::AgreedError);
    parameters.file = folder / "broken.csv";
    if (world.communicator.is_root()) std::ofstream(parameters.file) << "device_id,latency_ms\n";
    CHECK_THROWS_WITH(fleet::make_latency_source(parameters, prunable, world.communicator),
                      Catch::Contains("broken.csv:1: no column 'keep_"));
}
