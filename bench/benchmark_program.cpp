#include "benchmark_program.hpp"

#include "bench.hpp"
#include "hdap/core/provenance.hpp"
#include "hdap/core/text.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <array>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

namespace hdap::bench {
namespace {

using nlohmann::ordered_json;

/// Another benchmark is a line here.
constexpr std::array all_benchmarks{
    Benchmark{"accuracy", "classification of images by candidates against LibTorch",
              bench_accuracy},
    Benchmark{"clusters", "DBSCAN of a million devices, and against scikit-learn", bench_clusters},
    Benchmark{"costs", "multiply-accumulates, parameters and memory of candidates", bench_costs},
    Benchmark{"fleet", "import of telemetry against a plain reader", bench_fleet},
    Benchmark{"importance", "distances between filters, and what they cost the ranking of channels",
              bench_importance},
    Benchmark{"sort", "non-dominated sorting and hypervolume against pagmo2", bench_sort},
    Benchmark{"surrogate", "forest prediction against XGBoost", bench_surrogate},
    Benchmark{"training", "steps of training against plain LibTorch loops", bench_training}};

struct BenchOptions {
    std::string name;
    bool json = false;
    bool verify = false;
};

ordered_json as_json(const std::string& name, const std::vector<Result>& results) {
    const core::Provenance provenance = core::current_provenance();
    ordered_json document{{"bench", name},
                          {"machine",
                           {{"processor", core::processor_name()},
                            {"cores", std::thread::hardware_concurrency()},
                            {"host", provenance.host},
                            {"software_version", provenance.software_version},
                            {"git_commit", provenance.git_commit}}},
                          {"results", ordered_json::array()}};
    for (const Result& result : results) {
        ordered_json row{{"name", result.name},
                         {"value", result.value},
                         {"unit", result.unit},
                         {"baseline", result.baseline},
                         {"baseline_value", result.baseline_value},
                         {"ratio", result.ratio},
                         {"target", nullptr}};
        if (result.target) row["target"] = *result.target;
        document["results"].push_back(std::move(row));
    }
    return document;
}

void print_table(const std::vector<Result>& results) {
    for (const Result& result : results) {
        std::printf("%-36s %10s %-22s", result.name.c_str(),
                    core::significant(result.value).c_str(), result.unit.c_str());
        if (result.ratio > 0.0)
            std::printf(" %sx of %s (%s)", core::significant(result.ratio, 3).c_str(),
                        result.baseline.c_str(), core::significant(result.baseline_value).c_str());
        else
            std::printf(" %s", result.baseline.c_str());
        if (result.target)
            std::printf(", target %sx", core::significant(*result.target, 3).c_str());
        std::printf("\n");
    }
}

void run(const BenchOptions& options) {
    for (const Benchmark& benchmark : benchmarks()) {
        if (benchmark.name != options.name) continue;
        const auto results = benchmark.run(options.verify);
        if (options.json)
            std::printf("%s\n", as_json(options.name, results).dump(2).c_str());
        else
            print_table(results);
    }
}

} // namespace

std::span<const Benchmark> benchmarks() {
    return all_benchmarks;
}

core::ExitCode run_benchmarks(int argc, const char* const* argv) {
    std::vector<std::string> names;
    std::string description = "Measure against peers, in one process:";
    for (const Benchmark& benchmark : benchmarks()) {
        names.emplace_back(benchmark.name);
        description += fmt::format("\n  {}: {}", benchmark.name, benchmark.description);
    }
    CLI::App app(description, "hdap bench");
    app.footer("Example:\n  hdap bench surrogate --verify --json");
    BenchOptions options;
    app.add_option("NAME", options.name, "Which one")->required()->check(CLI::IsMember(names));
    app.add_flag("--json", options.json, "Print one JSON object");
    app.add_flag("--verify", options.verify, "Compare the results first");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() != 0)
            throw core::UsageError(fmt::format("{}; see hdap bench --help", error.what()));
        app.exit(error); // --help
        return core::ExitCode::complete;
    }
    run(options);
    return core::ExitCode::complete;
}

} // namespace hdap::bench

hdap::core::ExitCode hdap_run_benchmarks(int argc, const char* const* argv) {
    return hdap::bench::run_benchmarks(argc, argv);
}
