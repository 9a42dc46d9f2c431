#include "bench_command.hpp"

#include "bench.hpp"
#include "cli/commands.hpp"
#include "hdap/core/provenance.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <array>
#include <cstdio>
#include <memory>
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
    Benchmark{"costs", "multiply-accumulates, parameters and memory of candidates", bench_costs},
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

} // namespace

std::span<const Benchmark> benchmarks() {
    return all_benchmarks;
}

void add_bench_command(CLI::App& app, cli::Action& action) {
    auto options = std::make_shared<BenchOptions>();
    std::string description = "Measure against peers, in one process:";
    std::vector<std::string> names;
    for (const Benchmark& benchmark : benchmarks()) {
        names.emplace_back(benchmark.name);
        description += fmt::format("\n  {}: {}", benchmark.name, benchmark.description);
    }
    CLI::App* command =
        cli::add_command(app, "bench", description, "hdap bench surrogate --verify --json");
    command->add_option("NAME", options->name, "Which one")
        ->required()
        ->check(CLI::IsMember(names));
    command->add_flag("--json", options->json, "Print one JSON object");
    command->add_flag("--verify", options->verify, "Compare the results first");
    command->callback([options, &action] {
        action = [options](cli::Arguments) {
            for (const Benchmark& benchmark : benchmarks()) {
                if (benchmark.name != options->name) continue;
                const auto results = benchmark.run(options->verify);
                if (options->json)
                    std::printf("%s\n", as_json(options->name, results).dump(2).c_str());
                else
                    print_table(results);
            }
            return core::ExitCode::complete;
        };
    });
}

} // namespace hdap::bench
