#include "support/run_tests.hpp"

#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

namespace hdap::test {

int run_tests(int argc, char** argv) {
    Catch::Session session;
    session.configData().filenamesAsTags = true;
    return session.run(argc, argv);
}

} // namespace hdap::test
