#include "hdap/study/fleet_measurement.hpp"

#include "hdap/accuracy/inference.hpp"
#include "hdap/core/progress.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/random_networks.hpp"
#include "hdap/network/weights.hpp"
#include "hdap/storage/file_lock.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "hdap/storage/user_file.hpp"
#include "inputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

namespace hdap::study {
namespace {

using fleet::MeasuredFleet;

/// The benchmark networks of a study.
struct Benchmarks {
    fleet::MeasuredBenchmarks description;
    std::vector<network::Genome> genomes;
    std::vector<network::PrunedNetwork> networks;
};

/// The study's network with random weights, as a latency hardly depends on them. Collective.
network::Prunable benchmarked_network(const parallel::Job& job, const Settings& settings) {
    std::optional<network::Prunable> network = load_network_to_prune(job, settings, false);
    job.communicator.on_every_rank([&] {
        auto weights =
            network::initial_weights(network->network, static_cast<std::uint64_t>(settings.seed));
        network = network::with_weights(std::move(*network), std::move(weights));
    });
    return std::move(*network);
}

/// "mobilenet_v1, width 0.25, images 1x28x28, 10 classes": latencies of the same text are
/// comparable.
std::string network_text(const Settings& settings, const network::Network& network) {
    const std::string name = settings.network.file.empty()
                                 ? fmt::format("{}, width {}", settings.network.name,
                                               core::shortest(settings.network.width))
                                 : network.name;
    const network::Node& input = network.nodes.front();
    const auto shapes = network::infer_shapes(network);
    return fmt::format("{}, images {}x{}x{}, {} classes", name, input.output_channels,
                       network.input_extent.height, network.input_extent.width,
                       shapes[network::output_nodes(network).front()].channels);
}

Benchmarks make_benchmarks(const Settings& settings, const network::Prunable& network) {
    Benchmarks benchmarks;
    benchmarks.description.network = network_text(settings, network.network);
    benchmarks.description.batch = settings.fleet.batch;
    benchmarks.genomes = fleet::benchmark_genomes(
        network.space, static_cast<std::uint64_t>(settings.seed), settings.fleet.benchmarks);
    for (const network::Genome& genome : benchmarks.genomes)
        benchmarks.networks.push_back(network.prune(genome));
    return benchmarks;
}

/// Collective.
void warn_of_shared_nodes(const parallel::Job& job, const fleet::HostConditions& here) {
    std::map<std::string, int> ranks_of_node;
    for (const std::string& node :
         job.communicator.gather_texts(here.slurm_node.empty() ? here.host : here.slurm_node))
        ++ranks_of_node[node];
    for (const auto& [node, ranks] : ranks_of_node)
        if (ranks > 1)
            job.log.warning(fmt::format("{} ranks measure {} at the same time and slow each "
                                        "other; start one rank per node",
                                        ranks, node));
}

/// Every rank's device by name: --device-id, or the node's name, numbered where ranks share one.
/// Collective.
std::vector<std::string> name_devices(const parallel::Job& job, const MeasuredDevices& devices,
                                      const fleet::HostConditions& here) {
    const auto& communicator = job.communicator;
    auto names = fleet::device_of_each_rank(communicator, here);
    communicator.on_root([&] {
        if (!devices.device_id.empty() && communicator.size() > 1)
            throw core::UsageError(fmt::format("--device-id names one device, but {} ranks measure "
                                               "one each; leave it out, or start one rank",
                                               communicator.size()));
        if (!devices.device_id.empty()) names = {devices.device_id};
    });
    warn_of_shared_nodes(job, here);
    return names;
}

/// A fleet of one device.
MeasuredFleet one_device(const Settings& settings, const Benchmarks& benchmarks,
                         const fleet::MeasurementParameters& parameters, const std::string& sku,
                         fleet::RoundLatencies rounds, const fleet::HostConditions& conditions) {
    MeasuredFleet measured;
    measured.fleet.sku = sku.empty() ? settings.fleet.sku : sku;
    measured.fleet.device_ids = {"this"};
    measured.fleet.benchmark_names = fleet::benchmark_names(settings.fleet.benchmarks);
    measured.fleet.latency_ms =
        fleet::latency_estimates(rounds, measured.fleet.benchmarks(), parameters.quantile);
    measured.fleet.benchmark_genomes = benchmarks.genomes;
    measured.benchmarks = benchmarks.description;
    measured.parameters = parameters;
    measured.round_latency_ms = std::move(rounds);
    measured.conditions = {conditions};
    return measured;
}

/// One fleet of single devices, which get their names.
MeasuredFleet joined(std::vector<MeasuredFleet> devices, const std::vector<std::string>& names) {
    for (std::size_t i = 0; i < devices.size(); ++i)
        devices[i].fleet.device_ids = {names[i]};
    MeasuredFleet all = devices.front();
    for (std::size_t i = 1; i < devices.size(); ++i)
        fleet::add_devices(all, devices[i], fleet::Remeasured::refuse, "this job");
    return all;
}

/// Every rank's device, on the root. Collective.
std::vector<MeasuredFleet> gather(const parallel::Communicator& communicator,
                                  const MeasuredFleet& mine) {
    storage::Hdf5Writer writer;
    fleet::write_measured_fleet(writer, mine);
    const std::vector<std::byte> bytes = writer.finish();
    const auto texts = communicator.gather_texts(
        std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    std::vector<MeasuredFleet> devices;
    for (const std::string& text : texts) {
        const auto* const begin = reinterpret_cast<const std::byte*>(text.data());
        devices.push_back(fleet::read_measured_fleet(storage::Hdf5Reader::from_bytes(
            {begin, begin + text.size()}, fmt::format("rank {}", devices.size()))));
    }
    return devices;
}

/// `measured`, together with what is in the file that it is to be written to.
MeasuredFleet merged(const MeasuredFleet& measured, const MeasuredDevices& devices) {
    fleet::check_fleet(measured.fleet, devices.file.string());
    if (!std::filesystem::exists(devices.file)) return measured;
    if (!devices.append && !devices.replace)
        throw core::UsageError(devices.file.string() +
                               " exists; --append adds devices to it, and --replace measures its "
                               "devices anew");
    const auto read = [](const storage::Hdf5Reader& file) {
        storage::read_identity(file, fleet::fleet_schema);
        return fleet::read_measured_fleet(file);
    };
    MeasuredFleet sum = read(storage::open_user_file(devices.file.string(), read));
    fleet::add_devices(sum, measured,
                       devices.replace ? fleet::Remeasured::replace : fleet::Remeasured::refuse,
                       devices.file.string());
    return sum;
}

/// The right to read and write the file, for which other jobs wait.
std::optional<storage::FileLock> lock_of(const MeasuredDevices& devices, core::Log& log) {
    // One lock for all names of a file.
    return storage::FileLock::acquire(std::filesystem::weakly_canonical(devices.file).string() +
                                          ".lock",
                                      {}, [&](const std::string& what) { log.info(what); });
}

/// Throws as save would for devices of these names, before anything is measured.
void check_can_save(const MeasuredFleet& placeholder, const std::vector<std::string>& names,
                    const MeasuredDevices& devices, core::Log& log) {
    // Says, too, when the folder is missing or not writable.
    const auto lock = lock_of(devices, log);
    if (!lock->weakness().empty()) log.warning(lock->weakness());
    merged(joined(std::vector(names.size(), placeholder), names), devices);
}

void save(const MeasuredFleet& measured, const MeasuredDevices& devices, core::Log& log) {
    const auto lock = lock_of(devices, log);
    storage::Hdf5Writer file;
    storage::write_identity(
        file, {.schema = fleet::fleet_schema, .config_sha256 = "", .input_sha256 = ""});
    fleet::write_measured_fleet(file, merged(measured, devices));
    storage::write_sealed(devices.file, file.finish());
}

/// Measures this rank's machine; nothing when it was asked to stop.
std::optional<fleet::RoundLatencies> measure_here(const parallel::Job& job,
                                                  const Benchmarks& benchmarks,
                                                  const fleet::MeasurementParameters& parameters) {
    std::vector<std::unique_ptr<accuracy::Inference>> inferences;
    for (const network::PrunedNetwork& pruned : benchmarks.networks)
        inferences.push_back(accuracy::make_inference(pruned.network, pruned.weights,
                                                      benchmarks.description.batch, job.threads));
    core::Progress progress(job.log);
    auto rounds = fleet::measure_rounds(
        {.networks = inferences.size(), .run = [&](std::size_t i) { inferences[i]->run(); }},
        parameters, [&](const fleet::MeasurementProgress& state) {
            progress.show({.stage = "measure",
                           .position = state.round == 0 ? "warming up"
                                                        : fmt::format("round {}/{}", state.round,
                                                                      parameters.rounds),
                           .done = state.visits,
                           .total = state.total_visits,
                           .unit = "visits",
                           .detail = ""});
            return !job.control.stop_requested();
        });
    job.log.clear_status();
    return rounds;
}

/// Runs `work` on every rank; an error names the host. Collective.
template <class Work>
void on_every_host(const parallel::Job& job, const std::string& host, const Work& work) {
    job.communicator.on_every_rank([&] {
        try {
            work();
        } catch (const core::Error& error) {
            core::throw_error(error.kind(), fmt::format("host {}: {}", host, error.what()));
        }
    });
}

} // namespace

std::optional<MeasuredFleet> measure_fleet(const parallel::Job& job, const Settings& settings,
                                           const fleet::MeasurementParameters& parameters,
                                           const MeasuredDevices& devices) {
    const auto& communicator = job.communicator;
    communicator.on_every_rank([&] { fleet::check_measurement(parameters); });
    const network::Prunable network = benchmarked_network(job, settings);
    const fleet::ConditionWatch watch;
    const fleet::HostConditions here = watch.conditions();
    const auto names = name_devices(job, devices, here);
    Benchmarks benchmarks;
    communicator.on_every_rank([&] { benchmarks = make_benchmarks(settings, network); });
    const auto device = [&](fleet::RoundLatencies rounds, const fleet::HostConditions& conditions) {
        return one_device(settings, benchmarks, parameters, devices.sku, std::move(rounds),
                          conditions);
    };
    communicator.on_root([&] {
        const std::size_t visits =
            static_cast<std::size_t>(parameters.rounds) * benchmarks.networks.size();
        check_can_save(device(fleet::RoundLatencies(visits, 1.0), here), names, devices, job.log);
    });
    std::optional<MeasuredFleet> mine;
    on_every_host(job, here.host, [&] {
        auto rounds = measure_here(job, benchmarks, parameters);
        if (!rounds) return;
        fleet::HostConditions conditions = watch.conditions();
        conditions.threads = job.threads;
        conditions.engine = accuracy::inference_engine();
        mine = device(std::move(*rounds), conditions);
    });
    if (communicator.any(!mine)) return std::nullopt;
    auto all = gather(communicator, *mine);
    MeasuredFleet measured;
    communicator.on_root([&] {
        measured = joined(std::move(all), names);
        save(measured, devices, job.log);
    });
    return measured;
}

} // namespace hdap::study
