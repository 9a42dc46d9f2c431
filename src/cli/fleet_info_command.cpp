#include "commands.hpp"
#include "fleet_anatomy_text.hpp"
#include "fleet_file.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/measured_fleet.hpp"
#include "hdap/fleet/ticks.hpp"
#include "hdap/storage/user_file.hpp"
#include "print_document.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

namespace hdap::cli {
namespace {

using core::ExitCode;
using nlohmann::ordered_json;

struct InfoOptions {
    std::string fleet;
    bool json = false;
};

void read_for_info(const storage::Hdf5Reader& content) {
    fleet_in(content);
    if (fleet::is_measured(content)) fleet::read_measured_fleet(content);
}

/// How the latencies on one benchmark spread.
struct BenchmarkSpread {
    BenchmarkSpread(const fleet::Fleet& devices, std::size_t benchmark) {
        const std::vector<double> column = fleet::measured_latencies(devices, benchmark);
        count = column.size();
        mean = core::mean(column);
        p5 = core::quantile(column, 0.05);
        median = core::quantile(column, 0.5);
        p95 = core::quantile(column, 0.95);
        max = *std::max_element(column.begin(), column.end());
    }

    std::size_t count = 0;
    double mean = 0.0;
    double p5 = 0.0;
    double median = 0.0;
    double p95 = 0.0;
    double max = 0.0;
};

/// What a measured fleet says about its own latencies.
struct Reliability {
    explicit Reliability(const fleet::MeasuredFleet& measured) {
        for (std::size_t i = 0; i < measured.fleet.devices(); ++i) {
            const auto reliability = fleet::reliability_of_device(measured, i);
            if (!std::isnan(reliability.kendall_tau)) tau.push_back(reliability.kendall_tau);
            resolution.push_back(reliability.resolution());
        }
    }

    std::vector<double> tau; ///< of devices with more than one benchmark, which alone have a rank
    std::vector<double> resolution;
};

void print_reliability(const fleet::MeasuredFleet& measured) {
    const Reliability of(measured);
    std::printf("\nmeasured in %s; ", core::counted(measured.parameters.rounds, "round").c_str());
    if (!of.tau.empty())
        std::printf("between even and odd rounds Kendall's tau is %.2f in the median, %.2f at "
                    "worst;\n",
                    core::quantile(of.tau, 0.5), core::quantile(of.tau, 0.0));
    std::printf("differences below %.2g %% in the median, %.2g %% at worst, are not differences\n",
                100.0 * core::quantile(of.resolution, 0.5),
                100.0 * core::quantile(of.resolution, 1.0));
}

void print_latencies(const fleet::Fleet& devices) {
    const bool complete = fleet::missing_latencies(devices) == 0;
    std::printf("%-32s %10s %10s %10s %10s %10s   %s%s\n", "latency (ms)", "mean", "p5", "median",
                "p95", "max", "p95 / median", complete ? "" : "  devices");
    for (std::size_t b = 0; b < devices.benchmarks(); ++b) {
        const BenchmarkSpread of(devices, b);
        std::printf("%-32s %10.4g %10.4g %10.4g %10.4g %10.4g   ",
                    devices.benchmark_names[b].c_str(), of.mean, of.p5, of.median, of.p95, of.max);
        if (complete)
            std::printf("%.3f\n", of.p95 / of.median);
        else
            std::printf("%-12.3f  %s\n", of.p95 / of.median, core::grouped(of.count).c_str());
    }
}

ordered_json latencies_document(const fleet::Fleet& devices) {
    ordered_json all = ordered_json::array();
    for (std::size_t b = 0; b < devices.benchmarks(); ++b) {
        const BenchmarkSpread of(devices, b);
        all.push_back({{"name", devices.benchmark_names[b]},
                       {"devices", of.count},
                       {"mean_ms", of.mean},
                       {"p5_ms", of.p5},
                       {"median_ms", of.median},
                       {"p95_ms", of.p95},
                       {"max_ms", of.max}});
    }
    return all;
}

ordered_json reliability_document(const fleet::MeasuredFleet& measured) {
    const Reliability of(measured);
    return {{"rounds", measured.parameters.rounds},
            {"kendall_tau_median",
             of.tau.empty() ? ordered_json(nullptr) : ordered_json(core::quantile(of.tau, 0.5))},
            {"resolution_median", core::quantile(of.resolution, 0.5)}};
}

ExitCode info(const InfoOptions& options) {
    const auto file = storage::open_user_file(options.fleet, read_for_info);
    const auto devices = fleet_in(file);
    std::optional<fleet::MeasuredFleet> measured;
    if (fleet::is_measured(file)) measured = fleet::read_measured_fleet(file);
    const auto noise = measured ? fleet::noise_of_rounds(*measured) : std::nullopt;
    const std::string ticks = fleet::ticks_text(devices, fleet::latency_ticks(devices));
    if (options.json) {
        ordered_json document{
            {"file", options.fleet},
            {"sku", devices.sku},
            {"devices", devices.devices()},
            {"missing_latencies", fleet::missing_latencies(devices)},
            {"ticks", ticks.empty() ? ordered_json(nullptr) : ordered_json(ticks)},
            {"benchmarks", latencies_document(devices)},
            {"measured", measured ? reliability_document(*measured) : nullptr}};
        document["differences"] = anatomy_document(devices, fleet::anatomy_of(devices, noise));
        print_document(document);
        warn_of_doubts(options.fleet, devices);
        return ExitCode::complete;
    }
    std::printf("%s: %s of %s%s\n\n", options.fleet.c_str(),
                core::counted(devices.devices(), "device").c_str(), devices.sku.c_str(),
                devices.attributes.empty() ? "" : ", with attributes");
    print_latencies(devices);
    print_missing(devices);
    if (!ticks.empty()) std::printf("\n%s\n", ticks.c_str());
    warn_of_doubts(options.fleet, devices);
    if (measured) print_reliability(*measured);
    print_anatomy(devices, fleet::anatomy_of(devices, noise));
    return ExitCode::complete;
}

} // namespace

void add_fleet_info_command(CLI::App& group, Action& action) {
    auto options = std::make_shared<InfoOptions>();
    CLI::App* command =
        add_command(group, "info", "How the devices of a fleet differ, and whether that matters.",
                    "hdap fleet info fleet.h5");
    command->add_option("FLEET", options->fleet, "Fleet (hdap-fleet/1)")->required();
    command->add_flag("--json", options->json, "Print JSON");
    command->callback(
        [options, &action] { action = [options](Arguments) { return info(*options); }; });
}

} // namespace hdap::cli
