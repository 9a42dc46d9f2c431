#include "hdap/parallel/communicator.hpp"

#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

int main(int argc, char** argv) {
    const hdap::parallel::MpiEnvironment environment(argc, argv);
    const int failures = Catch::Session().run(argc, argv);
    // A failing rank ends the others too, which may wait for it in a collective call.
    if (failures != 0) hdap::parallel::abort_all_ranks(1);
    return failures;
}
