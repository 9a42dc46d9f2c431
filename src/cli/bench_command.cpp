#include "commands.hpp"
#include "hdap/accuracy/bench.hpp"
#include "hdap/core/benchmark.hpp"
#include "hdap/core/provenance.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/bench.hpp"
#include "hdap/search/bench.hpp"
#include "hdap/surrogate/bench.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <memory>
#include <thread>

namespace hdap::cli {
namespace {

using nlohmann::ordered_json;

struct Benchmark {
    std::string name;
    std::string description;
    std::function<std::vector<core::BenchmarkResult>(bool verify)> run;
};

const std::vector<Benchmark>& benchmarks() {
    static const std::vector<Benchmark> all{
        {"accuracy", "classification of images by candidates against LibTorch",
         accuracy::bench_accuracy},
        {"costs", "multiply-accumulates, parameters and memory of candidates",
         network::bench_costs},
        {"sort", "non-dominated sorting and hypervolume against pagmo2", search::bench_sort},
        {"surrogate", "forest prediction against XGBoost", surrogate::bench_surrogate},
        {"training", "steps of training against plain LibTorch loops", accuracy::bench_training}};
    return all;
}

struct BenchOptions {
    std::string name;
    bool json = false;
    bool verify = false;
};

ordered_json as_json(const std::string& name, const std::vector<core::BenchmarkResult>& results) {
    const core::Provenance provenance = core::current_provenance();
    ordered_json document{{"bench", name},
                          {"machine",
                           {{"processor", core::processor_name()},
                            {"cores", std::thread::hardware_concurrency()},
                            {"host", provenance.host},
                            {"software_version", provenance.software_version},
                            {"git_commit", provenance.git_commit}}},
                          {"results", ordered_json::array()}};
    for (const core::BenchmarkResult& result : results) {
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

void print_table(const std::vector<core::BenchmarkResult>& results) {
    for (const core::BenchmarkResult& result : results) {
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

void add_bench_command(CLI::App& app, Action& action) {
    auto options = std::make_shared<BenchOptions>();
    std::string description = "Measure against peers, in one process:";
    std::vector<std::string> names;
    for (const Benchmark& benchmark : benchmarks()) {
        description += "\n  " + benchmark.name + ": " + benchmark.description;
        names.push_back(benchmark.name);
    }
    CLI::App* command =
        add_command(app, "bench", description, "hdap bench surrogate --verify --json");
    command->add_option("NAME", options->name, "Which one")
        ->required()
        ->check(CLI::IsMember(names));
    command->add_flag("--json", options->json, "Print one JSON object");
    command->add_flag("--verify", options->verify, "Compare the results first");
    command->callback([options, &action] {
        action = [options](Arguments) {
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

} // namespace hdap::cli
