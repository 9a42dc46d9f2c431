#include "commands.hpp"
#include "hdap/core/library.hpp"

namespace hdap::cli {

void add_bench_command(CLI::App& app, Action& action) {
    CLI::App* command = add_command(app, "bench", "Measure against peers, in one process",
                                    "hdap bench surrogate --verify --json");
    command->set_help_flag(); // what follows is parsed by the benchmarks
    command->prefix_command();
    command->callback([&action] {
        action = [](Arguments arguments) {
            using RunBenchmarks = ExitCode(int, const char* const*);
            auto* const run = reinterpret_cast<RunBenchmarks*>(core::library_symbol(
                "bench", "hdap_run_benchmarks",
                "this build has no benchmarks: configure it with -D HDAP_BUILD_BENCH=ON"));
            return run(arguments.count - 1, arguments.values + 1);
        };
    });
}

} // namespace hdap::cli
