#include "bench_command.hpp"

#include <array>

/// The program `hdap` with the subcommand `bench`; src/main.cpp is the one without.
int main(int argc, char** argv) {
    constexpr std::array extra_commands{hdap::bench::add_bench_command};
    return hdap::cli::run(argc, argv, extra_commands);
}
