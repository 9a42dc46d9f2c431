#include "bench.hpp"
#include "hdap/core/command.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/scratch_folder.hpp"
#include "hdap/fleet/clustering.hpp"
#include "hdap/fleet/dbscan.hpp"
#include "hdap/fleet/device_model.hpp"
#include "hdap/fleet/random_networks.hpp"
#include "hdap/fleet/synthesis.hpp"
#include "hdap/network/costs.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/network/zoo.hpp"
#include "stopwatch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace hdap::bench {
namespace {

constexpr std::size_t devices = 1'000'000;
constexpr std::size_t fewer_devices = 100'000;
constexpr std::size_t benchmark_networks = 8;

/// scikit-learn lists all neighbours of all points. With the automatic eps, three times this one,
/// that would take tens of gigabytes.
constexpr double small_eps = 0.009;
constexpr std::int64_t small_min_points = 10;

/// Simulated Jetson Xavier NX, as `hdap fleet synth` makes them of MobileNetV1.
fleet::Fleet simulated_fleet() {
    const network::Network network = network::make_network({.name = "mobilenet_v1"});
    const network::SearchSpace space(network, {});
    const network::CostModel costs(network, space.structure());
    std::vector<fleet::BenchmarkNetwork> networks;
    for (const network::Genome& genome : fleet::benchmark_genomes(space, 1, benchmark_networks))
        networks.push_back({std::to_string(networks.size()), genome, costs.layers(genome)});
    fleet::SynthesisParameters parameters;
    parameters.devices = devices;
    return fleet::synthesize_fleet(fleet::device_model(parameters.preset), parameters, networks, 64,
                                   10);
}

/// What scikit-learn does with the same points.
struct Peer {
    std::string version; ///< empty where there is none
    double seconds = 0.0;
    std::vector<std::int32_t> label; ///< -1: noise
    std::vector<std::uint8_t> is_core;
};

template <class T>
std::vector<T> read_numbers(const std::filesystem::path& file, std::size_t count) {
    std::vector<T> values(count);
    std::ifstream input(file, std::ios::binary);
    if (!input.read(reinterpret_cast<char*>(values.data()),
                    static_cast<std::streamsize>(count * sizeof(T))))
        throw core::InternalError(
            fmt::format("{}: expected {} numbers from scikit-learn", file.string(), count));
    return values;
}

constexpr const char* peer_program = R"(
import sys, time
import numpy
try:
    import sklearn
    from sklearn.cluster import DBSCAN
except ImportError:
    sys.exit(3)
folder, dimension, eps, min_points = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
points = numpy.fromfile(folder + "/points").reshape(-1, dimension)
start = time.perf_counter()
found = DBSCAN(eps=eps, min_samples=min_points, n_jobs=-1).fit(points)
seconds = time.perf_counter() - start
core = numpy.zeros(len(points), numpy.uint8)
core[found.core_sample_indices_] = 1
core.tofile(folder + "/core")
found.labels_.astype(numpy.int32).tofile(folder + "/label")
print(sklearn.__version__, seconds)
)";

/// Debian's Python has Debian's scikit-learn (python3-sklearn); another one may come first in PATH.
Peer run_peer(fleet::PointView points) {
    const core::ScratchFolder folder("hdap-bench-clusters");
    std::ofstream(folder.path() / "points", std::ios::binary)
        .write(reinterpret_cast<const char*>(points.coordinates.data()),
               static_cast<std::streamsize>(points.coordinates.size_bytes()));
    for (const char* python : {"python3", "/usr/bin/python3"}) {
        const auto outcome = core::run_command(
            {python, "-c", peer_program, folder.path().string(), std::to_string(points.dimension),
             fmt::format("{}", small_eps), std::to_string(small_min_points)});
        if (outcome.exit_code != 0) continue;
        const std::size_t blank = outcome.output.find(' ');
        return {.version = outcome.output.substr(0, blank),
                .seconds = std::stod(outcome.output.substr(blank)),
                .label = read_numbers<std::int32_t>(folder.path() / "label", points.size()),
                .is_core = read_numbers<std::uint8_t>(folder.path() / "core", points.size())};
    }
    return {};
}

