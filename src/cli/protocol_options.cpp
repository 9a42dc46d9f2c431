#include "protocol_options.hpp"

#include "option_checks.hpp"

namespace hdap::cli {

void add_protocol_options(CLI::App& command, fleet::MeasurementParameters& parameters) {
    command.add_option("--rounds", parameters.rounds, "Rounds over all benchmark networks")
        ->check(CLI::Range(2, 10'000))
        ->capture_default_str();
    command
        .add_option("--runs", parameters.runs, "Runs of a network in a round; the fastest counts")
        ->check(CLI::Range(1, 10'000))
        ->capture_default_str();
    command
        .add_option("--warmup", parameters.warmup,
                    "At most so many runs of a network before the first round")
        ->check(CLI::Range(0, 10'000))
        ->capture_default_str();
    command
        .add_option("--quantile", parameters.quantile,
                    "A network's latency is this quantile of its rounds")
        ->check(within(0.0, 1.0))
        ->capture_default_str();
}

} // namespace hdap::cli
