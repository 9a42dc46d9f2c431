#include "hdap/parallel/communicator.hpp"
#include "support/run_tests.hpp"

int main(int argc, char** argv) {
    const hdap::parallel::MpiEnvironment environment(argc, argv);
    const int failures = hdap::test::run_tests(argc, argv);
    // A failing rank ends the others too, which may wait for it in a collective call.
    if (failures != 0) hdap::parallel::abort_all_ranks(1);
    return failures;
}