/// Labels of core points are the same but for their numbers, and so is what is noise: the paper
/// leaves only to the order which cluster a border point joins.
void verify(const Peer& peer, const fleet::DbscanResult& ours) {
    constexpr std::int32_t none = -1;
    std::vector<std::int32_t> theirs_of(static_cast<std::size_t>(ours.clusters), none);
    for (std::size_t i = 0; i < peer.label.size(); ++i) {
        const bool same_noise = (peer.label[i] == none) == (ours.label[i] == none);
        bool same_cluster = true;
        if (peer.is_core[i] != 0 && ours.label[i] != none) {
            std::int32_t& theirs = theirs_of[static_cast<std::size_t>(ours.label[i])];
            if (theirs == none) theirs = peer.label[i];
            same_cluster = theirs == peer.label[i];
        }
        if (!same_noise || !same_cluster)
            throw core::InternalError(
                fmt::format("point {} is in cluster {}, with scikit-learn in {}", i, ours.label[i],
                            peer.label[i]));
    }
    std::sort(theirs_of.begin(), theirs_of.end());
    if (std::adjacent_find(theirs_of.begin(), theirs_of.end()) != theirs_of.end() ||
        ours.clusters != 1 + *std::max_element(peer.label.begin(), peer.label.end()))
        throw core::InternalError(
            fmt::format("{} clusters are not those of scikit-learn", ours.clusters));
}

double seconds_of(const std::function<void()>& work, int rounds) {
    const std::vector<std::function<void()>> contenders{work};
    return fastest_seconds(contenders, rounds, 0.0)[0];
}

Result compare_with_peer(fleet::PointView points, bool verify_labels) {
    const Peer peer = run_peer(points);
    fleet::DbscanResult ours;
    const double seconds =
        seconds_of([&] { ours = fleet::dbscan(points, small_eps, small_min_points); }, 3);
    Result result{.name = "dbscan_100k_vs_sklearn",
                  .value = seconds,
                  .unit = "s",
                  .baseline = "no scikit-learn here: install python3-sklearn",
                  .target = std::nullopt};
    if (peer.version.empty()) return result;
    if (verify_labels) verify(peer, ours);
    result.baseline = fmt::format("scikit-learn {}, as many threads", peer.version);
    result.baseline_value = peer.seconds;
    result.ratio = peer.seconds / seconds;
    result.target = 30.0;
    return result;
}

/// The same as `hdap fleet cluster` for a fleet's automatic parameters.
fleet::DbscanResult automatic_dbscan(fleet::PointView points) {
    const std::int64_t min_points = fleet::min_points_for(points.size());
    const double eps =
        fleet::eps_at_knee(fleet::density_curve(points, min_points), fleet::smallest_automatic_eps);
    return fleet::dbscan(points, eps, min_points);
}

/// The most memory that this process has had since the last call, in GB; not a number where /proc
/// does not tell.
double peak_gb() {
    std::ifstream status("/proc/self/status");
    double peak = std::numeric_limits<double>::quiet_NaN();
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:")) peak = std::stod(line.substr(6)) * 1024e-9;
    std::ofstream("/proc/self/clear_refs") << "5\n";
    return peak;
}

Result against_goal(std::string name, double value, std::string unit, double goal) {
    return {.name = std::move(name),
            .value = value,
            .unit = std::move(unit),
            .baseline = "what is to be reached",
            .baseline_value = goal,
            .ratio = goal / value,
            .target = 1.0};
}

} // namespace

std::vector<Result> bench_clusters(bool verify_labels) {
    const fleet::Fleet fleet = simulated_fleet();
    static_cast<void>(peak_gb());
    fleet::ClusteringParameters by_density;
    by_density.method = "dbscan";
    static_cast<void>(fleet::cluster_devices(fleet, by_density));
    const double covering =
        seconds_of([&] { static_cast<void>(fleet::cluster_devices(fleet, {})); }, 1);
    const double gigabytes = peak_gb();
    const std::vector<double> signatures =
        fleet::latency_signatures(fleet, fleet::SignatureMetric::level);
    const fleet::PointView all{signatures, benchmark_networks};
    const fleet::PointView part{all.coordinates.first(fewer_devices * benchmark_networks),
                                benchmark_networks};
    const double fewer = seconds_of([&] { static_cast<void>(automatic_dbscan(part)); }, 3);
    const double seconds = seconds_of([&] { static_cast<void>(automatic_dbscan(all)); }, 1);
    return {compare_with_peer(part, verify_labels),
            against_goal("dbscan_1m_seconds", seconds, "s", 20.0),
            against_goal("covering_1m_seconds", covering, "s", 20.0),
            against_goal("clusters_1m_gb", gigabytes, "GB", 1.0),
            {.name = "growth_exponent",
             .value = std::log10(seconds / fewer),
             .unit = "from 100k to 1m",
             .baseline = "n log n",
             .baseline_value = 1.0 + std::log10(1.2),
             .ratio = (1.0 + std::log10(1.2)) / std::log10(seconds / fewer),
             .target = std::nullopt}};
}

} // namespace hdap::bench
